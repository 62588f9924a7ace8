"""Which batch, threads, precision and spinning are fastest for train.py on `mini`, here: interleaved probes."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from agent.core.experiment import SetConstant
from agent.spec.edits import apply

ROOT = Path(__file__).parent.parent
ROUNDS = 2
TOKENS = 60_000  # of one probe
Change = tuple[dict[str, int | str], dict[str, str]]  # entries of TUNED.mini, environment
CHANGES: dict[str, Change] = {
    "as committed": ({}, {}),
    "2 rows": ({"device_batch": 2, "total_batch": 512}, {}),
    "4 rows": ({"device_batch": 4, "total_batch": 1024}, {}),
    "16 rows": ({"device_batch": 16, "total_batch": 4096}, {}),
    "1 thread": ({}, {"OMP_NUM_THREADS": "1"}),
    "bfloat16": ({"dtype": "bfloat16"}, {}),
    "spin 2,000": ({}, {"GOMP_SPINCOUNT": "2000"}),
    "spin 5,000": ({}, {"GOMP_SPINCOUNT": "5000"}),
    "spin 20,000": ({}, {"GOMP_SPINCOUNT": "20000"}),
}


def measure() -> dict[str, float]:
    """Tokens per second of each change, the median of the rounds, and as a ratio to what is committed."""
    speeds_of: dict[str, list[float]] = {name: [] for name in CHANGES}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            for name, speeds in speeds_of.items():
                speeds.append(_probe(Path(folder) / f"{name}-{number}", *CHANGES[name]))
    medians = {name: statistics.median(speeds) for name, speeds in speeds_of.items()}
    ratios = {f"{name}, ratio": speed / medians["as committed"] for name, speed in medians.items()}
    return {f"{name}, tokens/s": speed for name, speed in medians.items()} | ratios


def _probe(folder: Path, entries: dict[str, int | str], env: dict[str, str]) -> float:
    edits = [SetConstant("train.py", f"TUNED.mini.{name}", value) for name, value in entries.items()]
    text = (ROOT / "train.py").read_text(encoding="utf-8")
    folder.mkdir()
    (folder / "train.py").write_text(
        apply({"train.py": text}, edits, ["train.py"]).get("train.py", text), encoding="utf-8"
    )
    shutil.copy(ROOT / "prepare.py", folder)
    shutil.copytree(ROOT / "fixed", folder / "fixed", dirs_exist_ok=True)
    settings = {"PROFILE": "mini", "TOKENS": str(TOKENS), "PROBE": "1", "COMPILE": "0", "RUN_DIR": str(folder / "run")}
    variables = {f"AUTORESEARCH_{name}": value for name, value in settings.items()}
    argv = [sys.executable, "train.py"]
    subprocess.run(argv, cwd=folder, env={**os.environ, **env, **variables}, capture_output=True, check=True)
    metrics = json.loads((folder / "run" / "result.json").read_text(encoding="utf-8"))["metrics"]
    return float(metrics["tokens_per_second"])
