"""What must not change while a campaign runs: the fixed side and the corpus, each known by its sha256."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

HOLDOUT_FILE = "held.npz"  # the second held-out set: read by the audit alone
VISIBLE = ("meta.json", "tokenizer.json", "token_bytes.npy", "train.bin", "val.npz")  # of a corpus, to a run


def fingerprint_text(text: str) -> str:
    """Return the pin of a committed file: its sha256."""
    return hashlib.sha256(text.encode()).hexdigest()


def corpus_fingerprints(folder: Path | None) -> dict[str, str]:
    """Return the pins of a prepared corpus by file; none where there is no folder."""
    files = [folder / name for name in (*VISIBLE, HOLDOUT_FILE)] if folder else []
    return {file.name: _of_file(file) for file in files if file.is_file()}


def changed(pins: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the names of what is pinned and has changed, or is gone."""
    return [name for name, pin in pins.items() if now.get(name) != pin]


def visible_files(folder: Path | None) -> tuple[Path, ...]:
    """Return the files of a prepared corpus that a run may read."""
    files = [folder / name for name in VISIBLE] if folder else []
    return tuple(file for file in files if file.is_file())


def _of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
