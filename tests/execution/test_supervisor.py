"""The supervisor by itself: how it reports an ending, and that it ends with its standard input."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

SUPERVISOR = Path(__file__).parents[2] / "agent" / "execution" / "supervisor.py"


def supervise(text: str, stdin: int) -> tuple[subprocess.Popen[bytes], int]:
    """Start the supervisor over a Python text; returns it and the end of the pipe that its status comes from."""
    read, write = os.pipe()
    argv = [sys.executable, "-I", "-S", str(SUPERVISOR), str(write), "--", sys.executable, "-c", text]
    program = subprocess.Popen(argv, stdin=stdin, pass_fds=[write])
    os.close(write)
    return program, read


@pytest.mark.parametrize(
    ("text", "status"), [("pass", "exit 0"), ("raise SystemExit(7)", "exit 7"), ("import os; os.abort()", "signal 6")]
)
def test_the_ending_of_the_command_is_reported(text: str, status: str) -> None:
    program, read = supervise(text, subprocess.PIPE)
    with program, os.fdopen(read) as answer:
        ending, cpu = answer.read().splitlines()
        assert ending == status
        assert 0.0 < float(cpu.removeprefix("cpu ")) < 60


def test_when_standard_input_closes_everything_ends() -> None:
    program, read = supervise("import time; time.sleep(60)", subprocess.PIPE)
    with program, os.fdopen(read) as answer:
        time.sleep(0.2)
        assert program.poll() is None
        assert program.stdin is not None
        program.stdin.close()
        assert answer.read().splitlines()[0] == "signal 9"
