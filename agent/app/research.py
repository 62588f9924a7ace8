"""Runs of the command line: one issue to its board, or round after round until a session is over."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from agent.app import preview
from agent.app.session import Limits, Session, current_session, run_rounds
from agent.app.wiring import Emit, Workspace, print_notice
from agent.campaign import engine, propose, steer
from agent.campaign.context import CampaignContext
from agent.campaign.plan import CampaignRequest, Plan, plan_round
from agent.campaign.publish import publish_no_proposals
from agent.campaign.question import find_answered
from agent.core.errors import BadInput, NothingToRun
from agent.core.experiment import Rewrite, Variant
from agent.core.frozen import frozen
from agent.core.protocols import Editor, Notice
from agent.execution import sandbox
from agent.execution.sandbox import NO_SANDBOX, Sandbox
from agent.tracking.board import Board

_PROPOSED = Variant("a proposal", (Rewrite("", ""),))  # what is to come of an issue in prose


@frozen
class RunOptions:
    """How an issue is run. `editor` makes the editor for a campaign, on whose account the money since a time counts;
    `emit` gets the events; `no_sandbox` is a person's consent that a model's code runs without one.
    """

    request: CampaignRequest
    workspace: Workspace
    editor: Callable[[CampaignContext, str], Editor]
    emit: Emit = print_notice
    sandbox: Sandbox = NO_SANDBOX
    no_sandbox: bool = False
    pull: bool = False
    close: bool = False

    def context(self, plan: Plan) -> CampaignContext:
        """Return what a plan's campaign works with."""
        ctx = self.workspace.context(plan, self.emit, self.sandbox)
        return replace(ctx, pull=self.pull, close=self.close)


def run_issue(options: RunOptions, plan: Plan, session: Session | None = None) -> Board:
    """Bring a plan to its board; an issue in prose gets its variants first. Raises what engine and propose raise."""
    ctx = options.context(plan)
    with report_no_proposals(ctx, plan):
        propose.check(plan)
    steer.check_confirmed(ctx, plan)
    _check_sandbox(options, plan)
    for line in (*preview.intent(plan), *_unsandboxed(options.sandbox)):
        options.emit(Notice(line))
    if not plan.complete:
        editor = _editor(options, ctx, plan, session.began.at if session else "")
        with report_no_proposals(ctx, plan):
            proposed = propose.propose(ctx, plan, editor, steer.guidance(ctx, plan))
        plan = plan_round(plan, proposed, ctx.repo, ctx.ledger, ctx.machine)
    return engine.run(ctx, plan)


def _editor(options: RunOptions, ctx: CampaignContext, plan: Plan, since: str) -> Editor:
    """Return the editor of a round; a share of its proposals may be search's."""
    editor = options.editor(ctx, since)
    if not plan.spec.mix:
        return editor
    from agent.campaign.mix import MixedEditor

    return MixedEditor(editor, plan, ctx.ledger)


@contextmanager
def report_no_proposals(ctx: CampaignContext, plan: Plan) -> Iterator[None]:
    """Report on the issue where none of a round's proposals can run, after a crash too; then raise NothingToRun."""
    try:
        yield
    except NothingToRun as error:
        publish_no_proposals(ctx, plan, error.problem)
        raise


def _check_sandbox(options: RunOptions, plan: Plan) -> None:
    """Raise BadInput where a model's code is to run and there is no sandbox for it."""
    known = [one.variant for one in (plan.baseline, *plan.variants)]
    variants = known if plan.complete else [*known, _PROPOSED]
    sandbox.check(variants, options.sandbox, waived=options.no_sandbox, inherited=plan.base_has_model_code)


def _unsandboxed(chosen: Sandbox) -> list[str]:
    return [f"runs go without a sandbox: {chosen.reason}; {chosen.advice}"] if chosen.level == "none" else []


def run_session(options: RunOptions, plan: Plan, limits: Limits) -> dict[str, object]:
    """Run round after round until the session is over; return what came of it.

    `plan` is that of the latest round. Raises BadInput for an issue that has a table.
    """
    if not plan.spec.proposals:
        raise BadInput(
            "--loop is for an issue in prose, and this one has a table",
            where=plan.spec.issue.source,
            next_step="run it without --loop, or name another issue",
        )
    rounds = replace(options, close=False, request=replace(options.request, new_round=True))
    ctx = replace(options.context(plan), close=False)
    _check_sandbox(options, plan)
    options.editor(ctx, "")  # raises what is wrong with it before the time begins to run
    session = current_session(ctx.ledger, plan.spec.issue.number, plan.spec.body_sha256, limits)
    reason = run_rounds(
        session,
        lambda: _catch_up(ctx, plan),
        lambda: run_issue(rounds, rounds.workspace.plan(rounds.request), session),
        plan.estimate_s,
        options.emit,
    )
    if options.close:
        ctx.outbox.post(plan.spec.issue.number, "close", "")
    return session.summary(plan.track.name) | {"reason": reason}


def _catch_up(ctx: CampaignContext, plan: Plan) -> None:
    """Do what a crash may have left to do at the end of the latest round."""
    with suppress(NothingToRun), report_no_proposals(ctx, plan):
        propose.check(plan)
    if find_answered(ctx, plan):
        engine.run(ctx, plan)
