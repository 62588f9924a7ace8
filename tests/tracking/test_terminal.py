"""Plain text for a terminal or a pipe: one line an event, and the board."""

import io
from dataclasses import replace
from pathlib import Path

from agent.core.protocols import Event, Notice, RunEnded, RunOutput, RunStarted
from agent.core.runs import Job
from agent.tracking.terminal import PlainView, board_text
from tests.store.test_ledger import RUN
from tests.tracking.test_board import board, row, run

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


def test_a_pipe_gets_one_line_an_event() -> None:
    stream = io.StringIO()
    with PlainView(stream) as seen:
        for event in EVENTS:
            seen.show(event)
    assert [line.partition("] ")[2] for line in stream.getvalue().splitlines()] == [
        "hello",
        "run 4/10: 1A seed 0 (screen)",
        "1A screen seed 0: 2.5000, 10,000 tok/s in 25.5 s",
        "1B screen seed 0: crash: exit status 1 (logs/issue-3/1A/seed-0/run.log) in 25.5 s",
    ]


def test_the_board_for_a_terminal_ends_with_verdict_reason_and_baseline() -> None:
    lines = board_text(board()).splitlines()
    assert lines[-5:] == [
        "verdict: keep 1D",
        "1D is better",
        "the issue expected: If 1D (wider) wins: go wide",
        "baseline main: ddddddd",
        "a notice",
    ]


def test_reasons_lost_no_more_the_board_says_why_a_variant_failed_and_where_its_log_is() -> None:
    broken = replace(run("1B", 0, None, "nan"), reason="loss diverged at step 12", log="logs/run.log")
    text = board_text(replace(board(), rows=(*board().rows[:3], row("1B", None, broken))))
    assert "1B failed, nan: loss diverged at step 12 (logs/run.log)" in text
