"""The live view of a campaign on a terminal. The one module that needs rich, imported where a terminal is there."""

import re
import time
from typing import IO, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agent.core.progress import PROGRESS
from agent.core.protocols import Event, Notice, RunEnded, RunOutput, RunStarted
from agent.core.records import RunRecord
from agent.core.runs import Job
from agent.tracking.terminal import describe_outcome, minutes

_Key = tuple[str, str, int]  # variant, role, seed


class LiveView:
    """The board so far, and for each run under way its progress, loss and time left."""

    def __init__(self, stream: IO[str]) -> None:
        self._console = Console(file=stream)
        self._began = time.monotonic()
        self._ended: list[RunRecord] = []
        self._running: dict[_Key, tuple[float, str]] = {}
        self._number, self._total = 0, 0
        self._live = Live(console=self._console, get_renderable=self._draw, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.clear()
        self._live.__exit__(None, None, None)

    def show(self, event: Event) -> None:
        """Take an event in; the view redraws itself four times a second."""
        match event:
            case Notice(text):
                self._console.print(Text(text, style="dim"))
            case RunStarted(job, number, total, expected_s):
                self._number, self._total = number, total
                self._running[_key(job)] = (0.0, f"about {expected_s:.0f} s" if expected_s else "starting")
            case RunOutput(job, line) if match := PROGRESS.search(line):
                self._running[_key(job)] = _progress(match)
            case RunEnded(run):
                self._ended.append(run)
                self._running.pop(_key(run), None)

    def _draw(self) -> RenderableType:
        blocks: list[RenderableType] = [self._board()] if self._ended else []
        blocks += [_bar(key, percent, text) for key, (percent, text) in self._running.items()]
        if self._running and self._total:
            elapsed = minutes(time.monotonic() - self._began)
            blocks.append(Text(f"run {self._number} of {self._total}, {elapsed} so far", style="dim"))
        return Group(*blocks)

    def _board(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for name in ("variant", "role", "seed", "result", "seconds"):
            table.add_column(name, justify="right" if name in ("seed", "seconds") else "left")
        for run in self._shown():
            style = "red" if run.metric is None and run.role != "probe" else ""
            table.add_row(
                run.variant, run.role, str(run.seed), Text(describe_outcome(run)), f"{run.seconds:.1f}", style=style
            )
        return table

    def _shown(self) -> list[RunRecord]:
        """Return the runs to show: no probes once runs have begun, and of many the last that fit the screen."""
        runs = [run for run in self._ended if run.role != "probe"] or self._ended
        return runs[-max(5, self._console.height - 6) :]


def _key(of: Job | RunRecord) -> _Key:
    return of.variant, of.role, of.seed


def _progress(match: re.Match[str]) -> tuple[float, str]:
    """Return the percentage and the text of a progress line."""
    step, percent, loss, speed, eta = match.groups()
    left = f" · {eta} left" if eta else ""
    return float(percent), f"step {int(step):,} · loss {loss} · {speed} tok/s{left}"


def _bar(key: _Key, percent: float, text: str) -> Table:
    line = Table.grid(padding=(0, 1))
    name = Text(f"{key[0]} seed {key[2]} ({key[1]})", no_wrap=True)
    line.add_row(name, ProgressBar(100, percent, width=12), Text(text, no_wrap=True, overflow="ellipsis"))
    return line
