"""Further runs of the leader and the baseline, which a person asks for where a verdict is inconclusive."""

from collections.abc import Sequence

from agent.campaign import steer
from agent.campaign.context import CampaignContext
from agent.campaign.evidence import CampaignView
from agent.campaign.plan import Plan, replan
from agent.core.errors import BadInput
from agent.core.records import CommandRecord, utc_now
from agent.core.values import MOST_MORE
from agent.spec import commands
from agent.spec.commands import More
from agent.spec.commands import Refusal as Refused

BY_OPTION = "the command line"  # where a command stands that came from there


def why_not_further(view: CampaignView) -> str:
    """Return why further runs would settle nothing; empty where they may."""
    record = view.ledger.verdict(view.campaign)
    if record is None:
        return "there is no verdict yet that further runs could settle"
    verdict = record.verdict
    if any(one.status == "quarantined" and one.variant == verdict.variant for one in view.audits()):
        return f"{verdict.variant} waits for a person, and no further run changes that"
    if verdict.decision != "inconclusive" or verdict.variant is None:
        return f"the verdict is {verdict.decision}: further runs would settle nothing"
    return ""


def further_plan(ctx: CampaignContext, view: CampaignView, count: int | None) -> Plan | None:
    """Return the plan with the further runs that --more (`count`) or a comment asks for, recorded; None without either.

    Raises BadInput where --more asks for runs that would settle nothing. A comment that does is answered so.
    """
    refusal = why_not_further(view)
    if count is not None:
        if count > MOST_MORE:
            raise BadInput(f"--more {count}", next_step=f"ask for {MOST_MORE} further runs at most, and look again")
        if refusal:
            raise BadInput(refusal, where=view.plan.spec.issue.source, next_step="leave out --more")
        return _with(ctx, view.plan, count, _record(view.plan, count))
    pending = [] if refusal else _pending(ctx, view.plan)
    if not pending:
        return None
    one, command = pending[0]
    record = steer.answered(view.plan, one, f"{command.count} further runs of each", obeyed=True)
    return _with(ctx, view.plan, command.count, record)


def _pending(ctx: CampaignContext, plan: Plan) -> Sequence[tuple[steer.PendingCommand, More]]:
    pending = ((one, steer.parsed(plan, one)) for one in steer.unanswered(ctx, plan))
    return [(one, command) for one, command in pending if isinstance(command, More)]


def _with(ctx: CampaignContext, plan: Plan, count: int, record: CommandRecord) -> Plan:
    """Return the plan with so many further runs, after its command is on record."""
    selection = commands.apply(plan.selection, More(count))
    assert not isinstance(selection, Refused)
    changed = replan(plan, selection, ctx.machine)
    steer.put_on_record(ctx, record)
    return changed


def _record(plan: Plan, count: int) -> CommandRecord:
    return CommandRecord(
        issue=plan.spec.issue.number,
        body_sha256=plan.spec.body_sha256,
        remark=BY_OPTION,
        author="",
        command=f"/more {count}",
        answer=f"{count} further runs of each",
        obeyed=True,
        at=utc_now(),
        round=plan.round.number if plan.spec.proposals else 0,
    )
