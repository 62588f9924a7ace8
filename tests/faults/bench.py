"""Where faults are tried: the command lines, the projects in which they are given, and the program that obeys."""

import multiprocessing
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.app import main as harness
from tests.faults.state import Failed, must, state
from tests.support import zygotes
from tests.support.audited import make_audited
from tests.support.project import commit, edit, environment, make, without_sandbox
from tests.support.prose import BODY, prose_issue

QUICK = ("--issue", "3", "--budget", "5steps", "--gate", "lowest")  # two runs
PROBED = ("--issue", "3", "--budget", "2", "--gate", "lowest")  # with probes before them
AUDITED = ("--issue", "3", "--budget", "6steps", "--gate", "lowest")  # of a model that can be audited
STEERED = ("--issue", "3", "--budget", "7steps", "--gate", "lowest")  # with a variant that a person added
LONG = ("--issue", "3", "--budget", "5steps")  # four variants, ten runs: what the random loop strikes
# An editor that goes by what it finds, however often it runs: a better width, and where that is there, nothing.
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
DEADLINE_S = 60.0  # for a program to end after a fault

ISSUE = """---
number: 3
title: One variant
labels: [experiment]
---
| ID | DEPTH | ASPECT_RATIO |
|---|---|---|
| 1D | 8 | 96 |
"""


def template(folder: Path, maker: Callable[[Path], Path] = make) -> Path:
    """The project of a cell: one variant, so that it takes a second or two."""
    project = maker(folder)
    (project / "experiments" / "issues" / "0003-depth-vs-width.md").write_text(ISSUE)
    commit(project, "one variant")
    return project


def steered(folder: Path) -> Path:
    """A project to which somebody has given two commands before the campaign begins."""
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
    def project(self, name: str, argv: Sequence[str], own_disk: bool) -> Iterator[Path]:
        """A fresh copy of the project for a question; with temporary files, on a disk of its own where `own_disk`."""
        place = self.folder / name
        with ExitStack() as stack:
            if own_disk:
                stack.enter_context(disk(place))
            shutil.copytree(self.folder / _template(argv), place / "project", symlinks=True)
            (place / "tmp").mkdir()
            yield place / "project"
        shutil.rmtree(place)


def _template(argv: Sequence[str]) -> str:
    names = {LONG: "long", AUDITED: "audited", STEERED: "steered", EDITED: "prose", LOOPED: "prose"}
    return names.get(tuple(argv), "short")


def prepare(folder: Path, mounted: bool, questions: Sequence[tuple[str, ...]]) -> Bench:
    """Make the projects and run each question once, undisturbed."""
    template(folder / "short")
    template(folder / "audited", make_audited)
    template(folder / "steered", steered)
    prose(folder / "prose")
    long_template(folder / "long")
    calm: dict[tuple[str, ...], Mapping[str, object]] = {}
    bench = Bench(folder, mounted, calm)
    for number, question in enumerate(questions):
        with bench.project(f"calm-{number}", question, own_disk=False) as project:
            finish(project, question)
            calm[question] = state(project)
    zygotes.collect()
    return bench


def program_env(project: Path, fault: str = "") -> dict[str, str]:
    """The environment of a program in a project: its temporary files are on the same disk."""
    strike = {"AUTORESEARCH_FAULT": fault} if fault else {}
    return {"TMPDIR": str(project.parent / "tmp"), **strike}


@dataclass(frozen=True)
class Ended:
    """A program's exit status (negative: the signal that ended it) and its standard error."""

    status: int
    errors: str

    @property
    def how(self) -> str:
        return f"ended with {self.status}: {' / '.join(self.errors.strip().splitlines()[-3:])}"


def agent(project: Path, argv: Sequence[str], fault: str = "") -> Ended:
    """The real program in a process of its own, forked with its modules loaded: that is half of a cell's time."""
    zygotes.collect()
    program = multiprocessing.get_context("fork").Process(target=_program, args=(project, argv, fault))
    program.start()
    program.join(DEADLINE_S)
    if program.exitcode is None:
        program.kill()
        raise Failed(f"it did not end within {DEADLINE_S:.0f} s")
    return Ended(program.exitcode, (project.parent / "errors").read_text())


def _program(project: Path, argv: Sequence[str], fault: str) -> None:
    """What happens in that process: nothing of the parent but its modules."""
    zygotes.adopt()
    os.chdir(project)
    os.environ.update(environment(project, program_env(project, fault)))
    tempfile.tempdir = None
    for number, name in ((1, os.devnull), (2, str(project.parent / "errors"))):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.exit(harness.main([*argv, *without_sandbox(tuple(argv), {})]))


def finish(project: Path, argv: Sequence[str]) -> None:
    """Give the command undisturbed. Raises Failed where it does not end well."""
    ended = agent(project, argv)
    must(ended.status == 0, f"the same command {ended.how}")
