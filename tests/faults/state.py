"""What a campaign leaves: the state that no fault may change, and the promises that hold of it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from agent.core.faults import FILLER
from agent.store.codec import decode
from tests.support.project import git

STRANGER = 99  # an issue that is nobody's here


class Failed(Exception):
    """A promise that did not hold, in words."""


def must(holds: bool, promise: str) -> None:
    """Raise Failed with the promise where it does not hold."""
    if not holds:
        raise Failed(promise)


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
    history = [record for line in lines(project) if (record := json.loads(line))["issue"] != STRANGER]
    campaigns = [record["at"] for record in history if record["kind"] == "campaign"]
    for record in history:
        if "campaign" in record:
            record["campaign"] = campaigns.index(record["campaign"])
        for name in ("at", "seconds", "cpu_s", "sum", "held_reads"):
            record.pop(name, None)
    return [one for number, one in enumerate(history) if one["kind"] != "held-read" or one not in history[:number]]


def lines(project: Path) -> list[str]:
    """The ledger's lines. Raises Failed unless every one is whole."""
    path = project / "experiments" / "ledger.jsonl"
    text = path.read_text() if path.exists() else ""
    must(text == "" or text.endswith("\n"), "the ledger's last line is torn")
    must(all(decode(line) is not None for line in text.splitlines()), "a line of the ledger is damaged")
    return text.splitlines()


def differs(actual: Mapping[str, object], expected: Mapping[str, object]) -> str:
    """In what two states differ, in a line; empty where they are the same."""
    names = [name for name in expected if actual[name] != expected[name]]
    return "; ".join(f"{name} {_short(actual[name])} instead of {_short(expected[name])}" for name in names)


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
