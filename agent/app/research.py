"""What is done for what was asked: one question to its board, or round after round until a session is over."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from agent.app import preview
from agent.app.session import Limits, Session, current_session, run_rounds
from agent.app.wiring import Emit, Workspace
from agent.campaign import engine, propose, steer
from agent.campaign.context import CampaignContext
from agent.campaign.plan import CampaignRequest, Plan
from agent.campaign.publish import publish_no_proposals
from agent.core.errors import BadInput, NothingToRun
from agent.core.experiment import Rewrite, Variant
from agent.core.protocols import Editor, Notice
from agent.execution import sandbox
from agent.execution.sandbox import Sandbox
from agent.tracking.comment import Board

_PROPOSED = Variant("a proposal", (Rewrite("", ""),))  # what is to come of an issue in prose


@dataclass(frozen=True)
class RunOptions:
    """What was asked, by what means: `editor` makes the editor, on whose account money from a time on counts."""

    asked: CampaignRequest
    wiring: Workspace
    editor: Callable[[CampaignContext, str], Editor]
    waived: bool  # walls, by --no-sandbox
    emit: Emit


def run_issue(order: RunOptions, session: Session | None = None) -> Board:
    """One question to its board; an issue in prose first gets its variants. Raises what loop.run and propose raise."""
    ledger = session.ledger if session else order.wiring.ledger()  # anew: another harness may just have finished
    plan, parts = order.wiring.ready(order.asked, order.emit, ledger)
    with report_no_proposals(parts, plan):
        propose.check(plan)
    _check_walls(order, plan)
    for line in (*preview.intent(plan), *_unwalled(order.wiring.walls)):
        order.emit(Notice(line))
    if not plan.complete:
        editor = order.editor(parts, session.began.at if session else "")
        with report_no_proposals(parts, plan):
            propose.propose(parts, plan, editor, steer.guidance(parts, plan))
        plan, parts = order.wiring.ready(order.asked, order.emit, ledger)
    return engine.run(parts, plan)


@contextmanager
def report_no_proposals(parts: CampaignContext, plan: Plan) -> Iterator[None]:
    """Where none of a round's proposals can run the issue is told, after a crash too."""
    try:
        yield
    except NothingToRun as nothing:
        publish_no_proposals(parts, plan, nothing.problem)
        raise


def _check_walls(order: RunOptions, plan: Plan) -> None:
    every = [one.variant for one in (plan.baseline, *plan.variants)]
    wanted = every if plan.complete else [*every, _PROPOSED]
    sandbox.check(wanted, order.wiring.walls, waived=order.waived, inherited=plan.base_has_model_code)


def _unwalled(walls: Sandbox) -> list[str]:
    return [f"runs go without a sandbox: {walls.reason}; {walls.advice}"] if walls.level == "none" else []


def run_session(order: RunOptions, limits: Limits) -> dict[str, object]:
    """Round after round until the session is over; what came of it. Raises BadInput for an issue that has a table."""
    closes, order = order.wiring.close, replace(order, wiring=replace(order.wiring, close=False))
    plan, parts = order.wiring.ready(order.asked, order.emit)
    if not plan.spec.proposals:
        raise BadInput(
            "--loop is for an issue in prose, and this one has a table",
            where=plan.spec.issue.source,
            next_step="run it without --loop, or name another issue",
        )
    _check_walls(order, plan)
    order.editor(parts, "")  # what is wrong with it is said before the time begins to run
    session = current_session(parts.ledger, plan.spec.issue.number, plan.spec.body_sha256, limits)
    again = replace(order, asked=replace(order.asked, again=True))
    reason = run_rounds(
        session, lambda: _catch_up(parts, plan), lambda: run_issue(again, session), plan.estimate_s, order.emit
    )
    if closes:
        parts.outbox.post(plan.spec.issue.number, "close", "")
    return session.summary(plan.track.name) | {"reason": reason}


def _catch_up(parts: CampaignContext, plan: Plan) -> None:
    """Do what a crash may have left to do when the latest round was over."""
    with suppress(NothingToRun), report_no_proposals(parts, plan):
        propose.check(plan)
    if engine.find_answered(parts, plan):
        engine.run(parts, plan)
