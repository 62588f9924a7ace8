"""What a test needs of its machine, looked for once a process, and the reason in a line where it is not there.

@needs.sandbox
def test_...
"""

import os
import shutil
import subprocess
import sysconfig
import tempfile
from functools import cache
from pathlib import Path

import pytest

from agent.execution.sandbox import probe

SANDBOX = probe()
COMPILERS = (os.environ.get("CXX", "c++"), "g++", "clang++")  # as torch looks for them


@cache
def mount_prefix() -> list[str] | None:
    """Return how to start a program that may mount what nobody else sees; None where that is not permitted."""
    for prefix in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]):
        argv = [*prefix, "mount", "-t", "tmpfs", "none", tempfile.gettempdir()]
        if shutil.which("unshare") and subprocess.run(argv, capture_output=True, check=False).returncode == 0:
            return prefix
    return None


def can_compile() -> bool:
    """Return whether a C++ compiler and Python's headers are there, which torch.compile needs on a CPU."""
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    return headers.exists() and any(map(shutil.which, COMPILERS))


sandbox = pytest.mark.skipif(SANDBOX.level == "none", reason=f"no sandbox here: {SANDBOX.reason}")
compiler = pytest.mark.skipif(not can_compile(), reason="no C++ compiler here, or no Python headers")
mounts = pytest.mark.skipif(mount_prefix() is None, reason="this machine lets nobody mount a disk of his own")
