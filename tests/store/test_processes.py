"""A git process that stays: it answers, says why it ended, and is gone with whoever asked."""

import gc
from pathlib import Path

import psutil
import pytest

from agent.store.processes import GitError, GitProcess, read_line, run
from tests.support.project import git


def children() -> list[list[str]]:
    return [child.cmdline() for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]


def test_one_process_answers_many_requests_and_ends_with_its_owner(project: Path) -> None:
    before = len(children())
    process = GitProcess(project, "cat-file", "--batch-check")
    answers = {process.ask(b"HEAD\n", read_line) for _ in range(5)}
    assert answers == {f"{git(project, 'rev-parse', 'HEAD')} commit {len_of_head(project)}".encode()}
    assert len(children()) == before + 1
    del process
    gc.collect()
    assert len(children()) == before


def len_of_head(project: Path) -> int:
    return int(git(project, "cat-file", "-s", "HEAD"))


def test_what_git_says_at_its_end_is_told_and_it_starts_anew(project: Path) -> None:
    process = GitProcess(project, "update-ref", "--stdin")
    with pytest.raises(GitError, match="git update-ref: fatal: unknown command: nonsense"):
        process.ask(b"nonsense\n", read_line)
    assert process.ask(b"start\n", read_line) == b"start: ok"
    process.close()


def test_one_command_that_fails_says_why(project: Path) -> None:
    with pytest.raises(GitError, match=r"git rev-parse: .*Needed a single revision"):
        run(project, ("rev-parse", "--verify", "nothing"))
    assert run(project, ("rev-parse", "HEAD")) == git(project, "rev-parse", "HEAD")
