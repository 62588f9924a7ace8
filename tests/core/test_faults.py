"""Failpoints: silent unless asked, each in one place of the harness, each fault what it says."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.core.faults import POINTS
from tests.support.project import ROOT, agent, commit, edit

REACHED = """
import sys
sys.path.insert(0, sys.argv[1])
from agent.core.faults import fault_point
for name in ("run-start", "run-result", "run-start"):
    print(name, flush=True)
    fault_point(name)
"""


def passing_by(asked: str | None, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A program that comes by three moments; with None it is asked for no fault."""
    env = {name: value for name, value in os.environ.items() if name != "AUTORESEARCH_FAULT"}
    env |= {} if asked is None else {"AUTORESEARCH_FAULT": asked}
    argv = [sys.executable, "-c", REACHED, str(ROOT)]
    return subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_every_moment_is_reached_in_one_place_and_every_place_is_a_moment() -> None:
    sources = [path.read_text() for path in sorted((ROOT / "agent").rglob("*.py"))]
    reached = [name for text in sources for name in re.findall(r'\bfault_point\("([\w-]+)"\)', text)]
    assert sorted(reached) == sorted(POINTS)


def test_without_the_variable_nothing_happens(tmp_path: Path) -> None:
    """The program comes by all of its moments and to its end, and the folder that a fault would fill stays empty."""
    ended = passing_by(None, tmp_path)
    assert (ended.returncode, ended.stdout.split(), ended.stderr) == (0, ["run-start", "run-result", "run-start"], "")
    assert list(tmp_path.iterdir()) == []
    assert passing_by("run-start:kill", tmp_path).returncode == -signal.SIGKILL  # the variable alone makes it


@pytest.mark.parametrize(
    ("asked", "seen", "number"),
    [
        ("run-start:kill", 1, signal.SIGKILL),
        ("run-start@2:kill", 3, signal.SIGKILL),
        ("run-result:term", 2, signal.SIGTERM),
    ],
)
def test_a_signal_comes_at_its_moment_and_time(asked: str, seen: int, number: signal.Signals) -> None:
    ended = passing_by(asked)
    assert (len(ended.stdout.split()), ended.returncode) == (seen, -number)


def test_another_moments_fault_does_nothing() -> None:
    assert passing_by("note-before:kill").returncode == 0
    assert passing_by("run-start@3:kill").returncode == 0


@pytest.mark.parametrize("asked", ["run-strat:kill", "run-start:kil", "run-start", ""])
def test_a_fault_that_does_not_exist_cannot_make_a_test_pass(asked: str) -> None:
    ended = passing_by(asked)
    assert (ended.returncode, "no such moment or fault" in ended.stderr) == (1, True)


def test_a_run_does_not_hear_of_the_fault(project: Path) -> None:
    edit(project, "train.py", "def main():", 'def main():\n    print("told of", os.environ.get("AUTORESEARCH_FAULT"))')
    commit(project, "a run that says what it is told")
    env = {"AUTORESEARCH_FAULT": "comment-after@2:kill"}
    assert agent(project, "--issue", "3", "--budget", "5steps", "--gate", "lowest", env=env).returncode == 0
    logs = [path.read_text() for path in project.glob("logs/**/run.log")]
    assert len(logs) == 5
    assert all("told of None" in log for log in logs)
