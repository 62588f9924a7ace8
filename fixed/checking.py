"""Which variants of a script cannot be built: its own make_config says so, and nothing is trained. Standard library."""

import inspect
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

Edit = Sequence[tuple[int, int, Sequence[str]]]  # first line (from 0), the one after the last, the lines in their place


def refused(script: Path, edits: Mapping[str, Edit], facts: Mapping[str, object]) -> dict[str, str]:
    """Return what make_config of each edited script raises, by the edit's name; nothing of those that it builds.

    facts: what make_config may take, by the names of its parameters; where it takes something else, nothing is known.
    """
    lines = script.read_text(encoding="utf-8").splitlines(keepends=True)
    reasons = {name: _reason(script, edited(lines, edit), facts) for name, edit in edits.items()}
    return {name: reason for name, reason in reasons.items() if reason}


def edited(lines: Sequence[str], edit: Edit) -> str:
    """Return a text with some of its lines replaced; the edit has them in their order."""
    result = list(lines)
    for first, end, other in reversed(edit):
        result[first:end] = other
    return "".join(result)


def _reason(script: Path, text: str, facts: Mapping[str, object]) -> str:
    """Return why a script builds no configuration, in its own words; empty where it does."""
    module = ModuleType("edited_script")
    sys.modules[module.__name__] = module  # where its dataclasses look for it
    try:
        exec(compile(text, str(script), "exec"), module.__dict__)
        make = module.__dict__.get("make_config")
        if make is not None and (takes := set(inspect.signature(make).parameters)) <= facts.keys():
            make(**{name: facts[name] for name in takes})
    except Exception as error:
        return str(error) or type(error).__name__
    return ""
