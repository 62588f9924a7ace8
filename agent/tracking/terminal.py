"""What a person sees of a campaign in a pipe: one plain line an event. The view of a terminal is in live."""

import time
from typing import IO, Protocol, Self

from agent.core.protocols import Event, Notice, RunEnded, RunStarted
from agent.core.records import RunRecord


class View(Protocol):
    """Hears the events of a campaign."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def show(self, event: Event) -> None:
        """Show one event."""


def describe_outcome(run: RunRecord) -> str:
    """How a run ended, in a few words."""
    if run.role == "probe" and run.status == "ok":
        return f"{run.metrics['step_seconds'] * 1000:.0f} ms a step"
    if run.metric is None:
        return f"{run.status}: {run.reason} ({run.log})"
    speed = run.metrics.get("tokens_per_second")
    told = "" if speed is None else f", {speed:,.0f} tok/s"
    return f"{run.metric:.4f}{told}"


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
