"""The folder of a run: empty before it, and only known plain files after it, whatever the run did there."""

import os
import shutil
import stat
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

JSON_CAP = 1 << 20  # bytes of what a run reports of itself; more is not read
KEEP_ALWAYS = ("run.log", "result.json", "failure.json")  # what stays of every run
KEEP_ON_SUCCESS = ("model.pt", "losses.npz", "samples.txt")  # what stays besides of one that ended well


def fresh_folder(folder: Path) -> Path:
    """Make `folder` empty: what a killed run left there must not be taken for a result."""
    discard(folder)
    folder.mkdir(parents=True)
    return folder


def discard(path: Path) -> None:
    """Remove what a run may have filled with anything, folders nested thousands deep too; what resists stays."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    with suppress(OSError, RecursionError):  # most hold a few files, and a process takes longer than they do
        shutil.rmtree(path)
    for argv in (["rm", "-rf"], ["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
        if path.exists():
            subprocess.run([*argv, "--", str(path)], capture_output=True, check=False)


def clean(folder: Path, kept: Sequence[str]) -> None:
    """Leave of a run's folder the plain files named in `kept`, readable: no link, no pipe, nothing to execute."""
    folder.chmod(0o755)
    for path in [Path(entry) for entry in os.scandir(folder)]:
        if path.name in kept and _plain(path):
            path.chmod(0o644)
        else:
            discard(path)


def _plain(path: Path) -> bool:
    """Return whether a path is a file of a size that will be read."""
    info = path.lstat()
    return stat.S_ISREG(info.st_mode) and (path.suffix != ".json" or info.st_size <= JSON_CAP)
