"""Plain text for a terminal, a pipe or a log: the board, a table of shapes, one line an event. `live` redraws a view.

Texts of others pass `one_line` or `make_postable`.
"""

import time
from collections.abc import Sequence
from typing import IO, Protocol, Self

from agent.core.experiment import Shape
from agent.core.protocols import Event, Notice, RunEnded, RunStarted
from agent.core.records import RunRecord
from agent.core.sanitize import make_postable, one_line
from agent.core.trials import Findings
from agent.tracking.board import Board, columns, command_cells, failures, gain, interval, number
from agent.tracking.comment import describe_audit


class View(Protocol):
    """Shows the events of a campaign."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def show(self, event: Event) -> None:
        """Show one event."""


def describe_outcome(run: RunRecord) -> str:
    """Return how a run ended, in a few words."""
    if run.role == "probe" and run.status == "ok":
        return f"{run.metrics['step_seconds'] * 1000:.0f} ms a step"
    if run.metric is None:
        return f"{run.status}: {run.reason} ({run.log})"
    speed = run.metrics.get("tokens_per_second")
    return f"{run.metric:.4f}" + ("" if speed is None else f", {speed:,.0f} tok/s")


def minutes(seconds: float) -> str:
    """Return the time as minutes and seconds, 2:07."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class PlainView:
    """One line an event, flushed: for a pipe, a log, a CI job."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream, self._began, self._gone = stream, time.monotonic(), False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._gone = True

    def show(self, event: Event) -> None:
        """Print the event; a run's own output stays in its log."""
        match event:
            case Notice(text):
                self._print(text)
            case RunStarted(job, number, total):
                self._print(f"run {number}/{total}: {job.variant} seed {job.seed} ({job.role})")
            case RunEnded(run):
                self._print(f"{run.variant} {run.role} seed {run.seed}: {describe_outcome(run)} in {run.seconds:.1f} s")

    def _print(self, text: str) -> None:
        if self._gone:
            return
        try:
            print(f"[{minutes(time.monotonic() - self._began)}] {text}", file=self._stream, flush=True)
        except BrokenPipeError:  # the reader has left; the campaign goes on
            self._gone = True


def board_text(board: Board) -> str:
    """Return the board, the verdict and the notices."""
    head = ["variant", board.track.metric, "n", "gain", "90 % interval", "tok/s", "status"]
    body = [
        [row.name, number(row.mean), str(row.n), gain(row.verdict), interval(row.verdict)]
        + [number(row.mean_of("tokens_per_second"), 0), row.status]
        for row in board.best_rows
    ]
    failed = [f"{name} failed, {one_line(why)}" for name, why in failures(board)]
    tables = _findings_lines(board.findings)
    return "\n".join(
        ["", columns([head, *body]), *([""] if failed else []), *failed, *tables, "", *_verdict_lines(board)]
    )


def _findings_lines(findings: Findings | None) -> list[str]:
    """Return the tables and notes of a strategy that explores."""
    if findings is None:
        return []
    tables = [f"\n{one_line(one.title)}\n{columns([one.head, *one.rows])}" for one in findings.tables]
    return [*tables, *([""] if findings.notes else []), *(f"- {one_line(note)}" for note in findings.notes)]


def _verdict_lines(board: Board) -> list[str]:
    verdict, steering = (
        board.verdict,
        ["{} said {}: {}".format(*map(one_line, command_cells(c))) for c in board.steering],
    )
    if verdict is None:
        return [*steering, "no verdict yet; the same command goes on"]
    variant = f" {verdict.variant}" if verdict.variant else ""
    lines = [
        f"verdict: {verdict.decision}{variant}",
        one_line(verdict.reason),
        *(f"the issue expected: {outcome}" for outcome in board.expected_outcomes),
        *(one_line(describe_audit(one).replace("**", "").replace("`", "")) for one in board.audits),
        *steering,
        f"baseline {board.track.name}: {board.current[:7]}",
        *map(make_postable, board.notices),
    ]
    return [line for line in lines if line]


def shapes_table(profile: str, rows: Sequence[tuple[str, Shape | None]]) -> str:
    """Return the resolved shapes of one profile, a line each."""
    head = [profile, "DEPTH", "ASPECT_RATIO", "model_dim", "n_head", "parameters", "FLOPs/token", "memory MB"]
    body = [
        [name, str(s.depth), str(s.aspect_ratio), str(s.model_dim), str(s.n_head), f"{s.params:,}"]
        + [f"{s.flops_per_token:,}", f"{s.memory_mb:,}"]
        for name, s in rows
        if s is not None
    ]
    return columns([head, *body])
