"""What is pushed to a remote: nothing of others is lost, and nothing hangs."""

import base64
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest

from agent.core.errors import Unreachable
from agent.core.protocols import Upstream
from agent.store.remote import Remote
from agent.store.repository import NOTES, Repository
from agent.tracking.address import credentials
from tests.store.test_repository import head
from tests.support.project import git


@pytest.fixture
def repo(project: Path) -> Repository:
    return Repository(project)


UP = Upstream("lab/experiments", "origin")
ONE = "refs/heads/autoresearch/issue-3/1A"
BASELINE = "refs/heads/autoresearch/baseline/main"


@pytest.fixture
def remote(project: Path, tmp_path: Path) -> Path:
    """What origin of the project is."""
    git(tmp_path, "init", "--quiet", "--bare", "remote.git")
    git(project, "remote", "add", "origin", str(tmp_path / "remote.git"))
    git(project, "push", "--quiet", "origin", "main")
    return tmp_path / "remote.git"


@pytest.fixture
def other(remote: Path, tmp_path: Path) -> Repository:
    """Another clone, in which another harness works."""
    git(tmp_path, "clone", "--quiet", "--branch", "main", str(remote), "other")
    return Repository(tmp_path / "other")


def there(remote: Path) -> dict[str, str]:
    """What the remote's refs name."""
    lines = git(remote, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return {name: commit for name, commit in (line.split() for line in lines) if "autoresearch" in name}


def variant(clone: Repository, base: str, depth: int) -> str:
    """A commit that sets one constant."""
    return clone.commit(base, {"train.py": f"DEPTH = {depth}\n"}, "experiment")


def hook(repository: Path, name: str, script: str) -> None:
    """Have git run a script."""
    path = repository / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_what_is_pushed_is_there_and_pushing_again_sends_nothing(project: Path, repo: Repository, remote: Path) -> None:
    new = variant(repo, head(project), 9)
    repo.set_branch("autoresearch/issue-3/1A", new)
    repo.compare_and_swap("autoresearch/baseline/main", new, None)
    repo.write_notes({new: "a note"})
    refs = [*repo.branches("autoresearch/issue-3/"), BASELINE, NOTES]
    assert Remote(repo, UP).push(refs, ()) == []
    assert there(remote) == {ONE: new, BASELINE: new, NOTES: git(project, "rev-parse", NOTES)}
    hook(remote, "pre-receive", "exit 1")
    assert Remote(repo, UP).push(refs, ()) == []


def test_a_branch_that_another_clone_pushed_stays_reachable(
    project: Path, repo: Repository, remote: Path, other: Repository
) -> None:
    ours, theirs = variant(repo, head(project), 9), variant(other, head(project), 10)
    for clone, new in ((other, theirs), (repo, ours)):
        clone.set_branch("autoresearch/issue-3/1A", new)
        assert Remote(clone, UP).push([ONE], ()) == []
    assert there(remote) == {ONE: ours, f"{ONE}-{theirs[:7]}": theirs}


def test_a_push_that_another_one_overtakes_is_made_again_and_loses_nothing(
    project: Path, repo: Repository, remote: Path, other: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = variant(repo, head(project), 9), variant(other, head(project), 10)
    repo.set_branch("autoresearch/issue-3/1A", ours)
    other.set_branch("autoresearch/issue-3/1A", theirs)
    pushed, overtaken = Remote._pushed, list[bool]()

    def late(self: Remote, *args: object) -> tuple[bool, list[str]]:
        if self.repo is repo and not overtaken:
            overtaken.append(True)
            Remote(other, UP).push([ONE], ())
        return pushed(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Remote, "_pushed", late)
    assert Remote(repo, UP).push([ONE], ()) == []
    assert overtaken
    assert there(remote) == {ONE: ours, f"{ONE}-{theirs[:7]}": theirs}


def test_two_clones_that_push_at_once_both_arrive(
    project: Path, repo: Repository, remote: Path, other: Repository
) -> None:
    made = set()
    for number in range(3):
        for clone, depth in ((repo, 100 + number), (other, 200 + number)):
            new = variant(clone, head(project), depth)
            clone.set_branch("autoresearch/issue-3/1A", new)
            clone.write_notes({new: f"depth {depth}"})
            made.add(new)
    pushes = [
        partial(Remote(clone, UP).push, [*clone.branches("autoresearch/issue-3/"), NOTES], ())
        for clone in (repo, other)
    ]
    with ThreadPoolExecutor(2) as pool:
        assert [told.result() for told in [pool.submit(push) for push in pushes]] == [[], []]
    assert made <= set(there(remote).values())
    noted = git(remote, "ls-tree", "-r", "--name-only", NOTES).replace("/", "").split()
    assert set(noted) == made


def test_the_baseline_is_pushed_forward_or_from_where_it_is_known_and_else_it_is_told(
    project: Path, repo: Repository, remote: Path, other: Repository
) -> None:
    base = head(project)
    first, second, theirs = (variant(repo, base, depth) for depth in (9, 10, 11))
    name = "autoresearch/baseline/main"
    moves: list[tuple[str, str | None, list[str]]] = [(base, None, []), (first, base, []), (second, first, [first])]
    for new, old, known in moves:
        repo.compare_and_swap(name, new, old)
        assert Remote(repo, UP).push([BASELINE], known) == []
        assert there(remote) == {BASELINE: new}
    assert variant(other, base, 11) == theirs
    other.compare_and_swap(name, theirs, None)
    (said,) = Remote(other, UP).push([BASELINE], [base])
    assert f"{name} is not pushed: on origin it is at {second[:7]}" in said
    assert there(remote) == {BASELINE: second}


def test_notes_of_others_are_kept_and_ours_stand_on_our_commits(
    project: Path, repo: Repository, remote: Path, other: Repository
) -> None:
    both = [(variant(clone, head(project), 9), variant(clone, head(project), 10)) for clone in (repo, other)]
    mine, theirs = both[0]
    assert both[0] == both[1]
    other.write_notes({theirs: "their own"})
    other.write_notes({mine: "theirs"})
    assert Remote(other, UP).push([NOTES], ()) == []
    repo.write_notes({mine: "ours"})
    before = git(project, "rev-parse", NOTES)
    assert Remote(repo, UP).push([NOTES], ()) == []
    assert git(project, "rev-parse", NOTES) == before
    git(project, "fetch", "--quiet", "origin", f"+{NOTES}:refs/notes/seen")
    assert [git(project, "notes", "--ref=seen", "show", commit) for commit in (mine, theirs)] == ["ours", "their own"]
    pushed = there(remote)
    assert Remote(repo, UP).push([NOTES], ()) == []
    assert there(remote) == pushed
    assert git(project, "for-each-ref", "refs/notes").count("autoresearch") == 1


def test_what_the_remote_refuses_is_told_and_the_rest_arrives(project: Path, repo: Repository, remote: Path) -> None:
    hook(remote, "update", 'case "$1" in *baseline*) exit 1;; esac')
    repo.set_branch("autoresearch/issue-3/1A", head(project))
    repo.compare_and_swap("autoresearch/baseline/main", head(project), None)
    (said,) = Remote(repo, UP).push([ONE, BASELINE], ())
    assert said.startswith(f"origin does not take {BASELINE}: ")
    assert list(there(remote)) == [ONE]


def test_a_remote_that_is_not_there_is_unreachable_and_no_secret_is_shown(project: Path, repo: Repository) -> None:
    git(project, "remote", "add", "origin", "https://name:secret0123@127.0.0.1:9/lab/experiments.git")
    with pytest.raises(Unreachable, match=r"git ls-remote origin: fatal: ") as error:
        Remote(repo, UP).push([ONE], ())
    assert "secret0123" not in str(error.value)


@pytest.mark.usefixtures("remote")
def test_no_hook_of_ours_runs_at_a_push(project: Path, repo: Repository) -> None:
    hook(project / ".git", "pre-push", f"touch {project}/hooked")
    hook(project / ".git", "reference-transaction", f"touch {project}/hooked")
    repo.set_branch("autoresearch/issue-3/1A", head(project))
    assert Remote(repo, UP).push([ONE], ()) == []
    assert not (project / "hooked").exists()


def test_a_remote_that_never_answers_is_given_up_with_all_that_was_started(
    project: Path, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.store.remote.REMOTE_S", 1.0)
    monkeypatch.setenv("GIT_SSH_COMMAND", f"echo $$ >{project}/asked; exec sleep 60 #")
    git(project, "remote", "add", "origin", "ssh://127.0.0.1/lab/experiments")
    began = time.monotonic()
    with pytest.raises(Unreachable, match="no answer within"):
        Remote(repo, UP).push([ONE], ())
    assert time.monotonic() - began < 20
    asker = int((project / "asked").read_text())
    for _ in range(100):  # who was killed takes a moment to be gone
        if not psutil.pid_exists(asker) or psutil.Process(asker).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.1)
    pytest.fail("what git started outlives it")


def test_git_finds_the_token_in_its_environment_for_github_alone(project: Path) -> None:
    env = {**os.environ, **credentials(["https://github.com/lab/experiments.git"], "a-token", {})}
    asked = ["git", "config", "--get-urlmatch", "http.extraheader"]
    hosts = ("https://github.com/lab/experiments", "https://elsewhere.invalid/lab")
    here, elsewhere = (
        subprocess.run([*asked, url], cwd=project, env=env, capture_output=True, text=True, check=False).stdout
        for url in hosts
    )
    assert base64.b64decode(here.split()[-1]) == b"x-access-token:a-token"
    assert elsewhere == ""
