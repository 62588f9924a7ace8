"""Reports: what a reader of the comment, of --status, of results.tsv and of git log is told."""

import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from agent.core.experiment import BASELINE, GateRules, Issue, Outcome, Shape, Spec, Track
from agent.core.records import AuditRecord, CampaignRecord, RunRecord
from agent.core.runs import Verdict
from agent.tracking import comment
from agent.tracking.comment import Board, Row
from tests.store.test_ledger import CONDITIONS, RUN

TRACK = Track("main", "train.py", "val_bpb", "min", 300, ("train.py",), (0, 1, 2), 0.001)
SPEC = Spec(
    Issue(3, "Depth", "body"),
    "main",
    "table",
    (),
    None,
    None,
    None,
    (Outcome("1D", "If 1D (wider) wins: go wide"), Outcome("1C", "If 1C wins: go deep")),
    "s",
)
CAMPAIGN = CampaignRecord(
    issue=3,
    title="Depth",
    body_sha256="a" * 64,
    conditions=CONDITIONS,
    gate=GateRules(),
    base="b" * 40,
    commits={},
    trees={},
    at="now",
)
SHAPE = Shape(8, 96, 128, 768, 6, 1_234_567, 7_000_000, 900)
WON = Verdict("1D", "keep", 0.05, (0.04, 0.06), 3, 0.001, "1D is better")
LOST = Verdict("1C", "discard", -0.02, (-0.03, -0.01), 1, None, "1C is worse")


def row(name: str, verdict: Verdict | None, *runs: RunRecord) -> Row:
    values = [run.metric for run in runs if run.metric is not None]
    mean = sum(values) / len(values) if values else None
    return Row(name, {"DEPTH": "8"}, "why", name * 20, SHAPE, runs, verdict, mean, 0.004, len(values))


def run(name: str, seed: int, metric: float | None, status: str = "ok") -> RunRecord:
    return replace(RUN, variant=name, seed=seed, metric=metric, status=status, commit=name * 20)  # type: ignore[arg-type]


def board(verdict: Verdict | None = WON) -> Board:
    rows = (
        row(BASELINE, None, run(BASELINE, 0, 2.5), run(BASELINE, 1, 2.6)),
        row("1D", WON, run("1D", 3, 2.5)),
        row("1C", LOST, run("1C", 0, 2.57)),
        row("1B", replace(LOST, variant="1B", decision="failed"), run("1B", 0, None, "oom")),
    )
    return Board(SPEC, TRACK, CAMPAIGN, rows, verdict, "d" * 40, SHAPE, "python agent/run.py --issue 3", ("a notice",))


def test_the_comment_quotes_the_outcome_that_came_true_and_no_other() -> None:
    assert "> If 1D (wider) wins: go wide" in comment.comment(board())
    assert "go deep" not in comment.comment(board())
    assert "wins:" not in comment.comment(board(replace(WON, decision="inconclusive")))


def test_the_comment_has_a_row_a_variant_with_gain_interval_n_speed_memory_and_status() -> None:
    lines = {
        line.split("|")[1].strip(): line for line in comment.comment(board()).splitlines() if line.startswith("| ")
    }
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
    assert fact in comment.comment(board())


def test_a_constant_with_a_bar_or_a_line_end_does_not_break_the_table() -> None:
    odd = replace(board(), rows=(replace(board().rows[0], sets={"DEPTH": "a|b\nc"}), *board().rows[1:]))
    lines = [line for line in comment.comment(odd).splitlines() if line.startswith("| ")]
    assert "a\\|b c" in lines[2]
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1


def test_the_markdown_of_a_constant_or_of_an_outcome_does_nothing_in_the_comment() -> None:
    odd = "[x](http://a) `y` <img> ![z](http://b) @all #1 <!-- "
    spec = replace(SPEC, outcomes=(Outcome("1D", f"If 1D wins: ``` {odd}"),))
    loud = replace(board(), spec=spec, rows=(replace(board().rows[0], sets={"DEPTH": odd}), *board().rows[1:]))
    tokens = MarkdownIt("commonmark").enable("table").parse(comment.comment(loud))
    inline = {part.type for token in tokens for part in token.children or ()}
    assert inline <= {"text", "text_special", "softbreak", "code_inline"}
    assert [token.info for token in tokens if token.type == "fence"] == ["text", "mermaid", "sh"]
    assert [token.content.strip() for token in tokens if token.type == "html_block"] == [comment.marker(3)]
    assert not re.search(r"@|#1", comment.comment(loud))


