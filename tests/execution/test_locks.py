"""Locks: one holder at a time, who is named, and whose death frees the lock."""

import subprocess
import sys
from pathlib import Path

import pytest

from agent.core.errors import HarnessError
from agent.execution.locks import exclusive

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys, time
from pathlib import Path
from agent.execution.locks import exclusive
with exclusive(Path(sys.argv[1]), "issue 3"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def held(tmp_path: Path):  # type: ignore[no-untyped-def]
    """A lock that another process holds."""
    path = tmp_path / "locks" / "gpu-0.lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], cwd=ROOT, stdout=-1) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"held\n"
        yield path, program
        program.kill()


def test_the_second_learns_who_holds_the_lock_and_since_when(held) -> None:  # type: ignore[no-untyped-def]
    path, program = held
    with (
        pytest.raises(HarnessError, match=rf"gpu-0 is in use by process {program.pid} \(issue 3\), since 20"),
        exclusive(path, "issue 4"),
    ):
        pytest.fail("two hold one lock")


def test_a_killed_holder_holds_nothing(held) -> None:  # type: ignore[no-untyped-def]
    path, program = held
    program.kill()
    program.wait()
    with exclusive(path, "issue 4"):
        assert "issue 4" in path.with_suffix(".holder").read_text()
    assert not path.with_suffix(".holder").exists()


def test_who_waits_learns_for_whom_and_gets_the_lock_then(held) -> None:  # type: ignore[no-untyped-def]
    path, program = held
    holders: list[str] = []

    def wait(holder: str) -> bool:
        holders.append(holder)
        program.kill()
        return True

    with exclusive(path, "issue 4", wait):
        assert holders[0].startswith(f"process {program.pid} (issue 3)")


def test_a_note_that_cannot_be_written_or_removed_does_not_hold_the_lock(tmp_path: Path) -> None:
    note = tmp_path / "locks" / "cpu.holder"
    note.mkdir(parents=True)
    for _ in range(2):
        with exclusive(tmp_path / "locks" / "cpu.lock", "issue 4"):
            assert note.is_dir()


def test_the_folder_of_the_locks_is_for_every_user(tmp_path: Path) -> None:
    with exclusive(tmp_path / "locks" / "cpu.lock", "issue 4"):
        assert (tmp_path / "locks").stat().st_mode & 0o7777 == 0o1777
