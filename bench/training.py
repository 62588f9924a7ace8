"""Training speed and quality: train.py, as it stands and compiled, against the plain reference, interleaved in one run.

On CUDA, train.py is also held against the line of 50 % MFU. Seconds, steps and rounds: the constants below. The plain
one keeps torch's own threads, which wait for one another by spinning without end: on a busy machine that harms it.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
SECONDS = 30
STEPS = 150
ROUNDS = 3  # each with a seed of its own, the same for all
MFU_LINE = 50.0  # percent, of the device's dense bf16 peak
Figures = dict[str, float]
CONTENDERS = {
    "plain": (("-m", "bench.plain"), {}),
    "eager": (("train.py",), {"AUTORESEARCH_COMPILE": "0"}),
    "compiled": (("train.py",), {"AUTORESEARCH_COMPILE": "1"}),
}


def measure() -> Figures:
    """Medians over the rounds of each contender, and ratios to the plain one."""
    table: Figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, amount in (("SECONDS", SECONDS), ("STEPS", STEPS)):
            figures = _rounds(Path(folder), {"SECONDS": "BUDGET", "STEPS": "STEPS"}[kind], amount)
            for name, runs in figures.items():
                rows = {what: statistics.median(run[what] for run in runs) for what in runs[0]}
                table |= {f"{amount} {kind.lower()}, {name}: {what}": value for what, value in rows.items()}
            table |= _ratios(f"{amount} {kind.lower()}", figures)
    return table


def _rounds(folder: Path, budget: str, amount: int) -> dict[str, list[Figures]]:
    figures: dict[str, list[Figures]] = {name: [] for name in CONTENDERS}
    for seed in range(ROUNDS):
        for name, runs in figures.items():
            env = {f"AUTORESEARCH_{budget}": str(amount), "AUTORESEARCH_SEED": str(seed)}
            runs.append(_train(folder / f"{name}-{budget}-{seed}", name, env))
            print(f"{name:9} {amount} {budget.lower()} seed {seed}: {runs[-1]['val_bpb']:.4f} bpb", flush=True)
    return figures


def _ratios(what: str, figures: dict[str, list[Figures]]) -> Figures:
    """Of each contender to the plain one, round by round: the median of tokens/s, the mean gain in bpb."""
    table = {}
    for name in figures.keys() - {"plain"}:
        pairs = list(zip(figures[name], figures["plain"], strict=True))
        speed = [ours["tokens/s"] / plain["tokens/s"] for ours, plain in pairs]
        gains = [plain["val_bpb"] - ours["val_bpb"] for ours, plain in pairs]
        table[f"{what}, {name} against plain: tokens/s, ratio"] = statistics.median(speed)
        table[f"{what}, {name} against plain: val_bpb, gain"] = statistics.mean(gains)
    return dict(sorted(table.items()))


def _train(run_dir: Path, name: str, env: dict[str, str]) -> Figures:
    argv, own = CONTENDERS[name]
    before = os.times()
    process = subprocess.run(
        [sys.executable, *argv],
        cwd=ROOT,
        env={**_surroundings(), **own, **env, "AUTORESEARCH_RUN_DIR": str(run_dir)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    after = os.times()
    result = json.loads((run_dir / "result.json").read_text(encoding="utf-8")) if process.returncode == 0 else None
    if result is None or result["notes"].get("compiled", False) != (name == "compiled"):
        raise SystemExit(f"{name} did not run as it should: {process.stderr.strip() or 'it was not compiled'}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    cores = psutil.cpu_count(logical=False) or 1
    return _figures(result, used / (after.elapsed - before.elapsed) / cores)


def _surroundings() -> dict[str, str]:
    """The environment without settings of a run: where the corpora and the cache are stays."""
    kept = {"AUTORESEARCH_CACHE", "AUTORESEARCH_DATA", "AUTORESEARCH_CORPUS", "AUTORESEARCH_PROFILE"}
    return {name: value for name, value in os.environ.items() if not name.startswith("AUTORESEARCH_") or name in kept}


def _figures(result: dict[str, dict[str, float]], busy: float) -> Figures:
    metrics, phases = result["metrics"], result["phases"]
    figures = {
        "tokens/s": metrics["tokens_per_second"],
        "tokens/s undisturbed": metrics["total_tokens_M"] * 1e6 / metrics["num_steps"] / metrics["step_seconds"],
        "val_bpb": metrics["val_bpb"],
        "peak memory, MB": metrics["peak_vram_mb"],
        "training share of the wall time, %": 100 * phases["train"] / metrics["total_seconds"],
        "CPU utilisation, %": 100 * busy,
    }
    if "mfu_percent" in metrics:
        figures["MFU, %"] = metrics["mfu_percent"]
        figures[f"MFU against the line of {MFU_LINE:g} %, ratio"] = metrics["mfu_percent"] / MFU_LINE
    return figures | {f"{phase}, s": seconds for phase, seconds in phases.items()}
