"""What people see: plain lines in a pipe, a board on a terminal."""

import io
from dataclasses import replace
from pathlib import Path

from agent.core.protocols import Event, Notice, RunEnded, RunOutput, RunStarted
from agent.core.runs import Job
from agent.tracking.terminal import LiveView, PlainView, view
from tests.store.test_ledger import RUN

JOB = Job("1A", "c" * 40, 0, "screen", ("python",), {}, Path("logs"), 60, "val_bpb")
LINE = "step 00120 | 34.5% | loss 3.4120 | 12,034 tok/s | eta 13s"
FAILED = replace(RUN, variant="1B", status="crash", metric=None, metrics={}, reason="exit status 1")
EVENTS: list[Event] = [
    Notice("hello"),
    RunStarted(JOB, 4, 10, 28.0),
    RunOutput(JOB, LINE),
    RunEnded(RUN),
    RunEnded(FAILED),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, events: list[Event]) -> str:
    with view(stream) as seen:
        for event in events:
            seen.tell(event)
            if isinstance(seen, LiveView):
                seen._live.refresh()
    return stream.getvalue()


def test_a_pipe_gets_one_line_an_event() -> None:
    lines = shown(io.StringIO(), EVENTS).splitlines()
    assert [line.partition("] ")[2] for line in lines] == [
        "hello",
        "run 4/10: 1A seed 0 (screen)",
        "1A screen seed 0: 2.5000, 10,000 tok/s in 25.5 s",
        "1B screen seed 0: crash: exit status 1 (logs/issue-3/1A/seed-0/run.log) in 25.5 s",
    ]


def test_a_terminal_gets_progress_loss_and_the_board() -> None:
    during, after = shown(Terminal(), EVENTS[:3]), shown(Terminal(), EVENTS)
    assert "step 120 · loss 3.4120 · 12,034 tok/s · 13s left" in during
    assert "run 4 of 10" in during
    assert "2.5000, 10,000 tok/s" in after
    assert "crash: exit status 1" in after


def test_a_run_that_has_said_nothing_yet_is_shown_with_what_it_should_take() -> None:
    assert "about 28 s" in shown(Terminal(), EVENTS[:2])


def test_a_pipe_and_a_terminal_have_their_own_views() -> None:
    assert isinstance(view(io.StringIO()), PlainView)
    assert isinstance(view(Terminal()), LiveView)


def test_a_reason_in_square_brackets_is_no_markup() -> None:
    assert "[/red] [bold]x" in shown(Terminal(), [RunEnded(replace(FAILED, reason="[/red] [bold]x"))])


def test_output_that_is_no_progress_changes_nothing() -> None:
    assert "Traceback" not in shown(Terminal(), [*EVENTS[:2], RunOutput(JOB, "Traceback (most recent call last)")])
