"""Works off a queue of issues: the most urgent one, then a look at what waits by then, until nothing does."""

from collections.abc import Callable
from dataclasses import dataclass, field

from agent.app import priority
from agent.app.priority import Backlog, IssueStates, Skipped
from agent.core.errors import BadInput, NothingToRun, Paused, SpendingCapReached, Stopped, Unreachable
from agent.core.experiment import Issue
from agent.core.protocols import Tracker

SEVERITY = (0, 3, 2, 1)  # exit statuses, the worst last


@dataclass
class QueueRunner:
    """One run of --queue. `decided` says of an issue whether it has its answer and is not to be run again.

    `settled` says whether it has any verdict here: what depends on it may begin. `run` runs one; `emit` gets why one
    did not end well, and what should be known.
    """

    tracker: Tracker
    decided: Callable[[int], bool]
    settled: Callable[[int], bool]
    run: Callable[[int], object]
    emit: Callable[[str], None]
    _ended: dict[int, int] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    def backlog(self) -> Backlog:
        """What waits now, in order."""
        numbers = [number for number in self.tracker.open_experiments() if number not in self._ended]
        issues = [issue for number in numbers if (issue := self._read(number))]
        waiting = [one for one in issues if not self._is_decided(one.number)]
        names = {need for one in waiting for need in priority.after(one)} - {one.number for one in waiting}
        done = {number for number in names if self.settled(number) or self._ended.get(number) == 0}
        others = {number: self._other(number) for number in names - done}
        return priority.ordered(waiting, IssueStates(others, done, self._ended.keys() - done))

    def work(self) -> int:
        """Run what waits, and what comes to wait meanwhile; return the worst exit status of all.

        Raises Stopped where a person stops it or the money is used up, and whatever is wrong with more than one issue.
        """
        while (found := self.backlog()).order:
            for notice in found.notices:
                self._once(notice)
            self._queue(found.order[1:])
            self._ended[found.order[0]] = self._status(found.order[0])
        for number, left in found.left_out.items():
            self._once(f"issue {number} is left out: {left.reason}")
        return worst([*self._ended.values(), *(left.status for left in found.left_out.values())])

    def _status(self, number: int) -> int:
        try:
            self.run(number)
        except SpendingCapReached as capped:  # what this one may cost: another may cost nothing
            self.emit(f"issue {number}: {capped}")
            return capped.exit_code
        except Stopped:
            raise
        except (BadInput, NothingToRun, Paused) as error:
            self.emit(f"issue {number}: {error}")
            return error.exit_code
        return 0

    def _is_decided(self, number: int) -> bool:
        """What cannot be planned is not decided: it is tried, and what is wrong with it is said then."""
        try:
            return self.decided(number)
        except BadInput:
            return False

    def _read(self, number: int) -> Issue | None:
        """An issue that waits; where it cannot be read, that is how it ended."""
        try:
            return self.tracker.fetch(number)
        except BadInput as error:
            self._ended[number] = error.exit_code
            self.emit(f"issue {number}: {error}")
            return None

    def _other(self, number: int) -> Issue | None:
        try:
            return self.tracker.fetch(number)
        except BadInput:
            return None

    def _queue(self, numbers: tuple[int, ...]) -> None:
        """Label what waits, each once."""
        for number in numbers:
            if (mark := f"queued {number}") not in self._told:
                self._told.add(mark)
                try:
                    self.tracker.set_status(number, "queued")
                except Unreachable as error:
                    self._once(f"issue {number} is not labelled: {error.problem}")

    def _once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.emit(text)


def worst(statuses: list[int]) -> int:
    """The worst of some exit statuses: an error, then a bad issue, then a pause."""
    return max(statuses, key=SEVERITY.index, default=0)


def queue_text(found: Backlog) -> str:
    """The order and why, for --plan."""
    lines = [f"{at}. issue {number}: {found.why[number]}" for at, number in enumerate(found.order, 1)]
    lines += [f"left out: issue {number}: {left.reason}" for number, left in found.left_out.items()]
    return "\n".join([*(lines or ["nothing waits"]), *found.notices])


def queue_json(found: Backlog) -> dict[str, object]:
    """The same for programs."""
    order = [{"issue": number, "why": found.why[number]} for number in found.order]
    left = [_left_json(number, one) for number, one in found.left_out.items()]
    return {"order": order, "left_out": left, "notices": list(found.notices)}


def _left_json(number: int, left: Skipped) -> dict[str, object]:
    return {"issue": number, "reason": left.reason}
