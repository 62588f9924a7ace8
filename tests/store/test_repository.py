"""Git through the harness: exact commits, exact exports, and the user's work tree never touched."""

import os
import resource
import subprocess
from pathlib import Path

import psutil
import pytest

from agent.core.errors import BadInput, HarnessError
from agent.store.repository import IDENTITY, NOTES, Repository, writable
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
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {project}/hooked\n")
        hook.chmod(0o755)
    new = repo.commit(head(project), {"train.py": "DEPTH = 9\n"}, "experiment")
    repo.set_branch("autoresearch/issue-3/1A", new)
    repo.write_notes({new: "a note"})
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


def test_what_a_name_stands_for_is_read_each_time(project: Path, repo: Repository) -> None:
    first = repo.resolve("HEAD")
    assert first is not None
    before = repo.read(first, "train.py")
    assert repo.read("HEAD", "train.py") == before
    (project / "train.py").write_text("other = 1\n")
    commit(project, "another")
    assert repo.read("HEAD", "train.py") == "other = 1\n"
    assert repo.read(first, "train.py") == before


@pytest.mark.parametrize(
    "name", ["main", "autoresearch", "autoresearch/x/../y", "autoresearch/x.lock", "autoresearch/-x"]
)
def test_no_branch_outside_our_namespace_is_ever_written(project: Path, repo: Repository, name: str) -> None:
    with pytest.raises(HarnessError, match="is no branch of ours"):
        repo.compare_and_swap(name, head(project), None)


def test_a_note_is_shown_by_git_log_and_replaced_by_the_next(project: Path, repo: Repository) -> None:
    repo.write_notes({head(project): "first\nline"})
    repo.write_notes({head(project): "second\nline"})
    assert "second\n    line" in git(project, "log", "-1", "--notes=autoresearch")
    assert repo.changed_notes({head(project): "second\nline"}) == {}


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


def test_an_export_leaves_out_the_links_that_lead_out_of_it(project: Path, repo: Repository, tmp_path: Path) -> None:
    for name, target in (("inside", "train.py"), ("absolute", "/etc/hostname"), ("above", "../../elsewhere")):
        (project / name).symlink_to(target)
    commit(project, "Links")
    repo.export(head(project), tmp_path / "tree")
    assert {path.name for path in (tmp_path / "tree").iterdir() if path.is_symlink()} == {"inside"}


@pytest.mark.parametrize("place", ["experiments/main", "experiments/main/", "train.py", "nowhere/"])
def test_the_files_at_a_place_of_a_commit_have_their_paths_from_the_root(
    project: Path, repo: Repository, place: str
) -> None:
    listed = git(project, "ls-tree", "-r", "--format=%(path) %(objectname)", "HEAD", place.rstrip("/")).splitlines()
    assert repo.files(head(project), place) == dict(line.split(" ") for line in listed)


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
    repo.write_notes({head(project): text})
    assert repo.changed_notes({head(project): text}) == {}


def test_a_commit_is_the_one_that_git_itself_makes_of_the_same_files(project: Path, repo: Repository) -> None:
    files = {"train.py": "DEPTH = 9\n", "a/new/file.py": "é = 1\n", "experiments/main/more.txt": "", "train": "x"}
    base, blobs = head(project), project / "blob"
    new = repo.commit(base, files, "experiment: 1A\n\nwider")
    env = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in IDENTITY.items()}
    date = git(project, "show", "-s", "--format=%cI", base)
    env |= {"GIT_INDEX_FILE": str(project / "own-index"), "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}

    def own(*args: str) -> str:
        run = subprocess.run(["git", *args], cwd=project, env={**os.environ, **env}, capture_output=True, check=True)
        return run.stdout.decode().strip()

    own("read-tree", base)
    for path, text in files.items():
        blobs.write_text(text)
        own("update-index", "--add", "--cacheinfo", f"100644,{own('hash-object', '-w', str(blobs))},{path}")
    assert own("commit-tree", own("write-tree"), "-p", base, "-m", "experiment: 1A\n\nwider") == new
    assert repo.changed(base, new) == own("diff-tree", "-r", "--name-only", base, new).splitlines()
    assert git(project, "fsck", "--strict", new) == ""


def test_notes_are_found_and_replaced_wherever_git_has_put_them(project: Path, repo: Repository) -> None:
    commits = [head(project)]
    for number in range(300):  # so many that git puts notes into folders
        commits.append(repo.commit(commits[-1], {"train.py": f"DEPTH = {number}\n"}, "experiment"))
    repo.write_notes({commit: f"first of {commit}" for commit in commits})
    git(project, "notes", "--ref", NOTES, "add", "--force", "-m", "by hand", commits[7])
    assert "/" in git(project, "ls-tree", "-r", "--name-only", NOTES)
    repo.write_notes({commits[3]: "second", commits[300]: "second"})
    assert git(project, "notes", "--ref", NOTES, "show", commits[3]) == "second"
    expected = {commits[3]: "second", commits[7]: "by hand\n", commits[8]: f"first of {commits[8]}"}
    assert repo.changed_notes(expected) == {}
    assert repo.changed_notes({**expected, commits[9]: "new", "f" * 40: "none"}) == {
        commits[9]: "new",
        "f" * 40: "none",
    }
    assert len(git(project, "notes", "--ref", NOTES, "list").splitlines()) == len(commits)


def test_a_commit_of_somebody_else_is_seen_at_once(project: Path, repo: Repository) -> None:
    assert repo.resolve("refs/heads/later") is None
    git(project, "branch", "later")
    git(project, "pack-refs", "--all")
    (project / "more.txt").write_text("more")
    git(project, "add", "more.txt")
    git(project, "commit", "--quiet", "-m", "more")
    assert repo.resolve("refs/heads/later") == git(project, "rev-parse", "later")
    assert repo.resolve("HEAD") == head(project)
    assert repo.read("HEAD", "more.txt") == "more"


def test_git_is_started_anew_where_it_was_killed(project: Path, repo: Repository) -> None:
    for program in psutil.Process().children():
        if program.cmdline()[-2:] == ["cat-file", "--batch"]:
            program.kill()
            program.wait(10)
    assert repo.resolve("HEAD") == head(project)
