"""The fault matrix holds, cell by cell, and so do a few rounds of faults at random times."""

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Shared
from tests.faults import bench
from tests.faults.matrix import FAULTS, MOMENTS
from tests.faults.state import Failed, differs, state
from tests.support import needs
from tests.support.audited import make_audited
from tests.support.project import ROOT, agent, command, commit, edit, environment

ROUNDS = 1
# CI tries SIGKILL at every moment; `make nightly` tries all. What takes long (the scorer loads torch twice an audit,
# --loop has four rounds) has nothing else here, and a signal or a full disk comes before a step of each kind: a probe,
# a run, a record, a commit, a verdict, a promotion, a comment.
STEPS = (
    "probe-start",
    "run-start",
    "append-before",
    "commit-before",
    "gate-before",
    "promotion-before",
    "comment-before",
)


def _tried(point: str, fault: str) -> bool:
    return fault == "kill" or point in STEPS


CELLS = [(point, fault) for point in MOMENTS for fault in FAULTS if _tried(point, fault)]
ONLY = "|".join(f"^{point}:{fault}$" for point, fault in CELLS)
_Cells = dict[tuple[str, str], dict[str, str]]


@pytest.fixture(scope="session")
def matrix(shared: Shared) -> _Cells:
    """What `make faults` finds, with a bounded number of rounds; one worker runs it for all."""

    def run(folder: Path) -> None:
        argv = [sys.executable, "-m", "tests.faults", "--rounds", str(ROUNDS), "--only", ONLY, "--json"]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
        assert done.stdout, done.stderr
        (folder / "cells.json").write_text(done.stdout)

    cells = json.loads((shared("matrix", run) / "cells.json").read_text())["cells"]
    return {(cell["point"], "" if cell["point"].startswith("round") else cell["fault"]): cell for cell in cells}


def holds(cell: dict[str, str]) -> None:
    if cell["outcome"] == "skipped":
        pytest.skip(cell["reason"])
    assert cell["outcome"] == "passed", f"{cell['point']} {cell['fault']}: {cell['reason']}"


@pytest.mark.slow
@pytest.mark.parametrize(("point", "fault"), CELLS)
def test_after_a_fault_at_any_moment_it_ends_as_if_undisturbed(matrix: _Cells, point: str, fault: str) -> None:
    holds(matrix[point, fault])


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, ROUNDS + 1))
def test_struck_again_and_again_at_random_times_it_ends_as_if_undisturbed(matrix: _Cells, number: int) -> None:
    holds(matrix[f"round {number}", ""])


def test_a_signal_while_a_found_answer_is_published_is_obeyed_too(tmp_path: Path) -> None:
    project = bench.template(tmp_path / "project")
    assert agent(project, *bench.QUICK, env={"AUTORESEARCH_FAULT": "gate-recorded:kill"}).returncode == -signal.SIGKILL
    for point in ("promotion-recorded", "note-before", "note-after", "export-drafted", "comment-before"):
        ended = agent(project, *bench.QUICK, env={"AUTORESEARCH_FAULT": f"{point}:term"})
        assert ended.returncode == 130, (point, ended.stderr)
        assert "the same command goes on" in ended.stderr
    assert agent(project, *bench.QUICK).returncode == 0


FILLS = """
    import os
    with open(f"{os.environ['AUTORESEARCH_CACHE']}/filler", "wb", buffering=0) as file:
        for size in (1 << 20, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    meta = json.loads("""


@needs.mounts
def test_a_disk_that_fills_up_during_an_audit_is_no_fault_of_the_winner(tmp_path: Path) -> None:
    project, prefix = bench.template(tmp_path / "project", make_audited), needs.mount_prefix()
    assert prefix is not None
    edit(project, "fixed/dataset.py", "\n    meta = json.loads(", FILLS)
    commit(project, "the scorer finds a full disk")
    (tmp_path / "disk").mkdir()
    script = f"""mount -t tmpfs -o size={bench.DISK} none "$1" && cp -r "$2" "$1/project" && cd "$1/project" && shift 2
        "$@"; echo "ended with $?"; cat experiments/ledger.jsonl"""
    argv = [*prefix, "sh", "-c", script, "sh", str(tmp_path / "disk"), str(project), *command(*bench.AUDITED)]
    env = environment(tmp_path / "disk" / "project")
    run = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert "ended with 3" in run.stdout, run.stdout + run.stderr
    assert "MB are free, and a run needs" in run.stderr
    assert [kind in run.stdout for kind in ('"kind":"run"', '"kind":"audit"', '"kind":"verdict"')] == [
        True,
        False,
        False,
    ]


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A project after its campaign."""
    project = bench.template(tmp_path / "project")
    assert agent(project, *bench.QUICK).returncode == 0
    return project


def test_the_matrix_sees_a_record_too_many_a_torn_line_and_a_file_left_over(finished: Path) -> None:
    calm, ledger = state(finished), finished / "experiments" / "ledger.jsonl"
    text = ledger.read_text()
    assert differs(state(finished), calm) == ""
    ledger.write_text(text + text.splitlines(keepends=True)[-1])
    assert differs(state(finished), calm).startswith("ledger ")
    ledger.write_text(text[:-9])
    with pytest.raises(Failed, match="torn"):
        state(finished)
    ledger.write_text(text)
    (finished / "experiments" / "results.draft").touch()
    assert differs(state(finished), calm).startswith("files ")


LEAVES_LITTLE = """
import pathlib, shutil, sys
p, disk = pathlib.Path("train.py"), pathlib.Path(sys.argv[1])
p.write_text(p.read_text().replace("RATIO = 64", "RATIO = 96"))
(disk / "filler").write_bytes(b"x" * (shutil.disk_usage(disk).free - (30 << 20)))
"""


@needs.mounts
@needs.sandbox
def test_a_draft_is_not_refused_for_want_of_room_on_the_disk(tmp_path: Path) -> None:
    project, prefix, disk = bench.prose(tmp_path / "project"), needs.mount_prefix(), tmp_path / "disk"
    assert prefix is not None
    disk.mkdir()
    script = f"""mount -t tmpfs -o size={bench.DISK} none "$1" && cp -r "$2" "$1/project" && cd "$1/project" && shift 2
        "$@"; echo "ended with $?"; cat experiments/ledger.jsonl"""
    editor = shlex.join([sys.executable, "-c", LEAVES_LITTLE, str(disk)])
    argv = [*prefix, "sh", "-c", script, "sh", str(disk), str(project), *command(*bench.EDITED[:-1], editor)]
    run = subprocess.run(
        argv, env=environment(disk / "project"), capture_output=True, text=True, timeout=120, check=False
    )
    assert "ended with 3" in run.stdout, run.stdout + run.stderr
    assert "MB are free, and a run needs" in run.stderr
    assert '"kind":"round"' in run.stdout
    assert '"accepted":false' not in run.stdout  # five steps may be over before anybody looks at the disk
