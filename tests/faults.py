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
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

from agent.app import main as harness
from agent.core.faults import FILLER, POINTS, fill
from agent.core.records import CommandRecord
from agent.store.codec import decode, encode
from tests.support.audited import make_audited
from tests.support.needs import mount_prefix
from tests.support.project import ROOT, command, commit, edit, environment, git, make
from tests.support.prose import BODY, prose_issue

FAULTS = ("kill", "term", "full")
QUICK = ("--issue", "3", "--budget", "5steps", "--gate", "lowest")  # two runs
PROBED = ("--issue", "3", "--budget", "2", "--gate", "lowest")  # with probes before them
AUDITED = ("--issue", "3", "--budget", "6steps", "--gate", "lowest")  # of a model that can be audited
STEERED = ("--issue", "3", "--budget", "7steps", "--gate", "lowest")  # with a variant that a person added
LONG = ("--issue", "3", "--budget", "5steps")  # four variants, ten runs: what the random loop strikes
# An editor that goes by what it finds, as often as it is asked: a better width, and where that is there, nothing.
EDITS = "import pathlib; p = pathlib.Path('train.py'); p.write_text(p.read_text().replace('RATIO = 64', 'RATIO = 96'))"
EDITED = (
    "--issue",
    "5",
    "--budget",
    "5steps",
    "--gate",
    "lowest",
    "--editor",
    shlex.join([sys.executable, "-c", EDITS]),
)
LOOPED = (*EDITED, "--loop")  # a winner, then three rounds without a proposal that can run
DISK = "256m"  # of the disk that is filled; a run wants 64 MB of it free
PAGE = 4096  # bytes: a full disk still takes what fits into the last page of a file
CROWDED, ROOMY = 100, 3800  # room in the ledger's last page: for no record, and for one that should not be written
STRANGER = 99  # an issue that is nobody's here
AT_ONCE = 2  # cells: each waits for processes most of the time
STRIKES = 5  # a round of the random loop has no more, so that it ends
GRACE_S = 5.0  # in which what a dead harness has started must be gone
DEADLINE_S = 60.0  # for a program to end after a fault

# Moments at which a run may be under way that the ledger does not know: that one may be repeated, and no other.
RUNNING = ("probe-start", "probe-result", "run-start", "run-result", "append-before")
# Where something starts that a full disk makes fail: its failure must not be recorded, though there is room for it.
STARTING = ("proposal-before", "probe-start", "run-start", "audit-before")
AWAY = ("redelivered",)  # comes by only where a tracker was away before: tests/tracking/test_outbox.py strikes there
MOMENTS = tuple(point for point in POINTS if point not in AWAY)
SECOND = (*RUNNING, "append-after")  # struck at their second time: what came before must not be repeated

ISSUE = """---
number: 3
title: One variant
labels: [experiment]
---
| ID | DEPTH | ASPECT_RATIO |
|---|---|---|
| 1D | 8 | 96 |
"""


@dataclass(frozen=True)
class Cell:
    """How a moment took a fault; the random loop's rounds have the moment `round N`."""

    point: str
    fault: str
    outcome: str
    reason: str
    seconds: float


class Failed(Exception):
    """A promise that did not hold, in words."""


def must(holds: bool, promise: str) -> None:
    """Raise Failed with the promise where it does not hold."""
    if not holds:
        raise Failed(promise)


# --- what a campaign leaves -------------------------------------------------------------------------------


