"""A command takes its zygotes from the commands before it, where these had the same needs, and only there."""

from pathlib import Path

import psutil
import pytest

from tests.support import forkserver
from tests.support.project import agent, make

pytestmark = pytest.mark.skipif(not forkserver.FORKS, reason="zygotes are for Linux")


def zygotes() -> set[int]:
    """Return those whose keeper is the server of this process, by number."""
    shown = (
        one for one in psutil.process_iter(["cmdline", "environ"]) if "zygote.py" in " ".join(one.info["cmdline"] or ())
    )
    return {one.pid for one in shown if (one.info["environ"] or {}).get("OMP_MARK") == MARK}


MARK = str(psutil.Process().pid)


def run(folder: Path, **env: str) -> None:
    done = agent(make(folder), "--issue", "3", "--budget", "5steps", "--gate", "lowest", env={"OMP_MARK": MARK, **env})
    assert done.returncode == 0, done.stderr


def test_the_second_command_has_the_zygote_of_the_first_and_another_environment_another(tmp_path: Path) -> None:
    run(tmp_path / "first")
    first = zygotes()
    assert len(first) == 1
    run(tmp_path / "second")
    assert zygotes() == first
    run(tmp_path / "third", OMP_NUM_THREADS="3")
    assert zygotes() > first


def test_they_end_with_their_keeper(tmp_path: Path) -> None:
    run(tmp_path / "project")
    ended = [psutil.Process(pid) for pid in zygotes()]
    assert ended
    forkserver.close()
    _, alive = psutil.wait_procs(ended, timeout=10)
    assert alive == []
