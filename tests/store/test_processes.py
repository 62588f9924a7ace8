"""A git process that stays: it answers, says why it ended, and is gone with whoever asked."""

import gc
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from agent.store.ledger import Ledger
from agent.store.processes import GitError, GitProcess, change, query, read_line
from tests.support.project import agent, git


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


@pytest.mark.parametrize("command", [query, change])
def test_one_command_that_fails_says_why(project: Path, command: Callable[[Path, tuple[str, ...]], str]) -> None:
    with pytest.raises(GitError, match=r"git rev-parse: .*Needed a single revision"):
        command(project, ("rev-parse", "--verify", "nothing"))
    assert command(project, ("rev-parse", "HEAD")) == git(project, "rev-parse", "HEAD")


def test_a_campaign_of_ten_runs_starts_git_no_more_often_than_it_must(project: Path, tmp_path: Path) -> None:
    calls, folder, real = tmp_path / "calls", tmp_path / "bin", shutil.which("git")
    folder.mkdir()
    (folder / "git").write_text(f'#!/bin/sh\necho "$@" >> {calls}\nexec {real} "$@"\n')
    (folder / "git").chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    done = agent(project, "--issue", "3", "--budget", "5steps", "--gate", "fixed", env={"PATH": path}, fresh=True)
    assert done.returncode == 0, done.stderr
    assert len(Ledger(project / "experiments" / "ledger.jsonl", tmp_path / "lock").runs()) == 10
    commands = [line.removeprefix("-c core.hooksPath=/dev/null ").split()[0] for line in calls.read_text().splitlines()]
    assert commands.count("archive") == 11  # every run and the preparation sees the files of a commit, and nothing else
    assert len(commands) <= 26, commands  # 104 before some of them stayed to answer
