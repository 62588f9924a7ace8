"""The state of a campaign as its reports show it: one row a variant. Types and formats, no effects."""

from collections.abc import Mapping, Sequence

from agent.core.experiment import BASELINE, Shape, Spec, Track
from agent.core.frozen import frozen
from agent.core.records import AuditRecord, CampaignRecord, CommandRecord, RunRecord
from agent.core.runs import Verdict
from agent.core.sanitize import one_line
from agent.core.trials import Findings
from agent.store.rounds import ProposalRow, RoundRow

_FAILURES = ("crash", "oom", "timeout", "nan", "no_metric", "invalid")
MISSING = "–"  # a cell without a value
MOST_ROWS = 60  # of a table for a person
MOST_FAILURES = 20  # of a list for a person


@frozen
class Row:
    """A variant or the baseline: the constants it sets, its runs, and the gate's verdict on it.

    `mean` and `spread` are the published value and the half-width of its 90 % interval (None: unknown), and `n` is the
    number of runs behind it: the confirmations of a variant that has them, else its screening run; all runs of the
    baseline.
    """

    name: str
    sets: Mapping[str, str]
    why: str
    commit: str
    shape: Shape | None
    runs: tuple[RunRecord, ...]
    verdict: Verdict | None
    mean: float | None
    spread: float | None
    n: int

    @property
    def status(self) -> str:
        """Return one word: how its last failed run ended, else the gate's decision."""
        if self.failed_run is not None:
            return self.failed_run.status
        if self.name == BASELINE:
            return BASELINE
        return self.verdict.decision if self.verdict else "pending"

    @property
    def failed_run(self) -> RunRecord | None:
        """Return its last run that failed: the one that `status` names."""
        return next((run for run in reversed(self.runs) if run.status in _FAILURES), None)

    def mean_of(self, metric: str) -> float | None:
        """Return the mean of a metric over the runs that report it; None where none does."""
        values = [run.metrics[metric] for run in self.runs if metric in run.metrics]
        return sum(values) / len(values) if values else None


@frozen
class ShownPicture:
    """A picture of a comment: what it shows, and the links to it for a light page and a dark one."""

    title: str
    light: str
    dark: str


@frozen
class Board:
    """All that reports show of a campaign. `rows` begin with the baseline; `current` is the track's baseline now."""

    spec: Spec
    track: Track
    campaign: CampaignRecord
    rows: tuple[Row, ...]
    verdict: Verdict | None
    current: str
    current_shape: Shape | None
    command: str
    notices: tuple[str, ...] = ()
    audits: tuple[AuditRecord, ...] = ()
    steering: tuple[CommandRecord, ...] = ()
    proposals: tuple[ProposalRow, ...] = ()  # of an issue in prose
    rounds: tuple[RoundRow, ...] = ()  # of an issue in prose, all of them
    usd: float = 0.0  # the cost of the issue's editor so far
    findings: Findings | None = None  # of a strategy that explores
    pictures: tuple[ShownPicture, ...] = ()  # of its findings, where they are drawn

    @property
    def best_rows(self) -> tuple[Row, ...]:
        """Return the rows for a person: all, or of very many the baseline, the best and those that the gate judged."""
        if len(self.rows) <= MOST_ROWS:
            return self.rows
        direction = 1 if self.track.goal == "min" else -1
        measured = [(direction * row.mean, row.name) for row in self.rows if row.mean is not None]
        kept = {BASELINE, *(name for _, name in sorted(measured)[:MOST_ROWS])}
        judged = {row.name for row in self.rows if row.verdict and row.verdict.p is not None}
        return tuple(row for row in self.rows if row.name in kept | judged)

    @property
    def expected_outcomes(self) -> tuple[str, ...]:
        """Return what the issue expected of the variant that won, or (an empty name) where none did.

        An outcome on a condition that nobody could check is quoted as such.
        """
        verdict = self.verdict
        if verdict is None or verdict.decision not in ("keep", "discard"):
            return ()
        winner = verdict.variant if verdict.decision == "keep" else ""
        true = [one for one in self.spec.outcomes if one.variant == winner and one.holds(verdict.gain)]
        return tuple(one_line(one.text) + _condition(one.unchecked) for one in true)


def failures(board: Board) -> list[tuple[str, str]]:
    """Return the variants that failed, each with how and why its last such run ended and where its log is.

    Of very many the first, and how many others there are.
    """
    failed = [(row.name, run) for row in board.rows if (run := row.failed_run)]
    shown = [(name, f"{run.status}: {run.reason}" + (f" ({run.log})" if run.log else "")) for name, run in failed]
    left_out = len(shown) - MOST_FAILURES
    return shown if left_out <= 0 else [*shown[:MOST_FAILURES], (f"{left_out} others", "see --status --json")]


@frozen
class IssueSummary:
    """What the comment of an issue without a campaign shows: the commands that people gave, and its rounds."""

    issue: int
    steering: tuple[CommandRecord, ...] = ()
    rounds: tuple[RoundRow, ...] = ()


def _condition(unchecked: str) -> str:
    return f" (nobody checked whether it is {one_line(unchecked)!r})" if unchecked else ""


def number(value: float | None, digits: int = 4) -> str:
    """Return a number for a cell; a dash where there is none."""
    return MISSING if value is None else f"{value:.{digits}f}"


def gain(verdict: Verdict | None) -> str:
    """Return a verdict's gain for a cell, with its sign."""
    return MISSING if verdict is None or verdict.gain is None else f"{verdict.gain:+.4f}"


def interval(verdict: Verdict | None) -> str:
    """Return a verdict's interval for a cell."""
    if verdict is None or verdict.interval is None:
        return MISSING
    low, high = verdict.interval
    return f"{low:+.4f} to {high:+.4f}"


def command_cells(record: CommandRecord) -> tuple[str, str, str]:
    """Return who gave a command, the command, and the answer. A comment in a file has no author and is named itself."""
    answer = record.answer if record.obeyed else f"not obeyed: {record.answer}"
    return record.author or record.remark, record.command, answer


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as aligned plain text: the first column to the left, the others to the right."""
    first, *others = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join([row[0].ljust(first), *(cell.rjust(width) for cell, width in zip(row[1:], others, strict=True))])
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)
