"""Which commit is the baseline, and whose code is in it: by git's history and the ledger."""

from pathlib import Path

import pytest

from agent.store.repository import Repository
from tests.campaign.test_plan import plan
from tests.support.project import agent, commit, edit, git

CONSTANTS, CODE = ("DEPTH = 8", "DEPTH = 6"), ("value = 1.5 -", "value = 1.25 -")


@pytest.mark.parametrize(
    ("edits", "expected"), [((), False), ((CONSTANTS,), False), ((CODE,), True), ((CODE, CONSTANTS), True)]
)
@pytest.mark.parametrize("ahead", [False, True])
def test_a_baseline_that_a_model_wrote_is_known_by_its_history(
    project: Path, edits: tuple[tuple[str, str], ...], expected: bool, ahead: bool
) -> None:
    """Promoted one after the other by nobody knows whom; the ledger is empty."""
    base = git(project, "rev-parse", "HEAD")
    with Repository(project) as repo:
        for old, new in edits:
            text = repo.read(base, "train.py")
            assert text is not None
            assert old in text
            base = repo.commit(base, {"train.py": text.replace(old, new)}, "experiment: winner")
        repo.compare_and_swap("autoresearch/baseline/main", base, None)
    if ahead:  # a person goes on from there
        git(project, "merge", "--quiet", "autoresearch/baseline/main")
        edit(project, "train.py", "import hashlib, json", "import json, hashlib")
        commit(project, "My own")
    made = plan(project)
    assert made.base_has_model_code == expected
    assert {made.has_model_code(name) for name in ("baseline", *made.order)} == {expected}


def test_a_shallow_clone_may_hide_what_a_model_wrote(project: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--depth", "1", project.as_uri(), "shallow")
    assert plan(tmp_path / "shallow").base_has_model_code
    assert not plan(project).base_has_model_code


def test_the_base_is_head_until_there_is_a_baseline(project: Path) -> None:
    assert plan(project).base.commit == git(project, "rev-parse", "HEAD")


def test_a_head_ahead_of_the_baseline_is_the_base_and_one_behind_it_is_not(project: Path) -> None:
    first = git(project, "rev-parse", "HEAD")
    git(project, "branch", "autoresearch/baseline/main")
    edit(project, "train.py", "SIGMA = 0.001", "SIGMA = 0.002")
    ahead = commit(project, "ahead")
    assert plan(project).base.commit == ahead
    git(project, "branch", "--force", "autoresearch/baseline/main", ahead)
    git(project, "reset", "--quiet", "--hard", first)
    assert plan(project).base.commit == ahead


def test_an_issue_stays_with_its_base_after_its_own_winner_was_merged(project: Path) -> None:
    first = git(project, "rev-parse", "HEAD")
    assert agent(project, "--issue", "3", "--budget", "5steps").returncode == 0
    assert plan(project).base.commit == first
    git(project, "merge", "--quiet", "autoresearch/baseline/main")
    assert plan(project).base.commit == first
