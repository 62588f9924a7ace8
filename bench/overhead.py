"""What the harness costs a run: a campaign of 50 variants whose script returns at once, less the script's own time."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import many
from tests.support import project as stand_in

VARIANTS = 50


def measure() -> dict[str, float]:
    """Seconds a run, in a campaign with one run of the baseline and of each variant."""
    with tempfile.TemporaryDirectory() as folder:
        project = stand_in.make(Path(folder) / "project")
        many.write_issue(project, VARIANTS)
        alone = _alone(project)
        began = time.monotonic()
        run = stand_in.agent(project, *many.COMMAND, fresh=True)
        whole = time.monotonic() - began
        assert run.returncode == 0, run.stderr
    runs = VARIANTS + 1
    return {
        "script alone, s a run": alone,
        "harness overhead, s a run": whole / runs - alone,
        "whole campaign, s": whole,
    }


def _alone(project: Path) -> float:
    """The median time of the script started by hand."""
    times = []
    for number in range(11):
        folder = project.parent / f"alone-{number}"
        folder.mkdir()
        began = time.monotonic()
        subprocess.run(
            [sys.executable, "train.py"],
            cwd=project,
            env={"AUTORESEARCH_RUN_DIR": str(folder)},
            capture_output=True,
            check=True,
        )
        times.append(time.monotonic() - began)
    return statistics.median(times)
