"""The model's processes: two for a winner, whose answers are compared, one for a baseline."""

import json
import subprocess
import sys

import pytest

from agent.audit.scorer.processes import start_models
from tests.support.project import ROOT


@pytest.mark.parametrize(("claimed", "count"), [(None, 1), ("losses.npz", 2)])
def test_a_winner_has_two_processes_and_a_baseline_one(claimed: str | None, count: int) -> None:
    answers = []
    for process in start_models([sys.executable, "-c", "print(input())"], claimed):
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdout as stdout, process.stdin as stdin:
            stdin.write(b"a line\n")
            stdin.flush()
            answers.append(stdout.read())
        process.wait()
    assert answers == [b"a line\n"] * count


def test_they_begin_before_anything_that_takes_long_is_loaded() -> None:
    code = "import json, sys; import agent.audit.scorer.processes; print(json.dumps(list(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"torch", "numpy", "prepare", "unicodedata", "agent.core.sanitize"}.isdisjoint(json.loads(run.stdout))
