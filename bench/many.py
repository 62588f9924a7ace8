"""What a campaign of many variants costs the harness: processor seconds a run, of --status and of the command again.

Runs end at once (bench/instant.py), so that nothing but the harness and its git processes is counted.
"""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support import project as stand_in

SIZES = (50, 500, 5000)
_HEADER = "---\nnumber: 5\ntitle: Many variants\nlabels: [experiment]\n---\n| ID | SIGMA |\n|---|---|\n"
COMMAND = ("--issue", "5", "--budget", "1steps", "--gate", "lowest")


def measure(sizes: tuple[int, ...] = SIZES) -> dict[str, float]:
    """Processor seconds (user and system) with so many variants, one run each and one of the baseline."""
    return {name: value for size in sizes for name, value in _measure(size).items()}


def write_issue(project: Path, size: int) -> None:
    """Write an issue whose variants set a constant that no model's shape depends on: any number fits the machine."""
    rows = "".join(f"| 5-{n} | {(1001 + n) / 1e6:.6f} |\n" for n in range(size))
    (project / "experiments" / "issues" / "0005-many.md").write_text(_HEADER + rows, encoding="utf-8")


def _measure(size: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        project = stand_in.make(Path(folder) / "project")
        write_issue(project, size)
        return {
            f"{size} variants, processor s a run": _spent(project, *COMMAND) / (size + 1),
            f"{size} variants, --status, processor s": _spent(project, "--issue", "5", "--status"),
            f"{size} variants, the same command again, processor s": _spent(project, *COMMAND),
        }


def _spent(project: Path, *argv: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    env = {**stand_in.environment(project), "PYTHONPATH": str(stand_in.ROOT)}
    command = [sys.executable, "-m", "bench.instant", "--profile", "mini", "--no-sandbox", *argv]
    subprocess.run(command, cwd=project, env=env, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
