"""Hears people while a campaign runs: their commands are put on record, answered, and obeyed by a plan made again."""

from dataclasses import dataclass

from agent.campaign.context import CampaignContext
from agent.campaign.evidence import CampaignView
from agent.campaign.plan import Plan, all_commands, replan
from agent.campaign.publish import publish_replies
from agent.core.errors import BadInput, Paused, Stopped, Unreachable
from agent.core.experiment import HumanComment
from agent.core.faults import fault_point
from agent.core.protocols import Notice
from agent.core.records import CommandRecord, utc_now
from agent.gate import verdict
from agent.spec import commands as commands_module
from agent.spec.commands import (
    Add,
    Command,
    Refusal,
    Script,
    Selection,
    SetBudget,
    Skip,
    Stop,
    apply,
    changes,
    lines,
    parse,
)
from agent.spec.parser import digest

HUMAN = "human"  # the label by which a person takes over
_LATE = "too late: the campaign has its verdict; edit the issue, or file another, to ask something else"


@dataclass(frozen=True)
class PendingCommand:
    """A command line that nobody answered yet, the remark that it stands in, and the issue that it names, if any."""

    remark: HumanComment
    command: str
    issue: int | None

    @property
    def free(self) -> bool:
        """Whether it concerns whichever campaign hears it first: it stands in another issue, and names none."""
        return self.issue is None and self.remark.id.startswith("issue-")


def apply_commands(parts: CampaignContext, plan: Plan, evidence: CampaignView | None = None) -> bool:
    """Hear what people said since the last time; whether the plan is to be made again.

    Raises Paused where a person has edited or withdrawn the issue, or taken it over; Stopped for /stop. What cannot be
    reached, or is just being written, is looked at again the next time.
    """
    if not parts.throttle.ready():
        return False
    try:
        _check_asked(parts, plan)
        said = _new(parts, plan)
    except (Unreachable, BadInput) as error:
        parts.emit(Notice(f"people were not heard: {error.problem}"))
        return False
    obeyed = [record for one in said if (record := _apply_command(parts, plan, one, evidence)).obeyed]
    if said:
        publish_replies(parts, plan, evidence)
    stop = next((record for record in obeyed if not changes(record)), None)
    if stop is not None:
        raise _stopped(plan, stop)
    return bool(obeyed)


def answer_late_commands(parts: CampaignContext, plan: Plan) -> Stopped | None:
    """Answer what was said after the verdict; what is free waits for the next campaign.

    Where something else is begun after this one, a /stop is obeyed, and returned to be raised when all is published;
    and in the rounds of --loop other commands are left to the next round.
    """
    try:
        said = [one for one in _new(parts, plan) if not one.free]
    except (Unreachable, BadInput) as error:
        parts.emit(Notice(f"people were not heard: {error.problem}"))
        return None
    stops = [one for one in said if plan.request.follows and isinstance(_understood(plan, one), Stop)]
    records = [_record(parts, plan, one, "stopped after the verdict", obeyed=True) for one in stops]
    for one in said:
        if one not in stops and not plan.request.again:
            command = _understood(plan, one)
            _record(parts, plan, one, command.reason if isinstance(command, Refusal) else _LATE, obeyed=False)
    return _stopped(plan, records[0]) if records else None


def check_stopped(parts: CampaignContext, plan: Plan) -> None:
    """Hear /stop, and nothing else, while the variants of an issue in prose are written.

    Raises Stopped, or Paused where the issue does not ask any more what it did. The rest is heard when all are known.
    """
    try:
        _check_asked(parts, plan)
        stops = [one for one in _new(parts, plan) if isinstance(_understood(plan, one), Stop)]
    except (Unreachable, BadInput) as error:
        parts.emit(Notice(f"people were not heard: {error.problem}"))
        return
    if stops:
        record = _apply_command(parts, plan, stops[0], None)
        publish_replies(parts, plan, None)
        raise _stopped(plan, record)


def guidance(parts: CampaignContext, plan: Plan) -> str:
    """What people said of the issue that is no command, for whoever writes changes; nothing where nobody answers."""
    try:
        return commands_module.guidance(parts.tracker.human_comments(plan.spec.issue.number))
    except (Unreachable, BadInput):
        return ""


def _check_asked(parts: CampaignContext, plan: Plan) -> None:
    """Raise Paused where the issue does not ask any more what is being answered."""
    number = plan.spec.issue.number
    try:
        issue = parts.tracker.fetch(number)
    except BadInput as error:  # it is gone, or its author may not write any more; a file may just be being saved
        if parts.tracker.upstream is None:
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


# --- what is new ------------------------------------------------------------------------------------------


