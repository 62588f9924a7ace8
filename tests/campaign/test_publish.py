"""After the verdict: one promotion, exports that say what the ledger says, whatever happened in between."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent.campaign.evidence import CampaignView
from agent.campaign.plan import CampaignRequest
from agent.campaign.publish import build_board
from agent.core.experiment import BASELINE
from agent.core.records import VerdictRecord
from agent.core.runs import Verdict
from agent.execution.locks import exclusive
from agent.store.ledger import Ledger
from tests.campaign.test_engine import STEPS
from tests.campaign.test_evidence import CAMPAIGN, run
from tests.campaign.test_plan import plan
from tests.conftest import Finished
from tests.support.project import ROOT, agent, commit, edit, environment, git


def test_a_later_campaign_adds_to_a_commits_note_and_hides_nothing(finished: Finished) -> None:
    project = finished.project
    first = git(project, "notes", "--ref=autoresearch", "show", "autoresearch/issue-3/1D")
    assert agent(project, "--issue", "3", "--budget", "6steps").returncode == 0
    both = git(project, "notes", "--ref=autoresearch", "show", "autoresearch/issue-3/1D")
    assert both.startswith(first)
    assert both.count("1D: keep (issue 3, ") == 2
    before = git(project, "rev-parse", "refs/notes/autoresearch")
    assert agent(project, *STEPS).returncode == 0
    assert git(project, "rev-parse", "refs/notes/autoresearch") == before


def test_every_run_in_the_ledger_has_a_log_of_its_own(project: Path) -> None:
    for budget in ("5steps", "6steps"):
        assert agent(project, "--issue", "3", "--budget", budget).returncode == 0
    records = [json.loads(line) for line in (project / "experiments" / "ledger.jsonl").read_text().splitlines()]
    logs = [record["log"] for record in records if record["kind"] == "run"]
    assert len(set(logs)) == len(logs) == 14
    assert all((project / log).exists() for log in logs)


def test_a_closed_issue_still_answers_what_it_found(finished: Finished) -> None:
    project = finished.project
    edit(project, "experiments/issues/0003-depth-vs-width.md", "state: open", "state: closed")
    status = agent(project, "--issue", "3", "--status")
    assert (status.returncode, "verdict: keep 1D" in status.stdout) == (0, True)
    assert agent(project, *STEPS).returncode == 2


def test_a_reader_that_leaves_early_stops_nothing(project: Path) -> None:
    run = subprocess.run(
        f"{sys.executable} {ROOT / 'agent' / 'run.py'} {' '.join(STEPS)} | head -1",
        shell=True, cwd=project, env=environment(project), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.stderr == ""
    assert "verdict: keep 1D" in agent(project, *STEPS).stdout
    assert "run 1/" not in agent(project, *STEPS).stdout


def test_a_full_disk_is_no_fault_of_a_variant(project: Path) -> None:
    run = subprocess.run(
        ["unshare", "--mount", "sh", "-c", 'mkdir -p logs && mount -t tmpfs -o size=1m none logs && exec "$0" "$@"']
        + [sys.executable, str(ROOT / "agent" / "run.py"), *STEPS],
        cwd=project, env=environment(project), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "permitted" in run.stderr:
        pytest.skip("this machine lets nobody mount")
    assert run.returncode == 3, run.stderr
    assert "MB are free, and a run needs" in run.stderr
    assert '"kind":"run"' not in (project / "experiments" / "ledger.jsonl").read_text()


def test_the_seeds_that_an_issue_names_are_the_seeds_that_run(project: Path) -> None:
    path = "experiments/issues/0003-depth-vs-width.md"
    edit(project, path, "## Objective", "```yaml\n# autoresearch\nseeds: [7, 8]\n```\n\n## Objective")
    out = agent(project, *STEPS).stdout
    seeds = [line.split()[-2] for line in out.splitlines() if "] run " in line]
    assert seeds == ["7", "8", "7", "7", "7", "7", "8"]


def test_an_earlier_question_gets_its_own_answer_again(finished: Finished) -> None:
    project, first = finished
    assert "one run" in agent(project, "--issue", "3", "--budget", "7steps", "--gate", "lowest").stdout
    second = agent(project, *STEPS).stdout
    assert second.strip() == first[first.index("\nvariant") :].strip()
    comment = (project / "experiments" / "issues" / "0003-depth-vs-width.comment.md").read_text()
    assert "5steps a run" in comment
    assert "gate confirmed" in comment


def write_issue(project: Path, number: int, name: str, row: str) -> tuple[str, ...]:
    table = f"| ID | DEPTH | ASPECT_RATIO |\n|-|-|-|\n| {name} |{row}|\n"
    text = f"---\nnumber: {number}\ntitle: t\nlabels: [experiment]\n---\n{table}"
    (project / "experiments" / "issues" / f"{number:04d}-t.md").write_text(text)
    return ("--issue", str(number), "--budget", "5steps")


def test_what_other_issues_promote_does_not_ask_a_decided_question_again(project: Path) -> None:
    fourth, fifth = write_issue(project, 4, "4A", " 6 | 128 "), write_issue(project, 5, "5A", " 8 | 96 ")
    commit(project, "two issues")
    assert "verdict: discard" in agent(project, *fourth).stdout
    assert "verdict: keep 5A" in agent(project, *fifth).stdout
    second = agent(project, *fourth)
    assert ("run 1/" in second.stdout, "verdict: discard" in second.stdout) == (False, True)
    edit(project, "experiments/issues/0004-t.md", "labels: [experiment]", "labels: []")
    assert "verdict: discard" in agent(project, "--issue", "4", "--status").stdout


def test_the_users_own_commits_do_not_keep_a_winner_from_promotion(project: Path) -> None:
    fourth = write_issue(project, 4, "4A", " 6 | 128 ")
    first = commit(project, "an issue")
    assert "verdict: discard" in agent(project, *fourth).stdout
    sixth = write_issue(project, 6, "6A", " 12 | 32 ")
    commit(project, "the next issue")
    assert "verdict: discard" in agent(project, *sixth).stdout
    assert git(project, "rev-parse", "autoresearch/baseline/main") != first
    third = ("--issue", "4", "--budget", "6steps")
    edit(project, "experiments/issues/0004-t.md", "| 4A | 6 | 128 |", "| 4A | 8 | 96 |")
    assert "verdict: keep 4A" in agent(project, *third).stdout
    promoted = git(project, "rev-parse", "autoresearch/baseline/main")
    assert git(project, "diff", "--name-only", "main", promoted) == "train.py"
    assert "not promoted" not in agent(project, *third).stdout
    assert git(project, "rev-parse", "autoresearch/baseline/main") == promoted


def test_a_baseline_that_another_experiment_moved_meanwhile_is_not_overwritten(finished: Finished) -> None:
    project = finished.project
    promoted, main = (git(project, "rev-parse", name) for name in ("autoresearch/baseline/main", "main"))
    ledger = project / "experiments" / "ledger.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join(line for line in lines if '"kind":"promotion"' not in line))
    git(project, "update-ref", "refs/heads/autoresearch/baseline/main", main)
    assert "verdict: keep 5A" in agent(project, *write_issue(project, 5, "5A", " 10 | 64 ")).stdout
    run = agent(project, *STEPS)
    elsewhere = git(project, "rev-parse", "autoresearch/issue-5/5A")
    assert run.returncode == 0
    assert f"1D is not promoted: the baseline had moved to {elsewhere[:7]}" in run.stdout
    assert f"git update-ref refs/heads/autoresearch/baseline/main {promoted}" in run.stdout
    assert git(project, "rev-parse", "autoresearch/baseline/main") == elsewhere


def test_a_found_answer_is_shown_and_its_publishing_left_to_the_harness_that_has_the_repository(
    finished: Finished,
) -> None:
    project = finished.project
    comment = next((project / "experiments" / "issues").glob("*.comment.md"))
    comment.unlink()
    with exclusive(project / ".git" / "autoresearch" / "repository.lock", "issue 9"):
        run = agent(project, *STEPS, timeout=60)
    assert (run.returncode, "verdict: keep 1D" in run.stdout, comment.exists()) == (0, True, False), run.stderr
    assert re.search(r"not published again: repository is in use by process \d+ \(issue 9\)", run.stderr)
    assert agent(project, *STEPS).returncode == 0
    assert comment.exists()


def test_exports_that_something_spoilt_are_written_anew(finished: Finished) -> None:
    project = finished.project
    spoilt = [project / "experiments" / "results.tsv", project / "experiments/issues/0003-depth-vs-width.comment.md"]
    good = [path.read_bytes() for path in spoilt]
    for path in spoilt:
        path.write_bytes(b"\xff\xfe")
    assert agent(project, *STEPS).returncode == 0
    assert [path.read_bytes() for path in spoilt] == good


@pytest.fixture
def view(project: Path) -> CampaignView:
    """A campaign of which all runs are in the ledger: the baseline has 4.0, 1D its confirmations, 1C one run."""
    ledger = Ledger(project / "ledger.jsonl", project / "lock")
    for seed in range(3):
        ledger.append(run(BASELINE, seed, 4.0, role="baseline"))
    for seed, (metric, role) in enumerate([(1.0, "screen"), (2.0, "confirm"), (3.0, "confirm")]):
        ledger.append(run("1D", seed, metric, role=role))
    ledger.append(run("1C", 0, 2.5, role="screen"))
    return CampaignView(plan(project, CampaignRequest(3, "mini", "stdlib")), CAMPAIGN, ledger)


def published(view: CampaignView) -> dict[str, tuple[float | None, int]]:
    """Mean and number of runs by variant, as the board has them."""
    return {row.name: (row.mean, row.n) for row in build_board(view, "b" * 40, None, "command").rows}


def decide(view: CampaignView, verdict: Verdict, *variants: Verdict) -> None:
    view.ledger.append(VerdictRecord(issue=3, campaign_id=CAMPAIGN.at, verdict=verdict, variants=variants, at="now"))


def test_a_variants_published_value_is_its_confirmation_mean_never_the_screening_minimum(view: CampaignView) -> None:
    assert published(view) == {BASELINE: (4.0, 3), "1D": (2.5, 2), "1C": (2.5, 1), "1A": (None, 0), "1B": (None, 0)}


def test_a_decided_campaign_shows_what_its_verdict_rests_on_whatever_ran_later(view: CampaignView) -> None:
    winner = Verdict("1D", "keep", 1.5, None, 2, 0.01, "", 2.5, 4.0, 3)
    loser = replace(winner, variant="1C", n=1, mean=2.5)
    decide(view, winner, winner, loser)
    before = published(view)
    view.ledger.append(run(BASELINE, 9, 9.0, role="baseline", campaign_id="later"))
    view.ledger.append(run("1D", 9, 9.0, role="confirm", campaign_id="later"))
    assert published(view) == before == {**before, BASELINE: (4.0, 3), "1D": (2.5, 2), "1C": (2.5, 1)}


def test_a_verdict_of_the_first_version_is_shown_with_the_means_of_its_runs(view: CampaignView) -> None:
    before = published(view)
    winner = Verdict("1D", "keep", 1.5, None, 2, 0.01, "")
    decide(view, winner, winner, replace(winner, variant="1C"))
    assert published(view) == before
