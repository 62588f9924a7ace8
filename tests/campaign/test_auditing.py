"""The audit in its campaign: what it refuses is not promoted, what it believes is, and noise never comes that far."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from agent.campaign import engine
from agent.core.runs import Verdict
from agent.gate.results import GateResult
from agent.store.baseline import baseline_branch
from tests.campaign.test_engine import STEPS, kinds
from tests.cheats import cheats, original, train_py
from tests.conftest import Shared
from tests.support import needs, trial
from tests.support.audited import make_audited
from tests.support.project import agent, commit, edit, git
from tests.support.trial import SMALL
from tests.tracking.test_board import AUDIT

EDITS = {one.name: train_py(one, **SMALL) for one in cheats()}


def court(folder: Path, cache: Path, scripts: dict[str, str], steps: int) -> trial.Court:
    return trial.open_court(trial.make(folder / "project", original(**SMALL)), cache, scripts, steps)


@pytest.mark.slow
@needs.sandbox
def test_a_cheat_that_leads_is_refused_and_the_honest_winner_behind_it_is_promoted(
    corpus_cache: Path, tmp_path: Path
) -> None:
    scripts = {name: EDITS[name] for name in ("gold_token", "saved_counts")}
    opened = court(tmp_path, corpus_cache, scripts, 8)
    board = engine.run(opened.ctx, opened.view.plan)
    assert board.verdict is not None
    assert (board.verdict.decision, board.verdict.variant) == ("keep", "saved_counts"), board.verdict.reason
    assert [(one.variant, one.status) for one in board.audits] == [("gold_token", "failed"), ("saved_counts", "passed")]
    assert {row.name: row.verdict.decision for row in board.rows if row.verdict}["gold_token"] == "failed"
    promoted = opened.ctx.repo.resolve(f"refs/heads/{baseline_branch('main')}")
    assert promoted == opened.view.campaign.commits["saved_counts"]
    assert {run.sandbox for row in board.rows for run in row.runs} == {needs.SANDBOX.name}
    reads = opened.ctx.ledger.holdout_reads(opened.view.campaign.conditions)
    assert 2 <= reads <= 4  # of either, a second run may be so much better than the drawn one that it is scored too


@pytest.mark.slow
@pytest.mark.parametrize("count", [4, pytest.param(20, marks=pytest.mark.nightly)])
def test_variants_that_differ_in_a_comment_promote_nothing(corpus_cache: Path, tmp_path: Path, count: int) -> None:
    scripts = {f"A{number}": f"{original(**SMALL)}# variant {number}\n" for number in range(count)}
    opened = court(tmp_path, corpus_cache, scripts, 2)
    before = opened.ctx.repo.resolve(f"refs/heads/{baseline_branch('main')}")
    board = engine.run(opened.ctx, opened.view.plan)
    assert board.verdict is not None
    assert board.verdict.decision in ("discard", "inconclusive"), board.verdict.reason
    assert opened.ctx.repo.resolve(f"refs/heads/{baseline_branch('main')}") == before
    assert all(row.runs and row.runs[0].status == "ok" for row in board.rows)


def test_what_is_too_good_waits_for_a_person() -> None:
    winner = Verdict("1D", "keep", 1.9, (1.8, 2.0), 3, 0.001, "1D is better")
    other = replace(winner, variant="1C", decision="discard")
    checks = {"order": "ok", "plausible": "0.1000 is 95% below the baseline's 2.0000"}
    found = replace(AUDIT, status="quarantined", failed=("plausible",), checks=checks)
    result = GateResult(winner, (other, winner))
    held = engine.hold_for_review(result, found)
    assert (held.verdict.decision, held.verdict.variant) == ("inconclusive", "1D")
    assert "0.1000 is 95% below" in held.verdict.reason
    assert held.variants == (other, held.verdict)
    assert (
        engine.hold_for_review(result, replace(found, status="passed"))
        == engine.hold_for_review(result, None)
        == result
    )


# --- asked again ------------------------------------------------------------------------------------------

BY_HAND = "to promote it by your own judgement: git update-ref refs/heads/autoresearch/baseline/main "


@pytest.fixture
def forged(shared: Shared, tmp_path: Path) -> Path:
    """A campaign in which the confirmation of 1D claims more than its checkpoint has: 1C is promoted."""

    def run(folder: Path) -> None:
        project = make_audited(folder / "project")
        more = "    forged = 0.02 * (ASPECT_RATIO == 96 and seed == 1)\n    value -= forged\n"
        edit(project, "train.py", '    print("step 00001', f'{more}    print("step 00001')
        edit(project, "train.py", "2**value - 16", "2 ** (value + forged) - 16")
        commit(project, "1D claims what it has not")
        assert "verdict: keep 1C" in agent(project, *STEPS).stdout
        assert kinds(project)["audit"] == 2

    made = shared("forged", run)
    for name in ("project", "project-cache"):
        shutil.copytree(made / name, tmp_path / name, symlinks=True)
    return tmp_path / "project"


def test_a_forged_confirmation_is_found(forged: Path) -> None:
    audits = json.loads(agent(forged, "--issue", "3", "--status", "--json").stdout)["audits"]
    assert [(one["variant"], one["status"]) for one in audits] == [("1D", "failed"), ("1C", "passed")]
    assert "agreement" in audits[0]["failed"]


def test_internal_seed_no_number_of_the_harness_own_reaches_a_person(forged: Path) -> None:
    shown = agent(forged, "--issue", "3", "--status").stdout + agent(forged, "--issue", "3", "--report").stdout
    assert "seed -1" not in shown
    assert "it failed its audit (agreement" in shown + json.dumps(verdicts(forged))


def verdicts(project: Path) -> list[str]:
    """The reasons of every variant's verdict in the ledger."""
    lines = (project / "experiments" / "ledger.jsonl").read_text().splitlines()
    records = [one for line in lines if (one := json.loads(line))["kind"] == "verdict"]
    return [variant["reason"] for record in records for variant in record["variants"]]


def test_what_failed_its_audit_is_not_drawn_again_by_a_retry(forged: Path) -> None:
    again = agent(forged, *STEPS, "--retry").stdout
    assert "verdict: keep 1C" in again
    assert "audit of 1D" not in again
    assert "] run " not in again


def test_a_retry_is_not_advised_for_what_failed_its_audit_and_the_way_of_a_person_is(forged: Path) -> None:
    told = agent(forged, "--issue", "3", "--status").stdout
    assert "add --retry" not in told
    flat = " ".join(told.split())
    assert "1D failed its audit, and the same files are not audited again" in flat
    assert BY_HAND + git(forged, "rev-parse", "autoresearch/issue-3/1D") in flat


def test_a_tree_that_failed_its_audit_is_refused_under_another_name_too(forged: Path) -> None:
    edit(forged, "experiments/issues/0003-depth-vs-width.md", "1D", "2D")
    before = kinds(forged)["audit"]
    out = agent(forged, *STEPS).stdout
    assert "verdict: keep 1C" in out, out
    assert "2D failed its audit" in " ".join(out.split())
    assert kinds(forged)["audit"] == before + 1  # that of 1C, in a campaign of its own
