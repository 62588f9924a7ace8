"""Run the benchmarks named on the command line (all by default); print a table and write bench/out/bench.json."""

import argparse
import json
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path

from agent.execution.machine import detect
from bench import clocks, evolve, ledger, many, overhead, startup, sweep, training

ROOT = Path(__file__).parent.parent
BENCHES: dict[str, Callable[[], dict[str, float]]] = {
    "startup": startup.measure,
    "overhead": overhead.measure,
    "many": many.measure,
    "ledger": ledger.measure,
    "clocks": clocks.measure,
    "evolve": evolve.measure,
    "sweep": sweep.measure,
    "training": training.measure,
}


def _commit() -> str:
    run = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
    )
    return run.stdout.strip()


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHES)} (all)")
    names = parser.parse_args().names or list(BENCHES)
    if unknown := sorted(set(names) - BENCHES.keys()):
        parser.error(f"no bench {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    facts = {"machine": detect().name, "python": platform.python_version(), "commit": _commit()}
    print(", ".join(facts.values()), flush=True)
    measured = {}
    for name in names:
        measured[name] = BENCHES[name]()
        for what, value in measured[name].items():
            print(f"{name:10} {what:70} {value:14,.4f}", flush=True)
    out = ROOT / "bench" / "out"
    out.mkdir(exist_ok=True)
    (out / "bench.json").write_text(json.dumps({**facts, "measured": measured}, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