def test_without_a_verdict_the_comment_says_that_it_runs() -> None:
    assert "no verdict yet" in comment.comment(board(None))


def test_status_json_has_the_agreed_keys() -> None:
    told = comment.status_json(board())
    assert list(told) == ["issue", "verdict", "baseline", "runs", "audits", "steering", "proposals", "usd"]
    assert list(told["verdict"]) == ["decision", "variant", "gain", "interval", "n", "p", "reason"]  # type: ignore[call-overload]
    assert told["baseline"] == {"commit": "d" * 40, "model_dim": 768}
    runs = told["runs"]
    assert isinstance(runs, list)
    assert list(runs[0]) == ["variant", "seed", "status", "val_bpb", "tokens_per_second", "seconds", "commit"]
    assert runs[-1]["val_bpb"] is None


def test_results_tsv_has_the_columns_and_the_crash_row_that_users_know() -> None:
    runs = [run(BASELINE, 0, 2.5), run("1D", 3, 2.45), run("1C", 0, 2.57), run("1B", 0, None, "oom")]
    lines = comment.results_tsv([(WON, runs)]).splitlines()
    assert lines[0] == "commit\tval_bpb\tmemory_gb\tstatus\tdescription"
    assert [line.split("\t")[3] for line in lines[1:]] == ["keep", "keep", "discard", "crash"]
    assert lines[4].startswith("1B1B1B1\t0.000000\t0.0\tcrash\t1B")
    assert all(line.count("\t") == 4 for line in lines)


def test_a_tab_in_a_rationale_does_not_break_results_tsv() -> None:
    [_, line] = comment.results_tsv([(WON, [replace(RUN, description="a\tb\nc")])]).splitlines()
    assert line.count("\t") == 4


def test_a_note_names_every_run_and_the_gates_word() -> None:
    text = comment.note(CAMPAIGN, "1D", WON, [run("1D", 0, 2.5), run("1D", 3, None, "nan")], "val_bpb")
    assert text.startswith("1D: keep (issue 3, 20s, mini)\n")
    assert "seed 0 (screen): ok, val_bpb 2.500000" in text
    assert "seed 3 (screen): nan" in text
    assert '"decision": "keep"' in text


def test_plain_tables_are_aligned() -> None:
    lines = comment.columns([["a", "b"], ["long name", "1.25"]]).splitlines()
    assert lines == ["a             b", "long name  1.25"]


def test_the_board_for_a_terminal_ends_with_verdict_reason_and_baseline() -> None:
    lines = comment.board_text(board()).splitlines()
    assert lines[-5:] == [
        "verdict: keep 1D",
        "1D is better",
        "the issue expected: If 1D (wider) wins: go wide",
        "baseline main: ddddddd",
        "a notice",
    ]


AUDIT = AuditRecord(
    issue=3, campaign_id="now", variant="1D", commit="c" * 40, status="passed", failed=(), checks={"order": "ok", "causality": "ok"},
    metrics={"held_bpb": 2.4, "baseline_held_bpb": 2.5}, holdout_reads=2, sandbox="bwrap", seconds=9.6, at="now",
)  # fmt: skip


def test_the_comment_tells_what_the_audit_found_and_how_often_the_second_set_was_read() -> None:
    text = comment.comment(replace(board(), audits=(AUDIT,)))
    assert "**Audit of 1D: passed.** order, causality hold. The second held-out set, read 2 times so far" in text
    assert "has 2.5000 for the baseline and 2.4000 for it. 10 s, sandbox bwrap." in text


def test_a_check_that_failed_is_told_with_its_evidence() -> None:
    failed = replace(AUDIT, status="failed", failed=("order",), checks={"order": "0.2 nats", "causality": "ok"})
    shown = replace(board(), audits=(failed,))
    assert "**Audit of 1D: failed.** `order`: 0.2 nats." in comment.comment(shown)
    assert "Audit of 1D: failed. order: 0.2 nats." in comment.board_text(shown)


def test_the_comment_names_the_sandbox_that_the_runs_were_in() -> None:
    assert "- sandbox none" in comment.comment(board())
