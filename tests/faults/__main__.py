"""The fault matrix: every named moment of a campaign times every fault, and a loop that strikes at random times.

    python -m tests.faults [--rounds N] [--seed S] [--only WORD] [--json]

A cell disturbs a fresh campaign at its moment, looks at how the program ended, then gives the same command once more:
what there is in the end must be what an undisturbed campaign leaves. `kill` is SIGKILL, `term` SIGTERM, `full` a small
disk of its own that really has no byte left. Exit status 1 if a cell fails.
"""

import argparse
import json
import multiprocessing
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from agent.core.faults import POINTS
from tests.faults.bench import LONG, prepare
from tests.faults.matrix import FAULTS, MOMENTS, Cell, cell, question
from tests.faults.strikes import rounds
from tests.support.forkserver import preload
from tests.support.needs import mount_prefix
from tests.support.project import ROOT

AT_ONCE = 2  # cells: each waits for processes most of the time


def table(cells: Sequence[Cell]) -> str:
    """Moments down, faults across, and below why what failed did."""
    outcomes = {(one.point, one.fault): one.outcome for one in cells}
    width = max(map(len, POINTS))
    rows: list[tuple[str, Sequence[str], str]] = [("", FAULTS, "what has happened there, and what has not")]
    for point in dict.fromkeys(one.point for one in cells if one.point in POINTS):
        rows.append((point, [outcomes.get((point, fault), "") for fault in FAULTS], POINTS[point]))
    return "\n".join(
        f"{name:{width}}  {'  '.join(f'{word:7}' for word in words)}  {meaning}" for name, words, meaning in rows
    )


def summary(cells: Sequence[Cell], seconds: float) -> str:
    """The random rounds, the reasons, the count."""
    random_rounds = [f"{one.point}: {one.outcome}  {one.fault}" for one in cells if one.point not in POINTS]
    reasons = sorted({f"{one.outcome} {one.point} {one.fault}: {one.reason}" for one in cells if one.reason})
    counts = {name: sum(one.outcome == name for one in cells) for name in ("passed", "skipped", "FAILED")}
    count = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    return "\n".join([*random_rounds, *reasons, f"{count} in {seconds:.0f} s"])


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(prog="python -m tests.faults", description="Every moment of a campaign, every fault.")
    top.add_argument("--rounds", type=int, default=6, help="campaigns that are struck at random times (6)")
    top.add_argument("--seed", type=int, help="of the random times (by the clock)")
    top.add_argument(
        "--only", default="", metavar="WORD", help="cells whose POINT:FAULT has it, as a regular expression"
    )
    top.add_argument("--json", action="store_true", help="print JSON")
    top.add_argument("--mounted", choices=("yes", "no"), help=argparse.SUPPRESS)  # set by the program itself
    return top


def try_all(args: argparse.Namespace) -> list[Cell]:
    """Every cell and every round, in the table's order."""
    chosen = [(point, fault) for point in MOMENTS for fault in FAULTS if re.search(args.only, f"{point}:{fault}")]
    questions = sorted({question(point) for point, _ in chosen} | ({LONG} if args.rounds else set()))
    preload("harness")  # the command line imports when it knows what for: in every program of a cell, where not here
    with tempfile.TemporaryDirectory() as folder, _pool() as pool:
        bench = prepare(Path(folder), args.mounted == "yes", questions)
        random_rounds = [pool.submit(rounds, bench, number, args.seed) for number in range(1, args.rounds + 1)]
        cells = [pool.submit(cell, bench, point, fault) for point, fault in chosen]
        return [future.result() for future in (*cells, *random_rounds)]


def _pool() -> ProcessPoolExecutor:
    """Forks of this process before it has threads: from these it is safe to fork."""
    return ProcessPoolExecutor(AT_ONCE, mp_context=multiprocessing.get_context("fork"))


def main() -> int:
    """Run the command line, in a mount namespace of its own where that is permitted; return the exit status."""
    args = parser().parse_args()
    if args.mounted is None:
        prefix = mount_prefix()
        argv = [sys.executable, "-m", "tests.faults", *sys.argv[1:], "--mounted", "no" if prefix is None else "yes"]
        os.chdir(ROOT)
        os.execvp((prefix or argv)[0], [*(prefix or []), *argv])
    args.seed = int(time.time()) if args.seed is None else args.seed
    began = time.monotonic()
    cells = try_all(args)
    if args.json:
        print(json.dumps({"seed": args.seed, "cells": [asdict(one) for one in cells]}, indent=1))
    else:
        print(f"{table(cells)}\n\nrandom times, --seed {args.seed}\n{summary(cells, time.monotonic() - began)}")
    return int(any(one.outcome == "FAILED" for one in cells))


if __name__ == "__main__":
    sys.exit(main())
