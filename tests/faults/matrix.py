"""One cell: a campaign that is disturbed at a named moment and ends as if nothing had been."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from agent.core.faults import FILLER, POINTS
from agent.core.records import CommandRecord
from agent.store.codec import encode
from tests.faults.bench import AUDITED, EDITED, LOOPED, PROBED, QUICK, STEERED, Bench, Ended, agent, finish
from tests.faults.state import STRANGER, Failed, differs, homes, lines, must, recorded, state

FAULTS = ("kill", "term", "full")
PAGE = 4096  # bytes: a full disk still takes what fits into the last page of a file
CROWDED, ROOMY = 100, 3800  # room in the ledger's last page: for no record, and for one that should not be written

# Moments at which a run may be under way that the ledger does not know: that one may be repeated, and no other.
RUNNING = ("probe-start", "probe-result", "run-start", "run-result", "append-before")
# Where something starts that a full disk makes fail: its failure must not be recorded, though there is room for it.
STARTING = ("proposal-before", "probe-start", "run-start", "audit-before")
AWAY = ("redelivered",)  # comes by only where a tracker was away before: tests/tracking/test_outbox.py strikes there
MOMENTS = tuple(point for point in POINTS if point not in AWAY)
SECOND = (*RUNNING, "append-after")  # struck at their second time: what came before must not be repeated


@dataclass(frozen=True)
class Cell:
    """How a moment took a fault; the random loop's rounds have the moment `round N`."""

    point: str
    fault: str
    outcome: str
    reason: str
    seconds: float


def question(point: str) -> tuple[str, ...]:
    """What the campaign is argv that comes by a moment."""
    kinds = {"probe": PROBED, "audit": AUDITED, "steer": STEERED, "ideas": EDITED, "proposal": EDITED, "loop": LOOPED}
    return kinds.get(point.partition("-")[0], QUICK)


def judged(point: str, fault: str, trial: Callable[[], None]) -> Cell:
    """The cell of a trial: whatever it raises is why it failed."""
    began, reason = time.monotonic(), ""
    try:
        trial()
    except (Failed, subprocess.SubprocessError, OSError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}" if not isinstance(error, Failed) else str(error)
    return Cell(point, fault, "FAILED" if reason else "passed", reason, round(time.monotonic() - began, 1))


def cell(bench: Bench, point: str, fault: str) -> Cell:
    """Disturb a campaign at a moment, and see that it ends as if nothing had been."""
    if fault == "full" and not bench.mounted:
        return Cell(point, fault, "skipped", "this machine lets nobody mount a disk to fill", 0.0)
    return judged(point, fault, lambda: disturb(bench, point, fault))


def disturb(bench: Bench, point: str, fault: str) -> None:
    """One cell. Raises Failed with the promise that did not hold."""
    argv = question(point)
    strike = f"{point}{'@2' if point in SECOND else ''}"
    first = crowding(bench, point, strike) if fault == "full" else ""
    with bench.project(f"{point}-{fault}", argv, own_disk=fault == "full") as project:
        if first:
            (project / "experiments" / "ledger.jsonl").write_text(first)
        check_ending(bench, project, argv, fault, agent(project, argv, f"{strike}:{fault}"))
        before, known = homes(project), recorded(project)
        unknown = sorted(before.keys() - known)
        must(len(unknown) <= (point in RUNNING), f"runs are lost: {', '.join(unknown)}")
        finish(project, argv)
        repeated = [log for log in known if homes(project)[log] != before[log]]
        must(not repeated, f"recorded runs were run again: {', '.join(repeated)}")
        check_end(bench, project, argv)


def crowding(bench: Bench, point: str, strike: str) -> str:
    """A record to begin the ledger with, so long that at a moment its last page has as much room as is to be."""
    with bench.project(f"{point}-length", question(point), own_disk=False) as project:
        agent(project, question(point), f"{strike}:kill")
        before = lines(project)
    if not before:
        return ""  # there is no file yet, and a new one has no room at all
    stranger = CommandRecord(
        issue=STRANGER, body_sha256="", remark="", author="", command="", answer="", obeyed=False, at=""
    )
    length = sum(len(f"{line}\n".encode()) for line in (*before, encode(stranger)))
    room = ROOMY if point in STARTING else CROWDED
    return f"{encode(replace(stranger, answer='x' * ((PAGE - room - length) % PAGE)))}\n"


def check_ending(bench: Bench, project: Path, argv: tuple[str, ...], fault: str, ended: Ended) -> None:
    """Whether the program ended as the fault demands, with a whole ledger and without a traceback."""
    lines(project)
    must("Traceback" not in ended.errors, ended.how)
    if fault == "kill":
        must(ended.status == -signal.SIGKILL, ended.how)
    elif fault == "term":
        must(ended.status == 130 and "the same command goes on" in ended.errors, ended.how)
    else:
        must((project / FILLER).exists(), f"the disk was not filled; {ended.how}")
        (project / FILLER).unlink()
        clear = ended.status in (1, 3) and "error: " in ended.errors
        must(clear or (ended.status == 0 and state(project) == bench.calm[argv]), ended.how)


def check_end(bench: Bench, project: Path, argv: tuple[str, ...]) -> None:
    """Whether a project is what an undisturbed campaign leaves."""
    difference = differs(state(project), bench.calm[argv])
    must(not difference, f"the end state differs: {difference}")
    check_reads(project)


def check_reads(project: Path) -> None:
    """Whether every reading of the second held-out set is counted: one a fault too many may be, none too few."""
    history = [json.loads(line) for line in lines(project)]
    for at, audit in [(at, record) for at, record in enumerate(history) if record["kind"] == "audit"]:
        counted = sum(record["kind"] == "held-read" for record in history[:at])
        must(audit["held_reads"] == counted, f"{audit['held_reads']} readings are recorded and {counted} were counted")
        before = sum(record["kind"] == "audit" for record in history[:at])
        must(counted > before, "a reading is not counted")
