"""Results for programs: --status --json, results.tsv, git notes."""

from dataclasses import replace

from agent.core.experiment import BASELINE
from agent.tracking import exports
from tests.store.test_ledger import RUN
from tests.tracking.test_board import CAMPAIGN, WON, board, row, run


def test_status_json_has_the_agreed_keys() -> None:
    status = exports.status_json(board())
    first = ["issue", "verdict", "baseline", "runs", "audits", "steering", "proposals", "findings", "usd"]
    assert list(status) == [*first, "skipped", "read_as", "read_by"]
    assert list(status["verdict"]) == ["decision", "variant", "gain", "interval", "n", "p", "reason"]  # type: ignore[call-overload]
    assert status["baseline"] == {"commit": "d" * 40, "model_dim": 768}
    runs = status["runs"]
    assert isinstance(runs, list)
    assert list(runs[0]) == [
        "variant",
        "seed",
        "status",
        "val_bpb",
        "tokens_per_second",
        "seconds",
        "commit",
        "reason",
        "log",
    ]
    assert runs[-1]["val_bpb"] is None


def test_a_verdicts_means_are_shown_where_it_has_them() -> None:
    shown = exports.verdict_json(replace(WON, mean=0.0, baseline_mean=2.5, baseline_n=3))
    assert shown is not None
    assert (shown["mean"], shown["baseline_mean"], shown["baseline_n"]) == (0.0, 2.5, 3)


def test_results_tsv_has_the_columns_and_the_crash_row_that_users_know() -> None:
    runs = [run(BASELINE, 0, 2.5), run("1D", 3, 2.45), run("1C", 0, 2.57), run("1B", 0, None, "oom")]
    lines = exports.results_tsv([(WON, runs)]).splitlines()
    assert lines[0] == "commit\tval_bpb\tmemory_gb\tstatus\tdescription"
    assert [line.split("\t")[3] for line in lines[1:]] == ["keep", "keep", "discard", "crash"]
    assert lines[4].startswith("1B1B1B1\t0.000000\t0.0\tcrash\t1B")
    assert all(line.count("\t") == 4 for line in lines)


def test_a_tab_in_a_rationale_does_not_break_results_tsv() -> None:
    [_, line] = exports.results_tsv([(WON, [replace(RUN, description="a\tb\nc")])]).splitlines()
    assert line.count("\t") == 4


def test_a_note_names_every_run_and_the_gates_word() -> None:
    text = exports.note(CAMPAIGN, "1D", WON, [run("1D", 0, 2.5), run("1D", 3, None, "nan")], "val_bpb")
    assert text.startswith("1D: keep (issue 3, 20s, mini)\n")
    assert "seed 0 (screen): ok, val_bpb 2.500000" in text
    assert "seed 3 (screen): nan" in text
    assert '"decision": "keep"' in text


def test_reasons_lost_no_more_why_a_run_failed_is_in_results_tsv_and_in_the_status() -> None:
    broken = replace(run("1B", 0, None, "nan"), reason="loss diverged", log="logs/run.log")
    assert exports.results_tsv([(WON, [broken])]).splitlines()[1].endswith(": nan, loss diverged")
    shown = exports.status_json(replace(board(), rows=(row("1B", None, broken),)))
    runs = shown["runs"]
    assert isinstance(runs, list)
    assert (runs[0]["reason"], runs[0]["log"]) == ("loss diverged", "logs/run.log")
