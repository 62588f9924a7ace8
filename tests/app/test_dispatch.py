"""What carries out a command: what signals do to it. tests/app/test_main.py has what each command prints."""

import signal
import subprocess
import sys

import pytest

from tests.support.project import ROOT

TIDYING = """
import time
from agent.app.dispatch import _signals
with _signals():
    try:
        print("begun", flush=True)
        time.sleep(60)
    finally:
        print("tidying", flush=True)
        time.sleep(60)
"""


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_the_program_at_once_whatever_it_is_about(second: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", TIDYING], cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        for heard, number in {"begun\n": signal.SIGINT, "tidying\n": second}.items():
            assert program.stdout.readline() == heard
            program.send_signal(number)
        assert program.wait(timeout=10) == 130
