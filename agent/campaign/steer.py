"""Apply slash commands from issue comments to a running campaign: each is recorded, answered and obeyed once."""

from agent.campaign import explore
from agent.campaign.context import CampaignContext
from agent.campaign.evidence import CampaignView
from agent.campaign.plan import Plan, all_commands, replan, script
from agent.campaign.publish import publish_replies, publish_waiting
from agent.core.errors import BadInput, Paused, Stopped, Unreachable
from agent.core.experiment import HumanComment
from agent.core.faults import fault_point
from agent.core.frozen import frozen
from agent.core.protocols import Notice
from agent.core.records import CommandRecord, utc_now
from agent.spec import commands
from agent.spec.commands import Add, Command, Go, More, Refusal, SetBudget, Skip, Stop
from agent.spec.parser import digest

HUMAN = "human"  # the label by which a person takes over
_LATE = "too late: the campaign has its verdict; edit the issue, or file another, to ask something else"


class PlanChanged(Exception):
    """People changed what is to run: `plan` is what the campaign goes on with."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(f"now {', '.join(plan.order)}, {plan.budget} a run")
        self.plan = plan


@frozen
class PendingCommand:
    """A command line that nobody answered yet, the comment that it stands in, and the issue that it names, if any."""

    comment: HumanComment
    text: str
    issue: int | None

    @property
    def unaddressed(self) -> bool:
        """Whether it is for whichever campaign reads it first: it stands in another issue, and names none."""
        return self.issue is None and self.comment.id.startswith("issue-")


def apply_commands(ctx: CampaignContext, plan: Plan, view: CampaignView | None = None) -> None:
    """Apply what people wrote since the last time.

    Raises PlanChanged where the campaign is to go on with another plan, Paused where a person has edited or withdrawn
    the issue or taken it over, Stopped for /stop. What cannot be reached, or is being written, is read the next time.
    """
    revision = ctx.tracker.revision(plan.spec.issue.number)
    if not ctx.throttle.ready(revision):
        return
    try:
        _check_issue(ctx, plan)
        pending = _pending(ctx, plan)
    except (Unreachable, BadInput) as error:
        _report_unread(ctx, error)
        return
    ctx.throttle.done(revision)
    pending = [one for one in pending if not isinstance(parsed(plan, one), More)]  # it is for an open verdict
    if pending:
        _apply_all(ctx, plan, pending, view)


def unanswered(ctx: CampaignContext, plan: Plan) -> list[PendingCommand]:
    """Return the commands to this issue that nobody has answered; none where the tracker is away."""
    try:
        return [one for one in _pending(ctx, plan) if not one.unaddressed]
    except (Unreachable, BadInput) as error:
        _report_unread(ctx, error)
        return []


def answer_late_commands(ctx: CampaignContext, plan: Plan, *, undecided: bool = False) -> Stopped | None:
    """Answer what was written after the verdict; what is unaddressed waits for the next campaign.

    Where the verdict is `undecided`, /more is left to the next start of the command, which obeys it.

    Where something else begins after this campaign, a /stop is obeyed, and returned to be raised when all is published;
    and in the rounds of --loop other commands are left to the next round.
    """
    try:
        pending = [one for one in _pending(ctx, plan) if not one.unaddressed]
    except (Unreachable, BadInput) as error:
        _report_unread(ctx, error)
        return None
    if undecided:
        pending = [one for one in pending if not isinstance(parsed(plan, one), More)]
    stops = [one for one in pending if plan.request.in_series and isinstance(parsed(plan, one), Stop)]
    records = [_record(ctx, plan, one, "stopped after the verdict", obeyed=True) for one in stops]
    for one in pending:
        if one not in stops and not plan.request.new_round:
            command = parsed(plan, one)
            _record(ctx, plan, one, command.reason if isinstance(command, Refusal) else _LATE, obeyed=False)
    return _stopped(plan, records[0]) if records else None


def check_stopped(ctx: CampaignContext, plan: Plan) -> None:
    """Obey /stop, and nothing else, while the variants of an issue in prose are written.

    Raises Stopped, or Paused where the issue was edited or taken over. Other commands wait for the variants.
    """
    try:
        _check_issue(ctx, plan)
        stops = [one for one in _pending(ctx, plan) if isinstance(parsed(plan, one), Stop)]
    except (Unreachable, BadInput) as error:
        _report_unread(ctx, error)
        return
    if stops:
        _apply_all(ctx, plan, stops[:1], None)


def check_confirmed(ctx: CampaignContext, plan: Plan) -> None:
    """Raise Paused where a person is to confirm what was read of the issue, by /go, and nobody has."""
    given = all_commands(ctx.ledger, plan.spec)
    if not plan.confirm or any(one.obeyed and commands.is_go(one) for one in given):
        return
    pending = [one for one in unanswered(ctx, plan) if isinstance(parsed(plan, one), Go)]
    if pending:
        _record(ctx, plan, pending[0], "what was read is confirmed", obeyed=True)
        return
    publish_waiting(ctx, plan)
    raise Paused(
        f"issue {plan.spec.issue.number} waits for a person to confirm how it was read",
        where=plan.spec.issue.source,
        next_step="look at its comment (or --plan), comment /go, and run the same command again",
    )


def guidance(ctx: CampaignContext, plan: Plan) -> str:
    """Return what people wrote beside commands, for whoever writes changes; nothing where the tracker is away."""
    try:
        return commands.guidance(ctx.tracker.human_comments(plan.spec.issue.number))
    except (Unreachable, BadInput):
        return ""


def _report_unread(ctx: CampaignContext, error: Unreachable | BadInput) -> None:
    ctx.emit(Notice(f"comments could not be read: {error.problem}"))


def _check_issue(ctx: CampaignContext, plan: Plan) -> None:
    """Raise Paused where the issue is no longer the one that is being answered."""
    number = plan.spec.issue.number
    try:
        issue = ctx.tracker.fetch(number)
    except BadInput as error:  # it is gone, or its author may not write any more; a file may just be being saved
        if ctx.tracker.upstream is None:
            raise
        raise Paused(error.problem, where=error.where, next_step=error.next_step) from None
    if HUMAN in (label.strip().lower() for label in issue.labels):
        raise Paused(
            f"issue {number} is labelled {HUMAN}: a person has taken over",
            where=issue.source,
            next_step="take the label off and run the same command again: nothing is lost",
        )
    if digest(issue.body) != plan.spec.body_sha256:
        raise Paused(
            f"issue {number} was edited while it ran",
            where=issue.source,
            next_step="the same command asks what it says now; put its text back to go on with what it asked",
        )


def _stopped(plan: Plan, stop: CommandRecord) -> Stopped:
    who = f"{stop.author} said" if stop.author else f"{stop.remark} says"
    return Stopped(
        f"{who} {stop.command}", where=plan.spec.issue.source, next_step="the same command goes on from here"
    )


def _pending(ctx: CampaignContext, plan: Plan) -> list[PendingCommand]:
    """Return the commands that concern this issue and that no campaign has answered."""
    number = plan.spec.issue.number
    answered = {(one.issue, one.remark, one.command) for one in ctx.ledger.records_of(CommandRecord)}
    anywhere = {(comment, command) for _, comment, command in answered}
    given = (
        PendingCommand(comment, line.text, line.issue)
        for comment in ctx.tracker.human_comments(number)
        for line in dict.fromkeys(commands.lines(comment.text))
        if line.issue in (None, number) or not comment.id.startswith("issue-")
    )
    return [
        one
        for one in given
        if (
            (one.comment.id, one.text) not in anywhere
            if one.unaddressed
            else (number, one.comment.id, one.text) not in answered
        )
    ]


# --- what becomes of a command ----------------------------------------------------------------------------


def _apply_all(ctx: CampaignContext, plan: Plan, pending: list[PendingCommand], view: CampaignView | None) -> None:
    """Record and answer commands; raise Stopped or PlanChanged for those that are obeyed."""
    changed, obeyed = plan, list[CommandRecord]()
    for one in pending:
        changed, record = _apply_one(ctx, changed, one, view)
        obeyed += [record] if record.obeyed else []
    publish_replies(ctx, plan, view)
    stop = next((record for record in obeyed if not commands.changes(record)), None)
    if stop is not None:
        raise _stopped(plan, stop)
    if obeyed:
        raise PlanChanged(changed)


def _apply_one(
    ctx: CampaignContext, plan: Plan, pending: PendingCommand, view: CampaignView | None
) -> tuple[Plan, CommandRecord]:
    """Return the plan after a command, and its record: obeyed where there is such a plan, else refused with why."""
    command = parsed(plan, pending)
    try:
        outcome = command if isinstance(command, Refusal) else _changed(ctx, plan, command)
    except BadInput as error:
        outcome = Refusal(f"{error.problem}; {error.next_step}")
    if isinstance(outcome, Refusal):
        return plan, _record(ctx, plan, pending, outcome.reason, obeyed=False)
    assert not isinstance(command, Refusal)
    return outcome, _record(ctx, plan, pending, _answer(command, plan, outcome, view), obeyed=True)


def parsed(plan: Plan, pending: PendingCommand) -> Command | Refusal:
    """Return the command that a pending one is, or why it is none of this issue's."""
    number = plan.spec.issue.number
    if pending.issue not in (None, number):
        return Refusal(f"this is issue {number}; say it there, on issue {pending.issue}")
    return commands.parse(pending.text, script(plan.base))


