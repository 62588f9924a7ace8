"""The base: what stands at a commit, whoever has it checked out, and what in a work tree keeps a campaign from it."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.campaign.base import check_branches, check_committed, read_base, resolve_at
from agent.core.errors import BadInput
from agent.core.experiment import Track
from agent.core.sizes import ModelSize
from agent.store import tracks
from agent.store.repository import Repository
from tests.store.test_rounds import proposal
from tests.support.project import commit, edit, git
from tests.support.trial import ledger_of


def main_track(project: Path) -> Track:
    return tracks.load(project, "main")


def test_a_base_is_read_as_it_was_committed(project: Path) -> None:
    head = git(project, "rev-parse", "HEAD")
    edit(project, "train.py", "DEPTH = 8", "DEPTH = 10")
    with Repository(project) as repo:
        base = read_base(repo, main_track(project), head, ledger_of(repo))
        assert (base.baseline.constants["DEPTH"], base.has_model_code) == (8, False)
        assert base.sources.files == {"train.py": git(project, "show", "HEAD:train.py") + "\n"}
        later = commit(project, "ten layers")
        assert resolve_at(repo, main_track(project), later, ledger_of(repo)).constants["DEPTH"] == 10


@pytest.mark.parametrize("path", ["train.py", "prepare.py"])
def test_a_file_that_is_missing_at_the_base_is_named(project: Path, path: str) -> None:
    git(project, "rm", "--quiet", path)
    head = commit(project, "one file less")
    with Repository(project) as repo, pytest.raises(BadInput, match=f"{path} at {head[:7]}: the file is missing"):
        read_base(repo, main_track(project), head, ledger_of(repo))


def test_uncommitted_changes_stop_a_campaign_unless_it_is_to_go_on_without_them(project: Path) -> None:
    edit(project, "prepare.py", "import json", "import json as json")
    with Repository(project) as repo:
        with pytest.raises(BadInput, match=r"prepare\.py: uncommitted changes"):
            check_committed(repo, main_track(project), "0" * 40, committed=False)
        check_committed(repo, main_track(project), "0" * 40, committed=True)


def test_a_branch_that_keeps_git_from_making_others_is_named(project: Path) -> None:
    with Repository(project) as repo:
        check_branches(repo, main_track(project), 3)
        git(project, "branch", "autoresearch/issue-3")
        check_branches(repo, main_track(project), 4)
        with pytest.raises(BadInput, match="the branch autoresearch/issue-3 keeps git from making branches below it"):
            check_branches(repo, main_track(project), 3)


def test_a_base_that_a_model_rewrote_has_the_size_that_its_proposal_was_built_with(project: Path) -> None:
    with Repository(project) as repo:
        ledger, head = ledger_of(repo), git(project, "rev-parse", "HEAD")
        text = git(project, "show", "HEAD:train.py") + "\nrewritten = True\n"
        rewritten = repo.commit(head, {"train.py": text}, "experiment: 1A (issue 5)")
        ledger.append(replace(proposal("1A", tree=repo.tree(rewritten)), sizes={"mini": ModelSize(1234, 5678, 910)}))
        base = read_base(repo, main_track(project), rewritten, ledger)
        assert base.has_model_code
        assert {profile: one.params for profile, one in base.baseline.shapes.items()} == {"mini": 1234}
        assert read_base(repo, main_track(project), head, ledger).baseline.shapes["mini"].params != 1234
