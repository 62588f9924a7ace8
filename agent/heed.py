"""Hears people while a campaign runs: their commands are put on record, answered, and obeyed by a plan made again."""

from dataclasses import dataclass

from agent import gate, planning, steering
from agent.core import BadInput, Paused, Remark, Stopped, Unreachable
from agent.evidence import Evidence
from agent.failpoints import reach
from agent.parts import Parts, now
from agent.planning import Plan
from agent.protocols import Notice
from agent.publish import answer
from agent.records import SteerRecord
from agent.spec import digest
from agent.steering import Add, Command, Refusal, SetBudget, Skip, Stop

HUMAN = "human"  # the label by which a person takes over
_LATE = "too late: the campaign has its verdict; edit the issue, or file another, to ask something else"


@dataclass(frozen=True)
class _Said:
    """A command line that nobody answered yet, the remark that it stands in, and the issue that it names, if any."""

    remark: Remark
    command: str
    issue: int | None

    @property
    def free(self) -> bool:
        """Whether it concerns whichever campaign hears it first: it stands in another issue, and names none."""
        return self.issue is None and self.remark.id.startswith("issue-")


def steered(parts: Parts, plan: Plan, evidence: Evidence | None = None) -> bool:
    """Hear what people said since the last time; whether the plan is to be made again.

    Raises Paused where a person has edited or withdrawn the issue, or taken it over; Stopped for /stop. What cannot be
    reached, or is just being written, is looked at again the next time.
    """
    if not parts.pace.due():
        return False
    try:
        _check_asked(parts, plan)
        said = _new(parts, plan)
    except (Unreachable, BadInput) as error:
        parts.tell(Notice(f"people were not heard: {error.problem}"))
        return False
    obeyed = [record for one in said if (record := _obey(parts, plan, one, evidence)).obeyed]
    if said:
        answer(parts, plan, evidence)
    stop = next((record for record in obeyed if not steering.changes(record)), None)
    if stop is not None:
        raise _stopped(plan, stop)
    return bool(obeyed)


def too_late(parts: Parts, plan: Plan) -> Stopped | None:
    """Answer what was said after the verdict; what is free waits for the next campaign.

    Where something else is begun after this one, a /stop is obeyed, and returned to be raised when all is published;
    and in the rounds of --loop other commands are left to the next round.
    """
    try:
        said = [one for one in _new(parts, plan) if not one.free]
    except (Unreachable, BadInput) as error:
        parts.tell(Notice(f"people were not heard: {error.problem}"))
        return None
    stops = [one for one in said if plan.asked.follows and isinstance(_understood(plan, one), Stop)]
    records = [_record(parts, plan, one, "stopped after the verdict", obeyed=True) for one in stops]
    for one in said:
        if one not in stops and not plan.asked.again:
            command = _understood(plan, one)
            _record(parts, plan, one, command.reason if isinstance(command, Refusal) else _LATE, obeyed=False)
    return _stopped(plan, records[0]) if records else None


def check_stopped(parts: Parts, plan: Plan) -> None:
    """Hear /stop, and nothing else, while the variants of an issue in prose are written.

    Raises Stopped, or Paused where the issue does not ask any more what it did. The rest is heard when all are known.
    """
    try:
        _check_asked(parts, plan)
        stops = [one for one in _new(parts, plan) if isinstance(_understood(plan, one), Stop)]
    except (Unreachable, BadInput) as error:
        parts.tell(Notice(f"people were not heard: {error.problem}"))
        return
    if stops:
        record = _obey(parts, plan, stops[0], None)
        answer(parts, plan, None)
        raise _stopped(plan, record)


def guidance(parts: Parts, plan: Plan) -> str:
    """What people said of the issue that is no command, for whoever writes changes; nothing where nobody answers."""
    try:
        return steering.guidance(parts.tracker.remarks(plan.spec.issue.number))
    except (Unreachable, BadInput):
        return ""


def _check_asked(parts: Parts, plan: Plan) -> None:
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


def _stopped(plan: Plan, stop: SteerRecord) -> Stopped:
    who = f"{stop.author} said" if stop.author else f"{stop.remark} says"
    return Stopped(
        f"{who} {stop.command}", where=plan.spec.issue.source, next_step="the same command goes on from here"
    )


