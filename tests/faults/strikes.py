"""Rounds of faults at random times: a long campaign is struck until it has had enough."""

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil

from agent.core.faults import FILLER, fill
from tests.faults.bench import DEADLINE_S, LONG, Bench, Ended, finish, program_env
from tests.faults.matrix import FAULTS, Cell, check_end, judged
from tests.faults.state import lines, must
from tests.support.project import command, environment

STRIKES = 5  # a round of the random loop has no more, so that it ends
GRACE_S = 5.0  # in which what a dead harness has started must be gone


def rounds(bench: Bench, number: int, seed: int) -> Cell:
    """Strike a long campaign at random times until it has had enough, then see that it ends as if undisturbed."""
    chance, strikes = random.Random(f"{seed}-{number}"), list[str]()

    def trial() -> None:
        with bench.project(f"round-{number}", LONG, own_disk=bench.mounted) as project:
            while len(strikes) < STRIKES and struck(bench, project, chance, strikes):
                pass
            finish(project, LONG)
            check_end(bench, project, LONG)

    return replace(judged(f"round {number}", "", trial), fault=" ".join(strikes))


def struck(bench: Bench, project: Path, chance: random.Random, strikes: list[str]) -> bool:
    """Start the command and strike once; False where it had ended well by then."""
    fault, moment = chance.choice(FAULTS if bench.mounted else FAULTS[:2]), chance.uniform(0.4, 3.0)
    strikes.append(f"{fault}@{moment:.2f}s")
    pipe, env = subprocess.PIPE, environment(project, program_env(project))
    with subprocess.Popen(command(*LONG), cwd=project, env=env, text=True, stdout=pipe, stderr=pipe) as program:
        time.sleep(moment)
        ended = program.poll() is not None
        strike(program, project, fault)
        _, errors = program.communicate(timeout=DEADLINE_S)
    (project / FILLER).unlink(missing_ok=True)
    expected = {"kill": {-signal.SIGKILL, 0}, "term": {-signal.SIGTERM, 130, 0}, "full": {0, 1, 2, 3}}[fault]
    how = f"{strikes[-1]} {Ended(program.returncode, errors).how}"
    must(program.returncode in expected and "Traceback" not in errors, how)
    must(not survivors(project), f"{strikes[-1]}: processes survive: {survivors(project)}")
    if fault != "kill":  # that may tear the last line; the next start cuts it off
        lines(project)
    return not ended


def strike(program: subprocess.Popen[str], project: Path, fault: str) -> None:
    """Let a fault come upon a program from outside."""
    if fault == "full":
        fill(project)
    else:
        program.send_signal(signal.SIGKILL if fault == "kill" else signal.SIGTERM)


def survivors(project: Path) -> list[str]:
    """What runs of a project are left after a moment's grace: command lines."""
    deadline = time.monotonic() + GRACE_S
    while (left := list(_of_runs(project))) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def _of_runs(project: Path) -> Iterator[str]:
    for process in psutil.process_iter():
        try:
            if process.environ().get("AUTORESEARCH_RUN_DIR", "").startswith(str(project)):
                yield " ".join(process.cmdline())
        except psutil.Error:  # it ended, or is another user's
            continue