def _new(parts: CampaignContext, plan: Plan) -> list[PendingCommand]:
    """The commands that concern this issue and that no campaign has answered."""
    number = plan.spec.issue.number
    known = {(one.issue, one.remark, one.command) for one in parts.ledger.records_of(CommandRecord)}
    anywhere = {(remark, command) for _, remark, command in known}
    said = [
        PendingCommand(remark, line.text, line.issue)
        for remark in parts.tracker.human_comments(number)
        for line in dict.fromkeys(lines(remark.text))
        if line.issue in (None, number) or not remark.id.startswith("issue-")
    ]
    heard = [
        (one.remark.id, one.command) in anywhere if one.free else (number, one.remark.id, one.command) in known
        for one in said
    ]
    return [one for one, was in zip(said, heard, strict=True) if not was]


# --- what becomes of it -----------------------------------------------------------------------------------


def _apply_command(
    parts: CampaignContext, plan: Plan, said: PendingCommand, evidence: CampaignView | None
) -> CommandRecord:
    """Put one command on record: obeyed, where a plan can be made with it, or refused with the reason."""
    command = _understood(plan, said)
    if isinstance(command, Refusal):
        return _record(parts, plan, said, command.reason, obeyed=False)
    trial = _recorded(plan, said, "", obeyed=True)
    try:
        before = replan(plan, parts.repo, parts.ledger, parts.machine)
        after = _tried(parts, before, command, trial)
    except BadInput as error:
        return _record(parts, plan, said, f"{error.problem}; {error.next_step}", obeyed=False)
    if isinstance(after, Refusal):
        return _record(parts, plan, said, after.reason, obeyed=False)
    return _record(parts, plan, said, _told(command, before, after, evidence), obeyed=True)


def _understood(plan: Plan, said: PendingCommand) -> Command | Refusal:
    if said.issue not in (None, plan.spec.issue.number):
        return Refusal(f"this is issue {plan.spec.issue.number}; say it there, on issue {said.issue}")
    return parse(said.command, _script(plan))


def _tried(parts: CampaignContext, before: Plan, command: Command, trial: CommandRecord) -> Plan | Refusal:
    """The plan with a command, or why there is none. Raises BadInput where preflight refuses it."""
    course = Selection(tuple(one.variant for one in before.variants), _skipped(parts, before))
    turned = apply(course, command)
    if isinstance(turned, Refusal):
        return turned
    return replan(before, parts.repo, parts.ledger, parts.machine, [trial])


def _skipped(parts: CampaignContext, plan: Plan) -> tuple[str, ...]:
    said = [record for record in all_commands(parts.ledger, plan.spec) if record.obeyed]
    commands = (parse(record.command, _script(plan)) for record in said)
    return tuple(command.name for command in commands if isinstance(command, Skip))


def _script(plan: Plan) -> Script:
    return Script(plan.track.script, plan.baseline.constants)


def _told(command: Command, before: Plan, after: Plan, evidence: CampaignView | None) -> str:
    """The answer to a command that is obeyed."""
    match command:
        case Stop():
            return f"stopped between two runs; python agent/run.py --issue {before.spec.issue.number} goes on"
        case Skip():
            gone = next(name for name in before.order if name not in after.order)
            led = ", though it was leading and under confirmation" if evidence and gone == _leader(evidence) else ""
            return f"{gone} is left out{led}; what it has run stays in the ledger"
        case Add(variant):
            return f"{variant.name} runs too: {', '.join(after.order)}"
        case SetBudget() if after.budget == before.budget:
            return f"{before.budget} a run is the budget already"
    return f"a new campaign begins, of {after.budget} a run: results under another budget are not compared"


def _leader(evidence: CampaignView) -> str | None:
    """The variant that is being confirmed."""
    wanted = verdict.next_runs(evidence.plan.rules, evidence.plan.order, evidence.seen())
    return wanted[0].variant if wanted and wanted[0].role == "confirm" else None


def _record(parts: CampaignContext, plan: Plan, said: PendingCommand, told: str, obeyed: bool) -> CommandRecord:
    record = _recorded(plan, said, told, obeyed)
    fault_point("steer-before")
    parts.ledger.append(record)
    fault_point("steer-after")
    parts.emit(Notice(f"{said.remark.author or said.remark.id}: {said.command} -> {told}"))
    return record


def _recorded(plan: Plan, said: PendingCommand, told: str, obeyed: bool) -> CommandRecord:
    issue, remark = plan.spec.issue.number, said.remark
    number = plan.round.number if plan.spec.proposals else 0
    said_by = (issue, plan.spec.body_sha256, remark.id, remark.author)
    return CommandRecord(*said_by, said.command, told, obeyed, utc_now(), number)
