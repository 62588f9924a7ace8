"""Starts the processes that have the model. Standard library alone: they begin before torch is loaded here."""

import subprocess

from agent.audit.reports import ScoreRequest


def start_models(request: ScoreRequest) -> list[subprocess.Popen[bytes]]:
    """Start two processes for a winner, whose answers are compared, and one for a baseline."""
    count = 1 if request.claimed is None else 2
    return [subprocess.Popen(request.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(count)]
