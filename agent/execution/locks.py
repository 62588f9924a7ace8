"""Locks between harnesses: one program a repository, one run a GPU; whoever comes second learns who holds it."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agent.core.errors import InUse

if TYPE_CHECKING:
    from filelock import FileLock


def _holder(note: Path) -> str:
    """Who holds a lock, in words; the note may be a moment behind the lock itself."""
    try:
        held = json.loads(note.read_text(encoding="utf-8"))
        return f"process {held['pid']} ({held['what']}), since {held['since']}"
    except (OSError, ValueError, KeyError):
        return "another process"


def _write_note(note: Path, what: str) -> None:
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    with suppress(OSError):  # another user's, who was killed: the lock is ours all the same
        note.write_text(json.dumps({"pid": os.getpid(), "what": what, "since": since}), encoding="utf-8")


def _shared(folder: Path) -> None:
    """Make a folder in which other users can lock the same device, whatever our umask."""
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o1777)


def _acquired(lock: "FileLock") -> bool:
    from filelock import Timeout

    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


@contextmanager
def exclusive(path: Path, what: str, wait: Callable[[str], bool] = lambda _: False) -> Iterator[None]:
    """Hold `path` while the block runs. Where another holds it, `wait` is called with who, twice a second, until it
    returns False.

    Raises InUse naming the holder then. The kernel frees the lock of a killed process.
    """
    from filelock import FileLock  # brings asyncio along, and a command that only shows takes no lock

    _shared(path.parent)
    lock, note = FileLock(path, mode=0o666), path.with_suffix(".holder")
    while not _acquired(lock):
        if not wait(holder := _holder(note)):
            raise InUse(
                f"{path.stem} is in use by {holder}",
                next_step="wait until it ends, or stop it: what it has done is kept",
            )
        time.sleep(0.5)
    try:
        _write_note(note, what)
        yield
    finally:
        with suppress(OSError):
            note.unlink(missing_ok=True)
        lock.release()
