"""--more and /more: further runs of the leader and the baseline where a verdict is inconclusive, at an honest level."""

import json
from pathlib import Path

import pytest

from tests.support.project import agent, commit, edit

STEPS = ("--issue", "3", "--gate", "fixed", "--budget", "5steps")


def status(project: Path) -> dict[str, object]:
    shown = json.loads(agent(project, "--issue", "3", "--status", "--json").stdout)
    assert isinstance(shown, dict)
    return shown


def counts(project: Path) -> dict[str, int]:
    names = [one["variant"] for one in status(project)["runs"]]  # type: ignore[attr-defined]
    return {name: names.count(name) for name in dict.fromkeys(names)}


@pytest.fixture
def undecided(project: Path) -> Path:
    """A project in which issue 3 ends inconclusive: 1D gains as much as the noise."""
    edit(project, "train.py", "(8, 96): 0.05", "(8, 96): 0.002")
    edit(project, "train.py", "SIGMA = 0.001", "SIGMA = 0.01")
    edit(project, "train.py", "(10, 64): 0.02", "(10, 64): -1.0, (6, 128): -1.0, (12, 32): -1.0")
    commit(project, "a small gain")
    done = agent(project, *STEPS)
    assert "verdict: inconclusive 1D" in done.stdout, done.stdout
    flat = " ".join(done.stdout.split())
    assert "python agent/run.py --issue 3 --budget 5steps --gate fixed --profile mini --corpus stdlib --more" in flat
    return project


def test_inconclusive_more_runs_both_so_often_again_and_judges_anew(undecided: Path) -> None:
    before = counts(undecided)
    done = agent(undecided, *STEPS, "--more", "2")
    assert done.returncode == 0, done.stderr
    after = counts(undecided)
    assert (after["1D"] - before["1D"], after["baseline"] - before["baseline"]) == (2, 2)
    assert {name: count for name, count in after.items() if name not in ("1D", "baseline")} == {
        name: count for name, count in before.items() if name not in ("1D", "baseline")
    }
    assert "of 5 confirmations" in status(undecided)["verdict"]["reason"]  # type: ignore[index]


def test_a_comment_asks_for_the_same(undecided: Path) -> None:
    before = counts(undecided)
    (undecided / "experiments" / "issues" / "0003-depth-vs-width.remarks.md").write_text("/more 1\n")
    done = agent(undecided, *STEPS)
    assert done.returncode == 0, done.stderr
    after = counts(undecided)
    assert (after["1D"] - before["1D"], after["baseline"] - before["baseline"]) == (1, 1)
    assert counts(undecided) == after


def test_a_crash_after_the_request_is_made_good_by_the_same_command(undecided: Path) -> None:
    before = counts(undecided)
    agent(undecided, *STEPS, "--more", "2", env={"AUTORESEARCH_FAULT": "steer-after:kill"})
    assert agent(undecided, *STEPS, "--more", "2").returncode == 0
    assert counts(undecided)["1D"] - before["1D"] == 2


def test_more_is_refused_where_there_is_nothing_to_settle(project: Path) -> None:
    first = agent(project, *STEPS, "--more", "1")
    assert first.returncode == 2
    assert "no verdict yet" in first.stderr
    assert agent(project, *STEPS).returncode == 0
    second = agent(project, *STEPS, "--more", "1")
    assert second.returncode == 2
    assert "the verdict is keep" in second.stderr
    assert agent(project, *STEPS, "--more", "0").returncode == 2
