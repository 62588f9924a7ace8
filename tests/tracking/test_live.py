"""What people see of a campaign on a terminal: progress, loss, and the board."""

import io
from dataclasses import replace

from agent.core.protocols import Event, RunEnded, RunOutput
from agent.tracking.live import LiveView
from tests.tracking.test_terminal import EVENTS, FAILED, JOB


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(events: list[Event]) -> str:
    stream = Terminal()
    with LiveView(stream) as seen:
        for event in events:
            seen.show(event)
            seen._live.refresh()
    return stream.getvalue()


def test_a_terminal_gets_progress_loss_and_the_board() -> None:
    during, after = shown(EVENTS[:3]), shown(EVENTS)
    assert "step 120 · loss 3.4120 · 12,034 tok/s · 13s left" in during
    assert "run 4 of 10" in during
    assert "2.5000, 10,000 tok/s" in after
    assert "crash: exit status 1" in after


def test_a_run_that_has_printed_nothing_yet_is_shown_with_what_it_should_take() -> None:
    assert "about 28 s" in shown(EVENTS[:2])


def test_a_reason_in_square_brackets_is_no_markup() -> None:
    assert "[/red] [bold]x" in shown([RunEnded(replace(FAILED, reason="[/red] [bold]x"))])


def test_output_that_is_no_progress_changes_nothing() -> None:
    assert "Traceback" not in shown([*EVENTS[:2], RunOutput(JOB, "Traceback (most recent call last)")])
