"""The comment of an issue: what it shows, and that nothing in it acts as Markdown that is somebody else's text."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from agent.core.experiment import Outcome, ReadAs
from agent.core.sanitize import one_line
from agent.tracking.board import ShownPicture
from agent.tracking.comment import _NUMBER, comment, marker
from agent.tracking.terminal import board_text
from tests.tracking.test_board import AUDIT, SPEC, WON, board, row, run


def test_the_comment_quotes_the_outcome_that_came_true_and_no_other() -> None:
    assert "> If 1D (wider) wins: go wide" in comment(board())
    assert "go deep" not in comment(board())
    assert "wins:" not in comment(board(replace(WON, decision="inconclusive")))


def test_the_comment_has_a_row_a_variant_with_gain_interval_n_speed_memory_and_status() -> None:
    lines = {line.split("|")[1].strip(): line for line in comment(board()).splitlines() if line.startswith("| ")}
    assert "| 2.5500 ± 0.0040 | – | – | 2 |" in lines["baseline"]
    assert "| 2.5000 ± 0.0040 | +0.0500 | +0.0400 to +0.0600 | 1 |" in lines["1D"]
    assert lines["1D"].endswith("| 10,000 | – | keep |")
    assert lines["1B"].endswith("| oom |")
    assert len({line.count("|") for line in lines.values()}) == 1


@pytest.mark.parametrize(
    "fact",
    ["## Verdict: keep: 1D", "1D is better", "baseline `bbbbbbb`, now `ddddddd`", "python agent/run.py --issue 3"]
    + ["`aaaaaaaaaaaa`", "xychart-beta", "a notice", "<!-- autoresearch: issue 3 -->", "20s a run, calibrated clock"],
)
def test_the_comment_states(fact: str) -> None:
    assert fact in comment(board())


def test_a_constant_with_a_bar_or_a_line_end_does_not_break_the_table() -> None:
    odd = replace(board(), rows=(replace(board().rows[0], sets={"DEPTH": "a|b\nc"}), *board().rows[1:]))
    lines = [line for line in comment(odd).splitlines() if line.startswith("| ")]
    assert "a\\|b c" in lines[2]
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1


@given(st.text("0123456789.,+–-±toMB |<[`", min_size=1, max_size=12))
def test_a_cell_that_is_taken_for_a_number_needs_no_escape(cell: str) -> None:
    assert not _NUMBER.fullmatch(cell) or re.sub(r"([|<\[`\\])", r"\\\1", one_line(cell)) == cell


def test_the_markdown_of_a_constant_or_of_an_outcome_does_nothing_in_the_comment() -> None:
    odd = "[x](http://a) `y` <img> ![z](http://b) @all #1 <!-- "
    spec = replace(SPEC, outcomes=(Outcome("1D", f"If 1D wins: ``` {odd}"),))
    loud = replace(board(), spec=spec, rows=(replace(board().rows[0], sets={"DEPTH": odd}), *board().rows[1:]))
    tokens = MarkdownIt("commonmark").enable("table").parse(comment(loud))
    inline = {part.type for token in tokens for part in token.children or ()}
    assert inline <= {"text", "text_special", "softbreak", "code_inline"}
    assert [token.info for token in tokens if token.type == "fence"] == ["text", "mermaid", "sh"]
    assert [token.content.strip() for token in tokens if token.type == "html_block"] == [marker(3)]
    assert not re.search(r"@|#1", comment(loud))


def test_without_a_verdict_the_comment_says_that_it_runs() -> None:
    assert "no verdict yet" in comment(board(None))


def test_the_comment_tells_what_the_audit_found_and_how_often_the_second_set_was_read() -> None:
    text = comment(replace(board(), audits=(AUDIT,)))
    assert "**Audit of 1D: passed.** order, causality hold. The second held-out set, read 2 times so far" in text
    assert "has 2.5000 for the baseline and 2.4000 for it. 10 s, sandbox bwrap." in text


def test_a_check_that_failed_is_told_with_its_evidence() -> None:
    failed = replace(AUDIT, status="failed", failed=("order",), checks={"order": "0.2 nats", "causality": "ok"})
    shown = replace(board(), audits=(failed,))
    assert "**Audit of 1D: failed.** `order`: 0.2 nats." in comment(shown)
    assert "Audit of 1D: failed. order: 0.2 nats." in board_text(shown)


def test_the_comment_names_the_sandbox_that_the_runs_were_in() -> None:
    assert "- sandbox none" in comment(board())


def test_reasons_lost_no_more_the_comment_says_why_a_variant_failed_and_where_its_log_is() -> None:
    broken = replace(
        run("1B", 0, None, "nan"), reason="loss diverged | at step 12", log="logs/issue-3/1B/seed-0/run.log"
    )
    rows = (*board().rows[:3], row("1B", None, broken))
    text = comment(replace(board(), rows=rows))
    assert "- 1B failed, nan: loss diverged \\| at step 12 (logs/issue-3/1B/seed-0/run.log)" in text


def test_the_comment_has_folded_how_the_issue_was_read_and_names_what_did_not_run() -> None:
    spec = replace(SPEC, read_as=(ReadAs(7, "Skip 1B.", "leaves out 1B"),), skipped={"1B": "'Skip 1B' (i.md:7)"})
    text = comment(replace(board(), spec=spec))
    assert "<details><summary>Read as (strict)</summary>" in text
    assert "| 7 | Skip 1B. | leaves out 1B |" in text
    assert "- 1B did not run: 'Skip 1B' (i.md:7)" in text


def test_a_picture_is_shown_for_a_light_page_and_a_dark_one_and_its_title_ends_no_attribute() -> None:
    text = comment(replace(board(), pictures=(ShownPicture('Best "by" <EMB>', "p/a-light.png", "p/a-dark.png"),)))
    dark = '<source media="(prefers-color-scheme: dark)" srcset="p/a-dark.png">'
    light = '<img alt="Best &quot;by&quot; &lt;EMB&gt;" src="p/a-light.png" width="400">'
    assert f"<picture>{dark}{light}</picture>" in text


def test_an_outcome_counts_where_its_bounds_hold_and_one_that_nobody_checked_says_so() -> None:
    outcomes = (
        Outcome("1D", "much", min_gain=0.1),
        Outcome("1D", "some", min_gain=0.01),
        Outcome("1D", "clear", unchecked="clearly"),
    )
    shown = replace(board(), spec=replace(SPEC, outcomes=outcomes)).expected_outcomes
    assert shown == ("some", "clear (nobody checked whether it is 'clearly')")
    nobody = replace(
        board(replace(WON, variant=None, decision="discard", gain=None)),
        spec=replace(SPEC, outcomes=(Outcome("", "stop"),)),
    )
    assert nobody.expected_outcomes == ("stop",)
