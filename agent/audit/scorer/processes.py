"""Starts the processes that have the model. Standard library alone: they begin before anything else is loaded here."""

import subprocess
from collections.abc import Sequence


def start_models(command: Sequence[str], claimed: str | None) -> list[subprocess.Popen[bytes]]:
    """Start two processes for a winner, whose answers are compared, and one for a baseline, which claims nothing."""
    count = 1 if claimed is None else 2
    return [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(count)]
