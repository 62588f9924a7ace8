"""The board of a campaign: rows, their status and means, and cells as aligned text."""

from dataclasses import replace

from agent.core.experiment import BASELINE, Budget, GateRules, Issue, Outcome, Shape, Spec, Track
from agent.core.records import AuditRecord, CampaignRecord, RunRecord
from agent.core.runs import Verdict
from agent.core.trials import Findings, Table
from agent.tracking.board import MOST_FAILURES, MOST_ROWS, Board, Row, columns, failures
from agent.tracking.comment import comment
from agent.tracking.terminal import board_text
from tests.store.test_ledger import CONDITIONS, RUN

TRACK = Track("main", "train.py", "val_bpb", "min", Budget("seconds", 300), ("train.py",), (0, 1, 2), 0.001)
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


AUDIT = AuditRecord(
    issue=3,
    campaign_id="now",
    variant="1D",
    commit="c" * 40,
    status="passed",
    failed=(),
    checks={"order": "ok", "causality": "ok"},
    metrics={"held": 2.4, "baseline_held": 2.5},
    holdout_reads=2,
    sandbox="bwrap",
    seconds=9.6,
    at="now",
)


def test_plain_tables_are_aligned() -> None:
    lines = columns([["a", "b"], ["long name", "1.25"]]).splitlines()
    assert lines == ["a             b", "long name  1.25"]


def test_a_rows_status_is_its_failure_before_its_verdict_and_pending_without_one() -> None:
    assert [one.status for one in board().rows] == [BASELINE, "keep", "discard", "oom"]
    assert row("1E", None).status == "pending"


def test_a_rows_mean_is_over_the_runs_that_report_the_metric() -> None:
    slow = replace(RUN, metrics={"tokens_per_second": 6_000.0})
    assert row("1D", WON, RUN, slow, replace(RUN, metrics={})).mean_of("tokens_per_second") == 8_000.0
    assert row("1D", WON, RUN).mean_of("unknown") is None


def test_an_outcome_is_expected_of_a_winner_alone() -> None:
    assert board().expected_outcomes == ("If 1D (wider) wins: go wide",)
    assert board(replace(WON, decision="inconclusive")).expected_outcomes == ()


def test_of_very_many_rows_a_person_sees_the_baseline_the_best_and_whom_the_gate_judged() -> None:
    many = [
        row(f"g{n}", replace(LOST, variant=f"g{n}", decision="measured"), run(f"g{n}", 0, 2.0 + n)) for n in range(200)
    ]
    worst = row("1D", WON, run("1D", 3, 999.0))
    shown = replace(board(), rows=(board().rows[0], *many, worst)).best_rows
    assert [one.name for one in shown] == [BASELINE, *(f"g{n}" for n in range(MOST_ROWS - 1)), "1D"]
    highest = replace(board(), rows=(board().rows[0], *many), track=replace(TRACK, goal="max")).best_rows
    assert highest[-1].name == "g199"
    assert board().best_rows == board().rows


def test_of_very_many_failures_the_first_are_listed_and_the_others_counted() -> None:
    many = [row(f"g{n}", None, run(f"g{n}", 0, None, "crash")) for n in range(MOST_FAILURES + 5)]
    listed = failures(replace(board(), rows=tuple(many)))
    assert [name for name, _ in listed] == [*(f"g{n}" for n in range(MOST_FAILURES)), "5 others"]


def test_findings_are_shown_to_a_person_with_nothing_active_in_them() -> None:
    findings = Findings("the [best](x)", tables=(Table("Spread", ("factor",), (("<b>WIDTH</b>",),)),), notes=("a | b",))
    text = comment(replace(board(), findings=findings))
    assert "### Spread" in text
    assert "<b>" not in text.replace("\\<b>", "")
    assert "WIDTH" in board_text(replace(board(), findings=findings))
