"""What a person sees while a campaign runs: a live view on a terminal, one plain line an event in a pipe."""

import re
import time
from typing import IO, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agent.core.protocols import Event, Notice, RunEnded, RunOutput, RunStarted
from agent.core.records import RunRecord
from agent.core.runs import Job

# The progress line of train.py: step 00120 | 34.5% | loss 3.4120 | 12,034 tok/s | eta 13s
_PROGRESS = re.compile(r"step (\d+) \| +([\d.]+)% \| loss ([\d.]+) \| ([\d,]+) tok/s(?: \| eta (\S+))?")
_Key = tuple[str, str, int]  # variant, role, seed


class View(Protocol):
    """Hears the events of a campaign."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def tell(self, event: Event) -> None:
        """Show one event."""


def view(stream: IO[str]) -> View:
    """The live view where `stream` is a terminal, else plain lines."""
    return LiveView(stream) if stream.isatty() else PlainView(stream)


def _outcome(run: RunRecord) -> str:
    """How a run ended, in a few words."""
    if run.role == "probe" and run.status == "ok":
        return f"{run.metrics['step_seconds'] * 1000:.0f} ms a step"
    if run.metric is None:
        return f"{run.status}: {run.reason} ({run.log})"
    speed = run.metrics.get("tokens_per_second")
    told = "" if speed is None else f", {speed:,.0f} tok/s"
    return f"{run.metric:.4f}{told}"


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class PlainView:
    """One line an event, flushed: for a pipe, a log, a CI job."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream, self._began, self._gone = stream, time.monotonic(), False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._gone = True

    def tell(self, event: Event) -> None:
        """Print the event; a run's own output stays in its log."""
        match event:
            case Notice(text):
                self._print(text)
            case RunStarted(job, number, total):
                self._print(f"run {number}/{total}: {job.variant} seed {job.seed} ({job.role})")
            case RunEnded(run):
                self._print(f"{run.variant} {run.role} seed {run.seed}: {_outcome(run)} in {run.seconds:.1f} s")

    def _print(self, text: str) -> None:
        if self._gone:
            return
        try:
            print(f"[{_minutes(time.monotonic() - self._began)}] {text}", file=self._stream, flush=True)
        except BrokenPipeError:  # the reader has left; the campaign goes on
            self._gone = True


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

    def tell(self, event: Event) -> None:
        """Take the event in; the view redraws itself four times a second."""
        match event:
            case Notice(text):
                self._console.print(Text(text, style="dim"))
            case RunStarted(job, number, total, expected_s):
                self._number, self._total = number, total
                self._running[_key(job)] = (0.0, f"about {expected_s:.0f} s" if expected_s else "starting")
            case RunOutput(job, line) if found := _PROGRESS.search(line):
                self._running[_key(job)] = _progress(found)
            case RunEnded(run):
                self._ended.append(run)
                self._running.pop(_key(run), None)

    def _draw(self) -> RenderableType:
        parts: list[RenderableType] = [self._board()] if self._ended else []
        parts += [_bar(key, *told) for key, told in self._running.items()]
        if self._running and self._total:
            elapsed = _minutes(time.monotonic() - self._began)
            parts.append(Text(f"run {self._number} of {self._total}, {elapsed} so far", style="dim"))
        return Group(*parts)

    def _board(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for name in ("variant", "role", "seed", "result", "seconds"):
            table.add_column(name, justify="right" if name in ("seed", "seconds") else "left")
        for run in self._shown():
            style = "red" if run.metric is None and run.role != "probe" else ""
            table.add_row(run.variant, run.role, str(run.seed), Text(_outcome(run)), f"{run.seconds:.1f}", style=style)
        return table

    def _shown(self) -> list[RunRecord]:
        """Probes are of no interest once runs have begun; a long campaign keeps to the screen's height."""
        runs = [run for run in self._ended if run.role != "probe"] or self._ended
        return runs[-max(5, self._console.height - 6) :]


def _key(of: Job | RunRecord) -> _Key:
    return of.variant, of.role, of.seed


def _progress(found: re.Match[str]) -> tuple[float, str]:
    step, percent, loss, speed, eta = found.groups()
    left = f" · {eta} left" if eta else ""
    return float(percent), f"step {int(step):,} · loss {loss} · {speed} tok/s{left}"


def _bar(key: _Key, percent: float, told: str) -> Table:
    line = Table.grid(padding=(0, 1))
    name = Text(f"{key[0]} seed {key[2]} ({key[1]})", no_wrap=True)
    line.add_row(name, ProgressBar(100, percent, width=12), Text(told, no_wrap=True, overflow="ellipsis"))
    return line