def state(project: Path) -> dict[str, object]:
    """What must not depend on a fault: every record but its times, every ref, note and export, every file's name.

    What an editor said is left out: a draft that was lost is written again.
    """
    listed = (path for path in project.rglob("*") if path.is_file() and path.name != FILLER)
    names = sorted(str(path.relative_to(project)) for path in listed if {".git", "proposal"}.isdisjoint(path.parts))
    own = (path.name for path in (project / ".git" / "autoresearch").rglob("*"))
    exports = [project / "experiments" / "results.tsv", *project.rglob("*.comment.md")]
    return {
        "ledger": records(project),
        "refs": git(project, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads").splitlines(),
        "notes": git(project, "ls-tree", "-r", "refs/notes/autoresearch").splitlines(),
        "files": names + sorted(name for name in own if not name.endswith(".holder")),  # it is read under the lock only
        "exports": [_timeless(path.read_text()) for path in exports],
        "work tree": git(project, "status", "--porcelain"),
        "exclude": (project / ".git" / "info" / "exclude").read_text(),
    }


def _timeless(text: str) -> str:
    """An export without what depends on the clock, and on how often an audit began (see `check_reads`)."""
    return re.sub(
        r"read (once|\d+ times) so far", "read so often", re.sub(r"\d+ s, sandbox", "so many s, sandbox", text)
    )


def records(project: Path) -> list[dict[str, object]]:
    """The ledger without what depends on the clock; a campaign is known by its number instead of its time.

    A reading of the second held-out set that was announced again after a crash is there once.
    """
    found = [record for line in lines(project) if (record := json.loads(line))["issue"] != STRANGER]
    campaigns = [record["at"] for record in found if record["kind"] == "campaign"]
    for record in found:
        if "campaign" in record:
            record["campaign"] = campaigns.index(record["campaign"])
        for name in ("at", "seconds", "cpu_s", "sum", "held_reads"):
            record.pop(name, None)
    return [one for number, one in enumerate(found) if one["kind"] != "held-read" or one not in found[:number]]


def lines(project: Path) -> list[str]:
    """The ledger's lines. Raises Failed unless every one is whole."""
    path = project / "experiments" / "ledger.jsonl"
    text = path.read_text() if path.exists() else ""
    must(text == "" or text.endswith("\n"), "the ledger's last line is torn")
    must(all(decode(line) is not None for line in text.splitlines()), "a line of the ledger is damaged")
    return text.splitlines()


def differs(found: Mapping[str, object], expected: Mapping[str, object]) -> str:
    """The parts in which two states differ, in a line; empty where they are the same."""
    parts = [name for name in expected if found[name] != expected[name]]
    return "; ".join(f"{name} {_short(found[name])} instead of {_short(expected[name])}" for name in parts)


def _short(value: object) -> str:
    text = str([record["kind"] for record in value] if _is_ledger(value) else value)  # type: ignore[attr-defined]
    return text if len(text) <= 300 else f"{text[:300]}..."


def _is_ledger(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def homes(project: Path) -> dict[str, int]:
    """The logs of the runs that were started and belong in the ledger, and when each was last written."""
    others = ("audit", "compared", "smoke-1", "command-1")
    logs = (path for path in project.glob("logs/**/run.log") if path.parent.name not in others)
    return {str(path.relative_to(project)): path.stat().st_mtime_ns for path in logs}


def recorded(project: Path) -> set[str]:
    """The logs of the runs that the ledger knows."""
    return {str(record["log"]) for record in map(json.loads, lines(project)) if record["kind"] == "run"}


# --- a place for a campaign -------------------------------------------------------------------------------


def template(folder: Path, maker: Callable[[Path], Path] = make) -> Path:
    """The project of a cell: one variant, so that it takes a second or two."""
    project = maker(folder)
    (project / "experiments" / "issues" / "0003-depth-vs-width.md").write_text(ISSUE)
    commit(project, "one variant")
    return project


def steered(folder: Path) -> Path:
    """A project in which somebody has said two things before the campaign begins."""
    project = make(folder)
    remarks = project / "experiments" / "issues" / "0003-depth-vs-width.remarks.md"
    remarks.write_text("/run 1E DEPTH=10 ASPECT_RATIO=64\n/skip 9Z\n")
    return project


def prose(folder: Path) -> Path:
    """A project with an issue in prose, which asks for one proposal a round."""
    project = make(folder)
    prose_issue(project, BODY.replace("variants: 2", "variants: 1"))
    return project


def long_template(folder: Path) -> Path:
    """The project of the random loop: four variants, and runs that take long enough to be struck."""
    project = make(folder)
    edit(project, "train.py", "PAUSE = 0.0", "PAUSE = 0.1")
    commit(project, "runs that take a moment")
    return project


@contextmanager
def disk(folder: Path) -> Iterator[Path]:
    """A small disk of its own at `folder`, in this program's own mount namespace."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@dataclass(frozen=True)
class Bench:
    """Where cells are tried: a folder, the projects they copy, and what these leave undisturbed."""

    folder: Path
    mounted: bool
    calm: Mapping[tuple[str, ...], Mapping[str, object]]

    @contextmanager
    def project(self, name: str, asked: Sequence[str], own_disk: bool) -> Iterator[Path]:
        """A fresh copy of the project for a question; with temporary files, on a disk of its own if so told."""
        place = self.folder / name
        with ExitStack() as stack:
            if own_disk:
                stack.enter_context(disk(place))
            shutil.copytree(self.folder / _template(asked), place / "project", symlinks=True)
            (place / "tmp").mkdir()
            yield place / "project"
        shutil.rmtree(place)


def _template(asked: Sequence[str]) -> str:
    names = {LONG: "long", AUDITED: "audited", STEERED: "steered", EDITED: "prose", LOOPED: "prose"}
    return names.get(tuple(asked), "short")


def prepare(folder: Path, mounted: bool, asked: Sequence[tuple[str, ...]]) -> Bench:
    """Make the projects and run each question once, undisturbed."""
    template(folder / "short")
    template(folder / "audited", make_audited)
    template(folder / "steered", steered)
    prose(folder / "prose")
    long_template(folder / "long")
    calm: dict[tuple[str, ...], Mapping[str, object]] = {}
    bench = Bench(folder, mounted, calm)
    for number, question in enumerate(asked):
        with bench.project(f"calm-{number}", question, own_disk=False) as project:
            finish(project, question)
            calm[question] = state(project)
    return bench


def told(project: Path, fault: str = "") -> dict[str, str]:
    """The environment of a program in a project: its temporary files are on the same disk."""
    asked = {"AUTORESEARCH_FAULT": fault} if fault else {}
    return {"TMPDIR": str(project.parent / "tmp"), **asked}


@dataclass(frozen=True)
class Ended:
    """A program's exit status (negative: the signal that ended it) and what it said on standard error."""

    status: int
    errors: str

    @property
    def how(self) -> str:
        return f"ended with {self.status}: {' / '.join(self.errors.strip().splitlines()[-3:])}"


def agent(project: Path, asked: Sequence[str], fault: str = "") -> Ended:
    """The real program in a process of its own, forked with its modules loaded: that is half of a cell's time."""
    program = multiprocessing.get_context("fork").Process(target=_program, args=(project, asked, fault))
    program.start()
    program.join(DEADLINE_S)
    if program.exitcode is None:
        program.kill()
        raise Failed(f"it did not end within {DEADLINE_S:.0f} s")
    return Ended(program.exitcode, (project.parent / "errors").read_text())


def _program(project: Path, asked: Sequence[str], fault: str) -> None:
    """What happens in that process: nothing of the parent but its modules."""
    os.chdir(project)
    os.environ.update(environment(project, told(project, fault)))
    tempfile.tempdir = None
    for number, name in ((1, os.devnull), (2, str(project.parent / "errors"))):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.exit(harness.main(asked))


def finish(project: Path, asked: Sequence[str]) -> None:
    """Give the command undisturbed. Raises Failed where it does not end well."""
    ended = agent(project, asked)
    must(ended.status == 0, f"the same command {ended.how}")


# --- the matrix -------------------------------------------------------------------------------------------


def question(point: str) -> tuple[str, ...]:
    """What the campaign is asked that comes by a moment."""
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
    asked = question(point)
    strike = f"{point}{'@2' if point in SECOND else ''}"
    first = crowding(bench, point, strike) if fault == "full" else ""
    with bench.project(f"{point}-{fault}", asked, own_disk=fault == "full") as project:
        if first:
            (project / "experiments" / "ledger.jsonl").write_text(first)
        check_ending(bench, project, asked, fault, agent(project, asked, f"{strike}:{fault}"))
        before, known = homes(project), recorded(project)
        unknown = sorted(before.keys() - known)
        must(len(unknown) <= (point in RUNNING), f"runs are lost: {', '.join(unknown)}")
        finish(project, asked)
        again = [log for log in known if homes(project)[log] != before[log]]
        must(not again, f"recorded runs were run again: {', '.join(again)}")
        check_end(bench, project, asked)


def crowding(bench: Bench, point: str, strike: str) -> str:
    """A record to begin the ledger with, so long that at a moment its last page has as much room as is to be."""
    with bench.project(f"{point}-length", question(point), own_disk=False) as project:
        agent(project, question(point), f"{strike}:kill")
        found = lines(project)
    if not found:
        return ""  # there is no file yet, and a new one has no room at all
    stranger = CommandRecord(
        issue=STRANGER, body_sha256="", remark="", author="", command="", answer="", obeyed=False, at=""
    )
    length = sum(len(f"{line}\n".encode()) for line in (*found, encode(stranger)))
    room = ROOMY if point in STARTING else CROWDED
    return f"{encode(replace(stranger, answer='x' * ((PAGE - room - length) % PAGE)))}\n"


def check_ending(bench: Bench, project: Path, asked: tuple[str, ...], fault: str, ended: Ended) -> None:
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
        must(clear or (ended.status == 0 and state(project) == bench.calm[asked]), ended.how)


def check_end(bench: Bench, project: Path, asked: tuple[str, ...]) -> None:
    """Whether a project is what an undisturbed campaign leaves."""
    difference = differs(state(project), bench.calm[asked])
    must(not difference, f"the end state differs: {difference}")
    check_reads(project)


def check_reads(project: Path) -> None:
    """Whether every reading of the second held-out set is counted: one a fault too many may be, none too few."""
    found = [json.loads(line) for line in lines(project)]
    for at, audit in [(at, record) for at, record in enumerate(found) if record["kind"] == "audit"]:
        counted = sum(record["kind"] == "held-read" for record in found[:at])
        must(audit["held_reads"] == counted, f"{audit['held_reads']} readings are told and {counted} were counted")
        before = sum(record["kind"] == "audit" for record in found[:at])
        must(counted > before, "a reading is not counted")


# --- at random times --------------------------------------------------------------------------------------


def rounds(bench: Bench, number: int, seed: int) -> Cell:
    """Strike a long campaign at random times until it has had enough, then see that it ends as if undisturbed."""
    chance, strikes = random.Random(f"{seed}-{number}"), list[str]()

    def trial() -> None:
        with bench.project(f"round-{number}", LONG, own_disk=bench.mounted) as project:
            while len(strikes) < STRIKES and struck(bench, project, chance, strikes):
                pass
            finish(project, LONG)
            check_end(bench, project, LONG)

    found = judged(f"round {number}", "", trial)
    return Cell(found.point, " ".join(strikes), found.outcome, found.reason, found.seconds)


def struck(bench: Bench, project: Path, chance: random.Random, strikes: list[str]) -> bool:
    """Start the command and strike once; False where it had ended well by then."""
    fault, moment = chance.choice(FAULTS if bench.mounted else FAULTS[:2]), chance.uniform(0.4, 3.0)
    strikes.append(f"{fault}@{moment:.2f}s")
    pipe, env = subprocess.PIPE, environment(project, told(project))
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


# --- the program ------------------------------------------------------------------------------------------


def table(cells: Sequence[Cell]) -> str:
    """Moments down, faults across, and below why what failed did."""
    found = {(one.point, one.fault): one.outcome for one in cells}
    width = max(map(len, POINTS))
    rows: list[tuple[str, Sequence[str], str]] = [("", FAULTS, "what has happened there, and what has not")]
    for point in dict.fromkeys(one.point for one in cells if one.point in POINTS):
        rows.append((point, [found.get((point, fault), "") for fault in FAULTS], POINTS[point]))
    return "\n".join(
        f"{name:{width}}  {'  '.join(f'{word:7}' for word in words)}  {said}" for name, words, said in rows
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


def tried(args: argparse.Namespace) -> list[Cell]:
    """Every cell and every round, in the table's order."""
    wanted = [(point, fault) for point in MOMENTS for fault in FAULTS if re.search(args.only, f"{point}:{fault}")]
    asked = sorted({question(point) for point, _ in wanted} | ({LONG} if args.rounds else set()))
    with tempfile.TemporaryDirectory() as folder, _pool() as pool:
        bench = prepare(Path(folder), args.mounted == "yes", asked)
        random_rounds = [pool.submit(rounds, bench, number, args.seed) for number in range(1, args.rounds + 1)]
        cells = [pool.submit(cell, bench, point, fault) for point, fault in wanted]
        return [future.result() for future in (*cells, *random_rounds)]


def _pool() -> ProcessPoolExecutor:
    """Processes without threads: from these it is safe to fork."""
    return ProcessPoolExecutor(AT_ONCE, mp_context=multiprocessing.get_context("spawn"))


def main() -> int:
    """Run the command line, in a mount namespace of its own where that is permitted; return the exit status."""
    args = parser().parse_args()
    if args.mounted is None:
        prefix = mount_prefix()
        again = [sys.executable, "-m", "tests.faults", *sys.argv[1:], "--mounted", "no" if prefix is None else "yes"]
        os.chdir(ROOT)
        os.execvp((prefix or again)[0], [*(prefix or []), *again])
    args.seed = int(time.time()) if args.seed is None else args.seed
    began = time.monotonic()
    cells = tried(args)
    if args.json:
        print(json.dumps({"seed": args.seed, "cells": [asdict(one) for one in cells]}, indent=1))
    else:
        print(f"{table(cells)}\n\nrandom times, --seed {args.seed}\n{summary(cells, time.monotonic() - began)}")
    return int(any(one.outcome == "FAILED" for one in cells))


if __name__ == "__main__":
    sys.exit(main())
