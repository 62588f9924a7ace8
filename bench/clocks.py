"""The run-to-run standard deviation of val_bpb under each clock: one model, fresh seeds, the clocks interleaved."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
RUNS = 5
BUDGET_S = 10
PROBE_S = 1.0


def measure() -> dict[str, float]:
    """Standard deviation of val_bpb over the runs, and what the clocks made of the budget."""
    with tempfile.TemporaryDirectory() as folder:
        fixed = _calibrated_steps(Path(folder), "fixed")
        clocks: dict[str, Callable[[int], dict[str, str]]] = {
            "wall": lambda _: {"AUTORESEARCH_BUDGET": str(BUDGET_S)},
            "calibrated": lambda seed: {"AUTORESEARCH_STEPS": str(_calibrated_steps(Path(folder), f"c{seed}"))},
            "steps": lambda _: {"AUTORESEARCH_STEPS": str(fixed)},
        }
        found: dict[str, list[dict[str, float]]] = {name: [] for name in clocks}
        for seed in range(RUNS):
            for name, budget in clocks.items():
                found[name].append(
                    _train(Path(folder) / f"{name}-{seed}", {**budget(seed), "AUTORESEARCH_SEED": str(seed)})
                )
    table = {}
    for name, runs in found.items():
        table[f"{name}: standard deviation of val_bpb"] = statistics.stdev(run["val_bpb"] for run in runs)
        table[f"{name}: mean val_bpb"] = statistics.mean(run["val_bpb"] for run in runs)
        table[f"{name}: spread of steps, relative"] = _relative(run["num_steps"] for run in runs)
        table[f"{name}: spread of tokens/s, relative"] = _relative(run["tokens_per_second"] for run in runs)
    return table


def _relative(values) -> float:  # type: ignore[no-untyped-def]
    numbers = list(values)
    return statistics.stdev(numbers) / statistics.mean(numbers)


def _calibrated_steps(folder: Path, name: str) -> int:
    """The steps that the harness's calibrated clock would give: two probes, the lower step time."""
    env = {"AUTORESEARCH_PROBE": "1", "AUTORESEARCH_BUDGET": str(PROBE_S)}
    probes = [_train(folder / f"probe-{name}-{number}", env) for number in range(2)]
    return round(BUDGET_S / min(probe["step_seconds"] for probe in probes))


def _train(folder: Path, env: dict[str, str]) -> dict[str, float]:
    told = {**os.environ, **env, "AUTORESEARCH_PROFILE": "mini", "AUTORESEARCH_RUN_DIR": str(folder)}
    subprocess.run([sys.executable, "train.py"], cwd=ROOT, env=told, capture_output=True, check=True)
    return json.loads((folder / "result.json").read_text())["metrics"]  # type: ignore[no-any-return]
