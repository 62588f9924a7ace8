"""Named moments of a campaign at which a test may kill it, stop it or fill its disk. Standard library only.

AUTORESEARCH_FAULT=promotion-moved:kill lets the program die at that moment, run-start@2:full at its second time. It
is for tests: the harness's environment alone is looked at, no run sees it, and `full` really fills the disk.
"""

import os
import signal
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

FILLER = "autoresearch-fault.filler"  # what fills the disk, in the folder that the program was started in

# In the order in which a campaign comes by: what has happened there, and what has not.
POINTS: Mapping[str, str] = {
    "steer-before": "a person's command is understood; the ledger does not have it",
    "steer-after": "the ledger has it; nothing was done about it, and nobody was answered",
    "loop-began": "the ledger has the session of --loop; no round has begun",
    "ideas-before": "an issue in prose is read; its editor is not asked for ideas",
    "ideas-after": "the editor has had ideas; the ledger does not know them",
    "ideas-recorded": "the ledger has the round and its ideas; none is written",
    "proposal-before": "an idea is about to be written",
    "proposal-after": "it is written and checked; neither git nor the ledger has it",
    "proposal-recorded": "the ledger has the proposal; the next one, or its campaign, has not begun",
    "corpus-before": "nothing; the corpus is not asked for",
    "corpus-known": "the corpus is prepared; git and the ledger know of nothing",
    "baseline-placed": "the baseline's branch is there; no variant is committed",
    "commit-before": "the same, with a variant about to be committed",
    "commit-made": "a variant's commit is there; no branch names it",
    "commit-after": "its branch is there; the campaign is not recorded",
    "campaign-recorded": "the question is frozen; nothing has run",
    "post-before": "the tracker is about to be told something; at first, that the issue runs",
    "post-after": "it was told",
    "probe-start": "a probe is about to start",
    "probe-result": "it has ended; the ledger does not know",
    "run-start": "a run is about to start",
    "run-result": "it has ended; the ledger does not know",
    "append-before": "its record is complete; the ledger does not have it",
    "append-after": "the ledger has it; nobody was told",
    "gate-before": "every run is recorded; the verdict is not asked for",
    "audit-before": "the gate has a winner; its checkpoint is not scored",
    "audit-noted": "the ledger counts a reading of the second held-out set; it is not read",
    "audit-result": "it is scored; the ledger does not know",
    "audit-recorded": "the ledger has the audit; the verdict is not recorded",
    "gate-said": "the verdict is known; the ledger does not have it",
    "gate-recorded": "the ledger has the verdict; the baseline is where it was",
    "promotion-before": "the winner's commit is chosen; the baseline is where it was",
    "promotion-moved": "the baseline is the winner; the ledger does not know",
    "promotion-recorded": "the ledger knows; nothing is published",
    "note-before": "a commit's note is about to be written",
    "note-after": "it is written; the next one is not",
    "export-before": "every note is there; results.tsv is not",
    "export-drafted": "the text of results.tsv is in a draft; the file is not there",
    "pictures-before": "results.tsv is there; pictures and comment are not",
    "comment-before": "results.tsv and pictures are there; the comment is not",
    "comment-after": "everything is there; the program has not ended",
    "loop-over": "it is known why no further round begins; the ledger does not have it",
    "redelivered": "the tracker has what it had not received before; the ledger does not know",
}

_times: Counter[str] = Counter()


def fault_point(name: str) -> None:
    """Say that the moment `name` has come. What AUTORESEARCH_FAULT asks for there happens; without it, nothing.

    `POINT:kill` and `POINT:term` send that signal to this process, `POINT:full` fills the disk under the current
    folder and goes on; `POINT@3` is the third time. Raises AssertionError where there is no such moment or fault: a
    misspelt one would make a test pass.
    """
    if (requested := os.environ.get("AUTORESEARCH_FAULT")) is None:
        return
    place, _, fault = requested.partition(":")
    point, _, time = place.partition("@")
    assert {name, point} <= POINTS.keys(), f"no such moment or fault: {name}, {requested}"
    assert fault in _FAULTS, f"no such moment or fault: {requested}"
    _times[name] += 1
    if (name, _times[name]) == (point, int(time or 1)):
        _FAULTS[fault]()


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _term() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def fill(folder: Path) -> None:
    """Leave no room on the disk that holds `folder`: a file takes what there is, and stays."""
    with (folder / FILLER).open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):  # what does not take a megabyte may take a byte
            with suppress(OSError):
                while file.write(b"\0" * size):
                    pass


def _full() -> None:
    fill(Path.cwd())


_FAULTS = {"kill": _kill, "term": _term, "full": _full}
