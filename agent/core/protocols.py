"""The Protocols of executors, trackers and editors, and the events that a campaign emits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Protocol

from agent.core.experiment import HumanComment, Issue, IssueStatus
from agent.core.frozen import frozen
from agent.core.proposals import BlockAnswer, Brief, Draft, Idea, Ideas
from agent.core.records import RunRecord
from agent.core.runs import Job, Result

# --- roles ------------------------------------------------------------------------------------------------


class Executor(Protocol):
    """Runs jobs somewhere."""

    slots: int

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Result]]:
        """Yield each job with its result as it completes."""


@frozen
class Upstream:
    """The repository that issues live in: its name, the git remote that holds it, and what git needs to push there.

    web: where people see it, such as `https://<host>/<name>`; a file of a commit is at `<web>/raw/<commit>/<path>`.
    """

    place: str
    remote: str
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    poll_s: float = 30.0  # seconds between two polls for comments of people
    web: str = ""


class Tracker(Protocol):
    """Where issues come from and results go. Every method may raise Unreachable; `comment` and what follows may then
    be called again with the same arguments, and have the effect of one call. `upstream` is None where issues are files.
    """

    upstream: Upstream | None

    def fetch(self, number: int) -> Issue:
        """Return the issue. Raises BadInput when there is none, or when its author may not start a run."""

    def human_comments(self, number: int) -> Sequence[HumanComment]:
        """Return what people with write access wrote about the issue, oldest first, without our own comment."""

    def revision(self, number: int) -> str:
        """Return a text that changes with the issue and with what people write; empty where only a look can tell."""

    def open_experiments(self) -> Sequence[int]:
        """Return the numbers of the open issues labelled `experiment`."""

    def comment(self, number: int, text: str) -> str:
        """Write the one comment of the issue, replacing an earlier one; return where it is."""

    def set_status(self, number: int, status: IssueStatus) -> None:
        """Set the issue's label `status: ...`, and leave its other labels alone."""

    def close(self, number: int) -> None:
        """Close the issue."""

    def pull(self, number: int, branch: str, title: str, text: str) -> str:
        """Propose the pushed `branch` for merging, once; return where. Raises BadInput where there is no such thing."""


class Editor(Protocol):
    """Turns prose into changes of files. Raises Paused where a limit of money or time is reached."""

    def ideas(self, brief: Brief, count: int, folder: Path) -> Ideas:
        """Return up to `count` changes to try, unnamed. The conversation is kept in `folder`."""

    def write(self, brief: Brief, idea: Idea, failure: str, folder: Path) -> Draft:
        """Return the change to `brief.files`; with `failure`, revise a draft, now in the files, that failed so."""


class Reader(Protocol):
    """Writes the settings block that an issue means. Raises SpendingCapReached where the money does not allow it."""

    name: str

    def block(self, rules: str, question: str, earlier: Sequence[tuple[str, str]]) -> BlockAnswer:
        """Return the block; `earlier` are those it wrote before, each with why it was refused."""


# --- events of a campaign ---------------------------------------------------------------------------------


@frozen
class Notice:
    """A line for the user."""

    text: str


@frozen
class RunStarted:
    """Run `number` of about `total` began; it is expected to take `expected_s` seconds."""

    job: Job
    number: int
    total: int
    expected_s: float


@frozen
class RunOutput:
    """A line that a run printed."""

    job: Job
    line: str


@frozen
class RunEnded:
    """A run is over and in the ledger."""

    record: RunRecord


Event = Notice | RunStarted | RunOutput | RunEnded
