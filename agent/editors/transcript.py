"""transcript.jsonl: the requests and replies of a conversation in order, without secrets, each text bounded."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from agent.core.errors import HarnessError
from agent.core.sanitize import redact

TEXT_CAP = 64 << 10  # characters of one text


class Transcript:
    """The transcript in a folder. A request's messages stand there once: `before` counts those of earlier lines."""

    def __init__(self, folder: Path, secrets: Sequence[str], now: Callable[[], str]) -> None:
        self._path, self._secrets, self._now = folder / "transcript.jsonl", secrets, now
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, kind: str, fields: Mapping[str, object]) -> None:
        """Add one line durably. Raises HarnessError where the disk is full."""
        entry = {"kind": kind, "at": self._now(), **{name: self._clean(value) for name, value in fields.items()}}
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise HarnessError(
                f"cannot write the transcript: {error.strerror}",
                where=str(self._path),
                next_step="free some space and run the same command again",
            ) from None

    def _clean(self, value: object) -> object:
        if isinstance(value, str):
            text = redact(value, self._secrets)
            return text if len(text) <= TEXT_CAP else f"{text[:TEXT_CAP]}… ({len(text):,} characters)"
        if isinstance(value, Mapping):
            return {str(self._clean(str(name))): self._clean(inner) for name, inner in value.items()}
        return [self._clean(inner) for inner in value] if isinstance(value, list | tuple) else value
