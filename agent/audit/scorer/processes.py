"""Starts the processes that have the model. Standard library alone: they begin before anything else is loaded here."""

from collections.abc import Sequence

from agent.execution.beside import Process, start_beside


def start_models(command: Sequence[str], claimed: str | None) -> list[Process]:
    """Start two processes for a winner, whose answers are compared, and one for a baseline, which claims nothing."""
    count = 1 if claimed is None else 2
    return [start_beside(command) for _ in range(count)]
