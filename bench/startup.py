"""What a command costs whose answer is in the ledger: processor seconds of Python and all that it starts."""

import resource
import statistics
import subprocess
import tempfile
from pathlib import Path

from tests.support import project as stand_in

TIMES = 10
HEADER = "---\nnumber: 5\ntitle: One variant\nlabels: [experiment]\n---\n"
TABLE = "| ID | DEPTH |\n|---|---|\n| 5-A | 10 |\n"
ISSUE = ("--issue", "5", "--budget", "1steps", "--gate", "lowest")
COMMANDS = {"--status": ("--issue", "5", "--status"), "the same command again": ISSUE, "--help": ("--help",)}


def measure() -> dict[str, float]:
    """Median processor seconds (user and system) of each command on an issue that has its answer."""
    with tempfile.TemporaryDirectory() as folder:
        project = stand_in.make(Path(folder) / "project")
        (project / "experiments" / "issues" / "0005-one.md").write_text(HEADER + TABLE, encoding="utf-8")
        answered = stand_in.agent(project, *ISSUE)
        assert answered.returncode == 0, answered.stderr
        return {f"{name}, processor s": _processor_s(project, *argv) for name, argv in COMMANDS.items()}


def _processor_s(project: Path, *argv: str) -> float:
    """Return the median of several starts; one more goes before them, which may have bytecode to write."""
    spent = [_spent_once(project, *argv) for _ in range(TIMES + 1)]
    return statistics.median(spent[1:])


def _spent_once(project: Path, *argv: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    env = stand_in.environment(project)
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # else every start compiles the harness, which no user's does
    subprocess.run(stand_in.command(*argv), cwd=project, env=env, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