# --- what is new ------------------------------------------------------------------------------------------


def _new(parts: Parts, plan: Plan) -> list[_Said]:
    """The commands that concern this issue and that no campaign has answered."""
    number = plan.spec.issue.number
    known = {(one.issue, one.remark, one.command) for one in parts.ledger.about(SteerRecord)}
    anywhere = {(remark, command) for _, remark, command in known}
    said = [
        _Said(remark, line.text, line.issue)
        for remark in parts.tracker.remarks(number)
        for line in dict.fromkeys(steering.lines(remark.text))
        if line.issue in (None, number) or not remark.id.startswith("issue-")
    ]
    heard = [
        (one.remark.id, one.command) in anywhere if one.free else (number, one.remark.id, one.command) in known
        for one in said
    ]
    return [one for one, was in zip(said, heard, strict=True) if not was]


# --- what becomes of it -----------------------------------------------------------------------------------


def _obey(parts: Parts, plan: Plan, said: _Said, evidence: Evidence | None) -> SteerRecord:
    """Put one command on record: obeyed, where a plan can be made with it, or refused with the reason."""
    command = _understood(plan, said)
    if isinstance(command, Refusal):
        return _record(parts, plan, said, command.reason, obeyed=False)
    trial = _recorded(plan, said, "", obeyed=True)
    try:
        before = planning.again(plan, parts.repo, parts.ledger, parts.machine)
        after = _tried(parts, before, command, trial)
    except BadInput as error:
        return _record(parts, plan, said, f"{error.problem}; {error.next_step}", obeyed=False)
    if isinstance(after, Refusal):
        return _record(parts, plan, said, after.reason, obeyed=False)
    return _record(parts, plan, said, _told(command, before, after, evidence), obeyed=True)


def _understood(plan: Plan, said: _Said) -> Command | Refusal:
    if said.issue not in (None, plan.spec.issue.number):
        return Refusal(f"this is issue {plan.spec.issue.number}; say it there, on issue {said.issue}")
    return steering.parse(said.command, _script(plan))


def _tried(parts: Parts, before: Plan, command: Command, trial: SteerRecord) -> Plan | Refusal:
    """The plan with a command, or why there is none. Raises BadInput where preflight refuses it."""
    course = steering.Course(tuple(one.variant for one in before.variants), _skipped(parts, before))
    turned = steering.turned(course, command)
    if isinstance(turned, Refusal):
        return turned
    return planning.again(before, parts.repo, parts.ledger, parts.machine, [trial])


def _skipped(parts: Parts, plan: Plan) -> tuple[str, ...]:
    said = [record for record in planning.steered(parts.ledger, plan.spec) if record.obeyed]
    commands = (steering.parse(record.command, _script(plan)) for record in said)
    return tuple(command.name for command in commands if isinstance(command, Skip))


def _script(plan: Plan) -> steering.Script:
    return steering.Script(plan.track.script, plan.baseline.constants)


def _told(command: Command, before: Plan, after: Plan, evidence: Evidence | None) -> str:
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


def _leader(evidence: Evidence) -> str | None:
    """The variant that is being confirmed."""
    wanted = gate.next_runs(evidence.plan.rules, evidence.plan.order, evidence.seen())
    return wanted[0].variant if wanted and wanted[0].role == "confirm" else None


def _record(parts: Parts, plan: Plan, said: _Said, told: str, obeyed: bool) -> SteerRecord:
    record = _recorded(plan, said, told, obeyed)
    reach("steer-before")
    parts.ledger.append(record)
    reach("steer-after")
    parts.tell(Notice(f"{said.remark.author or said.remark.id}: {said.command} -> {told}"))
    return record


def _recorded(plan: Plan, said: _Said, told: str, obeyed: bool) -> SteerRecord:
    issue, remark = plan.spec.issue.number, said.remark
    number = plan.turn.number if plan.spec.proposals else 0
    said_by = (issue, plan.spec.body_sha256, remark.id, remark.author)
    return SteerRecord(*said_by, said.command, told, obeyed, now(), number)
