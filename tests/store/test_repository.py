"""Git through the harness: exact commits, exact exports, and the user's work tree never touched."""

import base64
import os
import resource
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest

from agent.core.errors import BadInput, HarnessError, Unreachable
from agent.core.protocols import Upstream
from agent.store.repository import NOTES, Repository, writable
from agent.tracking.address import credentials
from tests.support.project import commit, edit, git


@pytest.fixture
def repo(project: Path) -> Repository:
    return Repository(project)


def head(project: Path) -> str:
    return git(project, "rev-parse", "HEAD")


def test_a_folder_without_git_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not inside a git repository\n  run it in a clone"):
        Repository(tmp_path)


def test_a_repository_without_a_commit_is_an_error(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    with pytest.raises(BadInput, match="has no commit yet"):
        Repository(tmp_path)


def test_a_commit_touches_neither_work_tree_nor_index_nor_head(project: Path, repo: Repository) -> None:
    edit(project, "prepare.py", "PROFILES", "PROFILES")
    (project / "staged.txt").write_text("staged")
    git(project, "add", "staged.txt")
    before = git(project, "status", "--porcelain"), head(project), git(project, "diff", "--cached")
    repo.commit(head(project), {"train.py": "DEPTH = 9\n"}, "experiment")
    assert (git(project, "status", "--porcelain"), head(project), git(project, "diff", "--cached")) == before


def test_a_commit_differs_from_its_base_in_the_given_files_only(project: Path, repo: Repository) -> None:
    new = repo.commit(head(project), {"train.py": "DEPTH = 9\n"}, "experiment: 1A")
    assert repo.changed(head(project), new) == ["train.py"]
    assert repo.read(new, "train.py") == "DEPTH = 9\n"
    assert git(project, "log", "-1", "--format=%s by %an", new) == "experiment: 1A by autoresearch"
    assert git(project, "rev-parse", f"{new}^") == head(project)


def test_the_same_edit_is_the_same_commit(project: Path, repo: Repository) -> None:
    first = repo.commit(head(project), {"train.py": "DEPTH = 9\n"}, "experiment")
    assert repo.commit(head(project), {"train.py": "DEPTH = 9\n"}, "experiment") == first


def test_an_executable_script_stays_executable(project: Path, repo: Repository) -> None:
    (project / "train.py").chmod(0o755)
    base = commit(project, "executable")
    new = repo.commit(base, {"train.py": "DEPTH = 9\n"}, "experiment")
    assert git(project, "ls-tree", new, "train.py").startswith("100755")


def test_text_with_any_line_ending_is_committed_as_it_is(project: Path, repo: Repository) -> None:
    git(project, "config", "core.autocrlf", "true")
    new = repo.commit(head(project), {"train.py": "A = 1\r\nB = 'ü'\n"}, "experiment")
    assert repo.read(new, "train.py") == "A = 1\r\nB = 'ü'\n"


def test_hooks_do_not_run(project: Path, repo: Repository) -> None:
    for name in ("reference-transaction", "post-commit", "pre-commit", "update"):
        hook = project / ".git" / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {project}/hooked\n")
        hook.chmod(0o755)
    new = repo.commit(head(project), {"train.py": "DEPTH = 9\n"}, "experiment")
    repo.set_branch("autoresearch/issue-3/1A", new)
    repo.note(new, "a note")
    assert not (project / "hooked").exists()


def test_a_branch_moves_only_from_where_it_is_thought_to_be(project: Path, repo: Repository) -> None:
    old = head(project)
    new = repo.commit(old, {"train.py": "DEPTH = 9\n"}, "experiment")
    name = "autoresearch/baseline/main"
    assert repo.compare_and_swap(name, old, None)
    assert not repo.compare_and_swap(name, new, None)
    assert not repo.compare_and_swap(name, new, new)
    assert repo.resolve(f"refs/heads/{name}") == old
    assert repo.compare_and_swap(name, new, old)
    assert repo.resolve(f"refs/heads/{name}") == new


def test_a_branch_that_gets_another_commit_keeps_the_first_reachable(project: Path, repo: Repository) -> None:
    first = repo.commit(head(project), {"train.py": "DEPTH = 9\n"}, "experiment")
    second = repo.commit(head(project), {"train.py": "DEPTH = 10\n"}, "experiment")
    for new in (first, first, second, second):
        repo.set_branch("autoresearch/issue-3/1A", new)
    kept = git(
        project, "for-each-ref", "--format=%(refname:lstrip=4) %(objectname)", "refs/heads/autoresearch"
    ).splitlines()
    assert kept == [f"1A {second}", f"1A-{first[:7]} {first}"]


def test_what_a_campaign_writes_is_ignored_without_a_gitignore(project: Path, repo: Repository) -> None:
    (project / ".git" / "info" / "exclude").write_text("# mine")
    repo.exclude(["/here/"])
    repo.exclude(["/here/", "/there"])
    assert (project / ".git" / "info" / "exclude").read_text() == "# mine\n/here/\n/there\n"


def test_what_the_user_has_git_overlook_survives_a_disk_that_takes_no_more(project: Path, repo: Repository) -> None:
    exclude = project / ".git" / "info" / "exclude"
    exclude.write_text("mine\n" * 1000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            repo.exclude(["/logs/"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert exclude.read_text() == "mine\n" * 1000


def test_a_branch_in_the_way_is_found(project: Path, repo: Repository) -> None:
    assert repo.conflicting_branch("autoresearch/issue-3/1A") is None
    git(project, "branch", "autoresearch/issue-3")
    assert repo.conflicting_branch("autoresearch/issue-3/1A") == "autoresearch/issue-3"


def test_branches_beside_and_below_are_in_nobodys_way(project: Path, repo: Repository) -> None:
    for name in ("autoresearch/issue-3/1B", "autoresearch/issue-33", "autoresearch/issue-3-old", "other"):
        git(project, "branch", name)
    git(project, "config", "column.ui", "always")
    git(project, "checkout", "--quiet", "--detach")
    assert repo.conflicting_branch("autoresearch/issue-3/1A") is None


def test_what_a_whole_hash_names_is_read_once_and_what_a_name_stands_for_each_time(
    project: Path, repo: Repository
) -> None:
    first = repo.resolve("HEAD")
    assert first is not None
    before = repo.read(first, "train.py")
    assert repo.read("HEAD", "train.py") == before
    (project / "train.py").write_text("other = 1\n")
    commit(project, "another")
    assert repo.read("HEAD", "train.py") == "other = 1\n"
    (project / ".git" / "objects").rename(project / "objects")
    assert repo.read(first, "train.py") == before
    assert repo.read("HEAD", "train.py") is None


@pytest.mark.parametrize(
    "name", ["main", "autoresearch", "autoresearch/x/../y", "autoresearch/x.lock", "autoresearch/-x"]
)
def test_no_branch_outside_our_namespace_is_ever_written(project: Path, repo: Repository, name: str) -> None:
    with pytest.raises(HarnessError, match="is no branch of ours"):
        repo.compare_and_swap(name, head(project), None)


def test_a_note_is_shown_by_git_log_and_replaced_by_the_next(project: Path, repo: Repository) -> None:
    repo.note(head(project), "first\nline")
    repo.note(head(project), "second\nline")
    assert "second\n    line" in git(project, "log", "-1", "--notes=autoresearch")
    assert repo.read_note(head(project)) == "second\nline"


def test_an_export_has_the_committed_files_and_nothing_else(project: Path, repo: Repository, tmp_path: Path) -> None:
    committed = (project / "train.py").read_text()
    edit(project, "train.py", "DEPTH = 8", "DEPTH = 99")
    (project / "untracked.txt").write_text("secret")
    repo.export(head(project), tmp_path / "tree")
    names = sorted(
        str(path.relative_to(tmp_path / "tree")) for path in (tmp_path / "tree").rglob("*") if path.is_file()
    )
    assert names == sorted(git(project, "ls-files").splitlines())
    assert (tmp_path / "tree" / "train.py").read_text() == committed


def test_uncommitted_changes_are_named(project: Path, repo: Repository) -> None:
    assert repo.uncommitted(("train.py", "prepare.py")) == []
    edit(project, "train.py", "DEPTH = 8", "DEPTH = 99")
    assert repo.uncommitted(("train.py", "prepare.py")) == ["train.py"]


def test_a_work_tree_of_its_own_shares_refs_with_the_repository(project: Path, tmp_path: Path) -> None:
    git(project, "worktree", "add", "--quiet", str(tmp_path / "other"))
    other = Repository(tmp_path / "other")
    assert other.root == (tmp_path / "other").resolve()
    assert other.git_dir == (project / ".git").resolve()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"file/sub: cannot write there: Not a directory"):
        writable(tmp_path / "file" / "sub")


def test_a_note_may_be_long_and_keeps_its_blanks(project: Path, repo: Repository) -> None:
    text = "a line with blanks  \n\n\n" + "x" * 300_000
    repo.note(head(project), text)
    assert repo.read_note(head(project)) == text


# --- a remote ---------------------------------------------------------------------------------------------


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
    repo.note(new, "a note")
    refs = [*repo.branches("autoresearch/issue-3/"), BASELINE, NOTES]
    assert repo.push(UP, refs, ()) == []
    assert there(remote) == {ONE: new, BASELINE: new, NOTES: git(project, "rev-parse", NOTES)}
    hook(remote, "pre-receive", "exit 1")
    assert repo.push(UP, refs, ()) == []


def test_a_branch_that_another_clone_pushed_stays_reachable(
    project: Path, repo: Repository, remote: Path, other: Repository
) -> None:
    ours, theirs = variant(repo, head(project), 9), variant(other, head(project), 10)
    for clone, new in ((other, theirs), (repo, ours)):
        clone.set_branch("autoresearch/issue-3/1A", new)
        assert clone.push(UP, [ONE], ()) == []
    assert there(remote) == {ONE: ours, f"{ONE}-{theirs[:7]}": theirs}


def test_a_push_that_another_one_overtakes_is_made_again_and_loses_nothing(
    project: Path, repo: Repository, remote: Path, other: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = variant(repo, head(project), 9), variant(other, head(project), 10)
    repo.set_branch("autoresearch/issue-3/1A", ours)
    other.set_branch("autoresearch/issue-3/1A", theirs)
    pushed, overtaken = Repository._pushed, list[bool]()

    def late(self: Repository, *args: object) -> tuple[bool, list[str]]:
        if self is repo and not overtaken:
            overtaken.append(True)
            other.push(UP, [ONE], ())
        return pushed(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Repository, "_pushed", late)
    assert repo.push(UP, [ONE], ()) == []
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
            clone.note(new, f"depth {depth}")
            made.add(new)
    pushes = [partial(clone.push, UP, [*clone.branches("autoresearch/issue-3/"), NOTES], ()) for clone in (repo, other)]
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
        assert repo.push(UP, [BASELINE], known) == []
        assert there(remote) == {BASELINE: new}
    assert variant(other, base, 11) == theirs
    other.compare_and_swap(name, theirs, None)
    (said,) = other.push(UP, [BASELINE], [base])
    assert f"{name} is not pushed: on origin it is at {second[:7]}" in said
    assert there(remote) == {BASELINE: second}


def test_notes_of_others_are_kept_and_ours_stand_on_our_commits(
    project: Path, repo: Repository, remote: Path, other: Repository
) -> None:
    both = [(variant(clone, head(project), 9), variant(clone, head(project), 10)) for clone in (repo, other)]
    mine, theirs = both[0]
    assert both[0] == both[1]
    other.note(theirs, "their own")
    other.note(mine, "theirs")
    assert other.push(UP, [NOTES], ()) == []
    repo.note(mine, "ours")
    before = git(project, "rev-parse", NOTES)
    assert repo.push(UP, [NOTES], ()) == []
    assert git(project, "rev-parse", NOTES) == before
    git(project, "fetch", "--quiet", "origin", f"+{NOTES}:refs/notes/seen")
    assert [git(project, "notes", "--ref=seen", "show", commit) for commit in (mine, theirs)] == ["ours", "their own"]
    pushed = there(remote)
    assert repo.push(UP, [NOTES], ()) == []
    assert there(remote) == pushed
    assert git(project, "for-each-ref", "refs/notes").count("autoresearch") == 1


def test_what_the_remote_refuses_is_told_and_the_rest_arrives(project: Path, repo: Repository, remote: Path) -> None:
    hook(remote, "update", 'case "$1" in *baseline*) exit 1;; esac')
    repo.set_branch("autoresearch/issue-3/1A", head(project))
    repo.compare_and_swap("autoresearch/baseline/main", head(project), None)
    (said,) = repo.push(UP, [ONE, BASELINE], ())
    assert said.startswith(f"origin does not take {BASELINE}: ")
    assert list(there(remote)) == [ONE]


def test_a_remote_that_is_not_there_is_unreachable_and_no_secret_is_shown(project: Path, repo: Repository) -> None:
    git(project, "remote", "add", "origin", "https://name:secret0123@127.0.0.1:9/lab/experiments.git")
    with pytest.raises(Unreachable, match=r"git ls-remote origin: fatal: ") as error:
        repo.push(UP, [ONE], ())
    assert "secret0123" not in str(error.value)


@pytest.mark.usefixtures("remote")
def test_no_hook_of_ours_runs_at_a_push(project: Path, repo: Repository) -> None:
    hook(project / ".git", "pre-push", f"touch {project}/hooked")
    hook(project / ".git", "reference-transaction", f"touch {project}/hooked")
    repo.set_branch("autoresearch/issue-3/1A", head(project))
    assert repo.push(UP, [ONE], ()) == []
    assert not (project / "hooked").exists()


def test_a_remote_that_never_answers_is_given_up_with_all_that_was_started(
    project: Path, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.store.repository.REMOTE_S", 1.0)
    monkeypatch.setenv("GIT_SSH_COMMAND", f"echo $$ >{project}/asked; exec sleep 60 #")
    git(project, "remote", "add", "origin", "ssh://127.0.0.1/lab/experiments")
    began = time.monotonic()
    with pytest.raises(Unreachable, match="no answer within"):
        repo.push(UP, [ONE], ())
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
