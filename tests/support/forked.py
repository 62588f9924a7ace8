"""Runs of small scripts through the real executor in the real sandbox: from a warm worker, or without one."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.core.runs import Job, Result
from agent.execution.local import LocalExecutor
from agent.execution.machine import Gpu
from agent.execution.process import Limits
from tests.support import needs

FOUND, needs_sandbox = needs.SANDBOX, needs.sandbox
# A run from a worker knows it by this alone: its sandbox has a shell in it.
FORKED = "import os; print('forked', os.getpid() == 3)\n"
DONE = "\nprint('METRIC m=1.0')\n"

Run = Callable[..., tuple[Result, str]]


def zygotes() -> set[psutil.Process]:
    """Return those that this process has started; an executor of another test may not be gone yet."""
    return {one for one in psutil.Process().children() if "zygote.py" in " ".join(one.cmdline())}


def make_run(folder: Path, *, files: dict[str, str] | None = None, gpus: tuple[Gpu, ...] = (), **limits: int) -> Run:
    """Return what runs a Python text as a job of one executor, and returns its result and what it printed."""
    script = ""

    def export(commit: str, tree: Path) -> None:  # noqa: ARG001
        tree.mkdir()
        for name, text in {"script.py": script, **(files or {})}.items():
            (tree / name).write_text(text)

    executor = LocalExecutor(gpus, folder / "locks", export, lambda *_: None, lambda _: None, FOUND, Limits(**limits))

    def run(text: str, *args: str, timeout_s: float = 60, audit: bool = False, **env: str) -> tuple[Result, str]:
        nonlocal script
        script = text
        argv = (sys.executable, "script.py", *(args or ("an argument",)))
        job = Job("1A", "c", 0, "audit" if audit else "screen", argv, env, folder / "logs" / "run", timeout_s, "m")
        [(_, result)] = executor.run([replace(job, trusted=audit)])
        return result, Path(result.log).read_text(errors="replace")

    return run


def make_cold_run(folder: Path, **options: Any) -> Run:
    """Return what `make_run` does where no run comes from a worker."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTORESEARCH_WORKER", "0")
        return make_run(folder, **options)
