"""Edits of train.py that cheat, one a file, and in `honest/` unusual ones that do not: what the audit is tried on.

A file holds EDITS, pairs of (old, new) of which old is in train.py exactly once, and either CAUGHT_BY, the check that
must refuse it, or HONEST. LOWERS is False where a cheat is after something else than a lower val_bpb; STEPS is how
many it needs to profit; RUNS is 2 where the second run from the same files is the one that profits.
"""

import importlib
import pkgutil
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tests.cheats import honest

ROOT = Path(__file__).parents[2]
CHECKS = (  # of agent/campaign/auditing.py; `edit` comes before any run
    "edit", "checkpoint", "logits", "agreement", "causality", "order", "bytes", "held-out", "clock", "plausible",
    "seed",  # a run that says that it had another seed than it was given has failed
    "sandbox",  # no check but a wall: what the file wants to read or keep is not there, so it fails or gains nothing
    "budget",  # neither: what it takes is charged, so it makes fewer steps and gains nothing
)  # fmt: skip


@dataclass(frozen=True)
class Cheat:
    """caught_by: the check that must refuse it, None where it is honest.

    lowers: whether it claims a lower val_bpb than train.py after as many `steps`, in its run number `runs`.
    """

    name: str
    description: str
    edits: tuple[tuple[str, str], ...]
    caught_by: str | None
    lowers: bool
    steps: int
    runs: int


def cheats() -> list[Cheat]:
    """All of them, the honest ones last, each sort in the order of their names."""
    return [*_in(importlib.import_module(__name__)), *_in(honest)]


def original(**constants: object) -> str:
    """The real train.py with the constants set, as far as they are a line of their own."""
    text = (ROOT / "train.py").read_text("utf-8")
    for name, value in constants.items():
        text, count = re.subn(rf"(?m)^{name} = \S+", f"{name} = {value!r}", text)
        assert count == 1, name
    return text


def train_py(cheat: Cheat, **constants: object) -> str:
    """The real train.py as the cheat edits it, with the constants set. Raises AssertionError where one does not fit."""
    text = original(**constants)
    for old, new in cheat.edits:
        assert text.count(old) == 1, f"{cheat.name}: {old!r} is there {text.count(old)} times"
        text = text.replace(old, new)
    return text


def _in(package: ModuleType) -> list[Cheat]:
    names = sorted(
        module.name
        for module in pkgutil.iter_modules(package.__path__)
        if not (module.ispkg or module.name.startswith(("__main__", "test_")))
    )
    return [_read(name, importlib.import_module(f"{package.__name__}.{name}")) for name in names]


def _read(name: str, module: ModuleType) -> Cheat:
    caught_by = getattr(module, "CAUGHT_BY", None)
    honest = getattr(module, "HONEST", False)
    assert honest is (caught_by is None), f"{name}: expected CAUGHT_BY or HONEST = True"
    lowers, steps, runs = (getattr(module, *pair) for pair in (("LOWERS", not honest), ("STEPS", 8), ("RUNS", 1)))
    return Cheat(name, (module.__doc__ or "").strip(), module.EDITS, caught_by, lowers, steps, runs)
