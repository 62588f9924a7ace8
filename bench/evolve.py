"""Organisms a minute of the names evolution at its seed's own work, one name a step, against what the seed published.

A campaign a width, two runs at once where there are two cores. At width 4 the organisms are the eight that the seed
lists; it lists one or two at each other width, so there they cover the space of its issue evenly (`_covering`). Real
names need AUTORESEARCH_DATA; without them the made-up ones take their place, which are of about the same length.
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.support import project as stand_in

PUBLISHED_S = {4: 0.4, 8: 1.5, 16: 10.0, 24: 30.0, 32: 90.0}  # an organism, by width
LISTED = (  # at width 4: heads, layers, context, MLP, rate, steps
    (1, 3, 7, 3, 0.0307, 1500), (4, 4, 2, 3, 0.0429, 1000), (4, 4, 5, 2, 0.0178, 300), (1, 4, 6, 2, 0.0011, 750),
    (4, 7, 5, 1, 0.0021, 750), (1, 4, 5, 5, 0.0012, 750), (2, 3, 2, 6, 0.0011, 300), (2, 7, 2, 5, 0.0144, 300),
)  # fmt: skip
BASE = {"HEAD_SIZE": 0, "BATCH": 1, "LAYER_NORM": True, "LEARNED_POSITIONS": True}
GENES = ("HEADS", "LAYERS", "CONTEXT", "MLP", "LR", "STEPS")
ISSUE = """---
number: 1
title: organisms of width {width}
labels: [experiment]
---
```yaml
# autoresearch
track: names
seeds: [0]
budget: 1500steps
variants:
{variants}
```
"""
COMMAND = ("--issue", "1", "--gate", "lowest")


def measure() -> dict[str, float]:
    """Seconds of the campaign and of the processor an organism, organisms a minute, and that as a ratio, by width."""
    return {f"Emb {width}, {what}": value for width in PUBLISHED_S for what, value in _measure(width).items()}


def _covering() -> tuple[tuple[float, ...], ...]:
    """Eight organisms: every layer count, head count, MLP and number of steps of the space, in equal shares."""
    steps = (300, 500, 750, 1000)
    return tuple(
        ((1, 2, 4)[n % 3], n % 4 + 1, 8 + n, (n // 2) % 4 + 1, 0.01, steps[(n + n // 4) % 4]) for n in range(8)
    )


def _measure(width: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        runs, whole, overhead = _campaign(_project(Path(folder) / "project", width))
    began = min(datetime.fromisoformat(run["at"]).timestamp() - run["seconds"] for run in runs)
    span = max(datetime.fromisoformat(run["at"]).timestamp() for run in runs) - began
    cpu = sum(run["cpu_s"] for run in runs) / len(runs)
    minute = 60 * len(runs) / span
    return {
        "organisms a minute": minute,
        "organisms a minute, ratio to the published": minute * PUBLISHED_S[width] / 60,
        "run, processor s": cpu,
        "harness, its start and the worker's included, processor s a run": overhead / len(runs),
        "published s / (processor s of a run / 2), ratio": PUBLISHED_S[width] / (cpu / 2),
        "whole command, s": whole,
    }


def _project(folder: Path, width: int) -> Path:
    for place in ("fixed", "experiments/names"):
        shutil.copytree(stand_in.ROOT / place, folder / place, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(stand_in.ROOT / ".gitignore", folder)
    organisms = LISTED if width == min(PUBLISHED_S) else _covering()
    variants = [
        json.dumps({"id": f"1-{number}", "set": {"WIDTH": width, **BASE, **dict(zip(GENES, genes, strict=True))}})
        for number, genes in enumerate(organisms, 1)
    ]
    issue = folder / "experiments" / "issues" / "0001-organisms.md"
    issue.parent.mkdir()
    issue.write_text(ISSUE.format(width=width, variants="\n".join(f"- {one}" for one in variants)), encoding="utf-8")
    stand_in.git(folder, "init", "--quiet", "--initial-branch=main")
    stand_in.commit(folder, "The names track")
    return folder


def _campaign(project: Path) -> tuple[list[dict[str, Any]], float, float]:
    """Run the campaign; return the organisms' records, its seconds and the harness's processor seconds."""
    began, before = time.monotonic(), _children_s()
    done = subprocess.run(
        [sys.executable, str(stand_in.ROOT / "agent" / "run.py"), *COMMAND],
        cwd=project, env=stand_in.environment(project), capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    whole, spent = time.monotonic() - began, _children_s() - before
    lines = (project / "experiments" / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    runs = [one for one in records if one["kind"] == "run" and one["variant"] != "baseline"]
    assert {one["status"] for one in runs} == {"ok"}, runs
    return runs, whole, spent


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
