"""Works off a queue of issues: the most urgent one, then a look at what waits by then, until nothing does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from agent.app.priority import Backlog, IssueStates, Skipped, dependencies, order_issues
from agent.core.errors import BadInput, NothingToRun, Paused, SpendingCapReached, Stopped, Unreachable
from agent.core.experiment import Issue
from agent.core.protocols import Tracker

SEVERITY = (0, 3, 2, 1)  # exit statuses, the worst last


@dataclass
class QueueRunner:
    """One run of --queue. `is_answered` returns whether an issue has its answer and is not to be run once more.

    `has_verdict` returns whether it has any verdict here: what depends on it may begin. `run_issue` runs one; `emit`
    gets why one did not end well, and what the user should know.
    """

    tracker: Tracker
    is_answered: Callable[[int], bool]
    has_verdict: Callable[[int], bool]
    run_issue: Callable[[int], object]
    emit: Callable[[str], None]
    _statuses: dict[int, int] = field(default_factory=dict)  # of the issues that this queue is done with
    _emitted: set[str] = field(default_factory=set)
    _labelled: set[int] = field(default_factory=set)

    def backlog(self) -> Backlog:
        """Return what waits now, in order."""
        numbers = [number for number in self.tracker.open_experiments() if number not in self._statuses]
        issues = [issue for number in numbers if (issue := self._fetch_waiting(number))]
        waiting = [one for one in issues if not self._is_answered(one.number)]
        needs = {need for one in waiting for need in dependencies(one)} - {one.number for one in waiting}
        done = {number for number in needs if self.has_verdict(number) or self._statuses.get(number) == 0}
        others = {number: self._fetch(number) for number in needs - done}
        return order_issues(waiting, IssueStates(others, done, self._statuses.keys() - done))

    def preview(self, plan_issue: Callable[[int], object]) -> Backlog:
        """Return what waits now, in order, and among what is left out whatever `plan_issue` refuses, and why."""
        backlog, refused = self.backlog(), dict[int, Skipped]()
        for number in backlog.order:
            issue = self._fetch(number)
            missing = [need for need in dependencies(issue) if need in refused] if issue else []
            try:
                plan_issue(number)
            except BadInput as error:
                refused[number] = Skipped(f"it would be refused: {error}", error.exit_code)
            if missing and number not in refused:
                refused[number] = Skipped(f"it comes after #{missing[0]}, which is left out", Paused.exit_code)
        unread = {number: Skipped("it cannot be read", status) for number, status in self._statuses.items()}
        order = tuple(number for number in backlog.order if number not in refused)
        return replace(backlog, order=order, left_out={**unread, **refused, **backlog.left_out})

    def work(self) -> int:
        """Run what waits, and what comes to wait meanwhile; return the worst exit status of all.

        Raises Stopped where a person stops it or the money is used up, and whatever is wrong with more than one issue.
        """
        while (backlog := self.backlog()).order:
            for notice in backlog.notices:
                self._emit_once(notice)
            number, *later = backlog.order
            self._label(later)
            self._statuses[number] = self._run(number)
        for number, skipped in backlog.left_out.items():
            self._emit_once(f"issue {number} is left out: {skipped.reason}")
        return worst([*self._statuses.values(), *(one.status for one in backlog.left_out.values())])

    def _run(self, number: int) -> int:
        """Run one issue and return its exit status."""
        try:
            self.run_issue(number)
        except SpendingCapReached as capped:  # what this one may cost: another may cost nothing
            self.emit(f"issue {number}: {capped}")
            return capped.exit_code
        except Stopped:
            raise
        except (BadInput, NothingToRun, Paused) as error:
            self.emit(f"issue {number}: {error}")
            return error.exit_code
        return 0

    def _is_answered(self, number: int) -> bool:
        """Return whether an issue is answered. One that cannot be planned is not: its run reports what is wrong."""
        try:
            return self.is_answered(number)
        except BadInput:
            return False

    def _fetch_waiting(self, number: int) -> Issue | None:
        """Return an issue that waits. Where it cannot be read, this queue is done with it."""
        try:
            return self.tracker.fetch(number)
        except BadInput as error:
            self._statuses[number] = error.exit_code
            self.emit(f"issue {number}: {error}")
            return None

    def _fetch(self, number: int) -> Issue | None:
        """Return an issue, or None where it cannot be read."""
        try:
            return self.tracker.fetch(number)
        except BadInput:
            return None

    def _label(self, numbers: Sequence[int]) -> None:
        """Label what waits, each once."""
        for number in numbers:
            if number not in self._labelled:
                self._labelled.add(number)
                try:
                    self.tracker.set_status(number, "queued")
                except Unreachable as error:
                    self._emit_once(f"issue {number} is not labelled: {error.problem}")

    def _emit_once(self, text: str) -> None:
        if text not in self._emitted:
            self._emitted.add(text)
            self.emit(text)


def worst(statuses: Sequence[int]) -> int:
    """Return the worst of some exit statuses: an error, then a bad issue, then a pause."""
    return max(statuses, key=SEVERITY.index, default=0)


def queue_text(backlog: Backlog) -> str:
    """Return the order and why, for --plan."""
    lines = [f"{at}. issue {number}: {backlog.why[number]}" for at, number in enumerate(backlog.order, 1)]
    lines += [f"left out: issue {number}: {skipped.reason}" for number, skipped in backlog.left_out.items()]
    return "\n".join([*(lines or ["nothing waits"]), *backlog.notices])


def queue_json(backlog: Backlog) -> dict[str, object]:
    """Return the same for programs."""
    order = [{"issue": number, "why": backlog.why[number]} for number in backlog.order]
    left_out = [_skipped_json(number, skipped) for number, skipped in backlog.left_out.items()]
    return {"order": order, "left_out": left_out, "notices": list(backlog.notices)}


def _skipped_json(number: int, skipped: Skipped) -> dict[str, object]:
    return {"issue": number, "reason": skipped.reason}