def _changed(ctx: CampaignContext, plan: Plan, command: Command) -> Plan | Refusal:
    """Return the plan with a command, or why there is none. Raises BadInput where preflight refuses it."""
    if isinstance(command, More):
        return Refusal("there is no verdict yet; where it is inconclusive, say it then")
    selection = commands.apply(plan.selection, command)
    return selection if isinstance(selection, Refusal) else replan(plan, selection, ctx.machine)


def _answer(command: Command, before: Plan, after: Plan, view: CampaignView | None) -> str:
    """Return the answer to a command that is obeyed."""
    match command:
        case Stop():
            return f"stopped between two runs; python agent/run.py --issue {before.spec.issue.number} goes on"
        case Skip():
            gone = next(name for name in before.order if name not in after.order)
            led = ", though it was leading and under confirmation" if view and gone == _leader(view) else ""
            return f"{gone} is left out{led}; what it has run stays in the ledger"
        case Add(variant):
            return f"{variant.name} runs too: {', '.join(after.order)}"
        case Go():
            return "nothing waits for it any more"
        case SetBudget() if after.budget == before.budget:
            return f"{before.budget} a run is the budget already"
    return f"a new campaign begins, of {after.budget} a run: results under another budget are not compared"


def _leader(view: CampaignView) -> str | None:
    """Return the variant that is being confirmed."""
    scheduled = explore.next_step(view).runs
    return scheduled[0].variant if scheduled and scheduled[0].role == "confirm" else None


def answered(plan: Plan, pending: PendingCommand, answer: str, *, obeyed: bool) -> CommandRecord:
    """Return the record of a command and its answer."""
    return CommandRecord(
        issue=plan.spec.issue.number,
        body_sha256=plan.spec.body_sha256,
        remark=pending.comment.id,
        author=pending.comment.author,
        command=pending.text,
        answer=answer,
        obeyed=obeyed,
        at=utc_now(),
        round=plan.round.number if plan.spec.proposals else 0,
    )


def put_on_record(ctx: CampaignContext, record: CommandRecord) -> None:
    """Append the record of a command: from here on it is answered."""
    fault_point("steer-before")
    ctx.ledger.append(record)
    fault_point("steer-after")


def _record(ctx: CampaignContext, plan: Plan, pending: PendingCommand, answer: str, obeyed: bool) -> CommandRecord:
    record = answered(plan, pending, answer, obeyed=obeyed)
    put_on_record(ctx, record)
    ctx.emit(Notice(f"{pending.comment.author or pending.comment.id}: {pending.text} -> {answer}"))
    return record
