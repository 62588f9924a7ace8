"""The run-to-run standard deviation of val_bpb under each clock: one model, fresh seeds, the clocks interleaved."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from agent.campaign.estimate import PROBE_ROUNDS, probe_seconds
from agent.core.experiment import Budget

ROOT = Path(__file__).parent.parent
RUNS = 5
BUDGET_S = 10
STEPS = 150  # of the step clock: about as many as the seconds buy on two cores


def measure() -> dict[str, float]:
    """Standard deviation of val_bpb over the runs, and what the clocks made of the budget.

    As in a campaign, one calibration is for all runs. How far several calibrations would differ is a row of its own.
    """
    with tempfile.TemporaryDirectory() as folder:
        calibrations = [_calibrated_steps(Path(folder), number) for number in range(RUNS)]
        clocks = {
            "wall": {"AUTORESEARCH_BUDGET": str(BUDGET_S)},
            "calibrated": {"AUTORESEARCH_STEPS": str(calibrations[0])},
            "steps": {"AUTORESEARCH_STEPS": str(STEPS)},
        }
        figures: dict[str, list[dict[str, float]]] = {name: [] for name in clocks}
        for seed in range(RUNS):
            for name, budget in clocks.items():
                run_dir = Path(folder) / f"{name}-{seed}"
                figures[name].append(_train(run_dir, {**budget, "AUTORESEARCH_SEED": str(seed)}))
    table = {"spread of steps from calibration to calibration, relative": _relative(calibrations)}
    for name, runs in figures.items():
        table[f"{name}: standard deviation of val_bpb"] = statistics.stdev(run["val_bpb"] for run in runs)
        table[f"{name}: mean val_bpb"] = statistics.mean(run["val_bpb"] for run in runs)
        table[f"{name}: spread of steps, relative"] = _relative(run["num_steps"] for run in runs)
        table[f"{name}: spread of tokens/s, relative"] = _relative(run["tokens_per_second"] for run in runs)
    return table


def _relative(values) -> float:  # type: ignore[no-untyped-def]
    numbers = list(values)
    return statistics.stdev(numbers) / statistics.mean(numbers)


def _calibrated_steps(folder: Path, calibration: int) -> int:
    """The steps that the harness's calibrated clock gives: the lowest step time of its probes."""
    env = {"AUTORESEARCH_PROBE": "1", "AUTORESEARCH_BUDGET": f"{probe_seconds(Budget('seconds', BUDGET_S)):g}"}
    probes = [_train(folder / f"probe-{calibration}-{number}", env) for number in range(PROBE_ROUNDS)]
    return round(BUDGET_S / min(probe["step_seconds"] for probe in probes))


def _train(folder: Path, env: dict[str, str]) -> dict[str, float]:
    environment = {**os.environ, **env, "AUTORESEARCH_PROFILE": "mini", "AUTORESEARCH_RUN_DIR": str(folder)}
    subprocess.run([sys.executable, "train.py"], cwd=ROOT, env=environment, capture_output=True, check=True)
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))["metrics"]
