"""fixed/runtime.py: what is measured of this process."""

import os
import subprocess
import sys

import pytest

from tests.support.fixed import ROOT


def test_the_peak_memory_is_this_process_own_and_not_its_parents() -> None:
    held = bytearray(os.urandom(1 << 20) * 300)
    code = "from fixed import runtime; import torch; print(runtime.peak_memory_mb(torch.device('cpu')))"
    plain = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    grown = subprocess.run(
        [sys.executable, "-c", f"held = b'1' * (300 << 20); {code}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert len(held) == 300 << 20
    assert float(grown) - float(plain) == pytest.approx(300, abs=30)
