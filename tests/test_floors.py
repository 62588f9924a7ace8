"""The architecture as a test: who may import whom, and what no module may be called."""

import ast
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = [
    ["core", "reaper", "answerer", "untrusted", "failpoints", "student"],
    ["records"],
    ["protocols"],
    ["registry", "origin", "page", "shape", "edit", "gate", "report", "checks", "offlimits", "sandbox", "cells"],
    ["prompt", "money", "models", "desk"],
    ["prose", "simulation", "scorer", "account"],
    ["spec", "preflight", "steering", "backlog", "talk"],
    ["repo", "process", "pins", "ledger", "locks", "machine", "tracks", "llm"],
    ["rounds", "editors.command", "editors"],
    ["shift", "strategies.table", "strategies.freeform", "strategies"],
    ["executors.local", "executors", "trackers.markdown", "trackers.github_issues", "trackers", "live"],
    ["planning", "parts"],
    ["evidence", "doctor", "outbox", "options", "shown"],
    ["publish", "runs"],
    ["audit", "heed"],
    ["proposing", "wiring"],
    ["loop", "openended"],
    ["research"],
    ["run"],
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
TORCH_FREE = ("torch", "train", "prepare")
SCRIPTS = ("scorer", "answerer")  # processes of their own: they are started, never imported


def modules() -> dict[str, Path]:
    """Every module of the harness by its dotted name within `agent`."""
    found = {}
    for path in sorted((ROOT / "agent").rglob("*.py")):
        parts = path.relative_to(ROOT / "agent").with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if name:
            found[name] = path
    return found


def imports(text: str) -> set[str]:
    """The modules that a text imports, anywhere in it: `agent.x` for `from agent import x`, too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            found |= {f"agent.{node.module}"} if node.module else {f"agent.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | ({f"agent.{a.name}" for a in node.names} if node.module == "agent" else set())
    return found


def upward(name: str, text: str) -> list[str]:
    """The imports of module `name` that do not go strictly down."""
    own = [module.removeprefix("agent.") for module in imports(text) if module.startswith("agent.")]
    return [other for other in own if FLOOR.get(other, 99) >= FLOOR[name] and name.split(".")[0] != other]


@pytest.mark.parametrize("name", modules())
def test_every_module_imports_strictly_lower_floors_only(name: str) -> None:
    assert name in FLOOR, f"agent/{name} stands on no floor: put it into FLOORS"
    assert upward(name, modules()[name].read_text()) == []


def test_an_upward_import_and_a_sibling_import_are_noticed() -> None:
    assert upward("gate", "from agent import loop") == ["loop"]
    assert upward("gate", "def f():\n    from agent.spec import parse") == ["spec"]
    assert upward("gate", "from . import loop") == ["loop"]
    assert upward("gate", "from .loop import run") == ["loop"]
    assert upward("loop", "from agent.gate import judge") == []


@pytest.mark.parametrize("name", [name for name in modules() if name not in SCRIPTS])
def test_the_harness_never_imports_torch_or_the_experiment(name: str) -> None:
    tops = {module.split(".")[0] for module in imports(modules()[name].read_text())}
    assert tops.isdisjoint(TORCH_FREE)


@pytest.mark.parametrize("name", [name for name in modules() if "." not in name])
def test_no_module_is_named_like_a_library(name: str) -> None:
    installed = {top.lower() for top in packages_distributions()} - {"agent"}
    assert name not in sys.stdlib_module_names
    assert name not in installed


@pytest.mark.parametrize("name", modules())
def test_every_module_says_what_it_is_for(name: str) -> None:
    assert ast.get_docstring(ast.parse(modules()[name].read_text()))


def test_every_module_has_its_tests() -> None:
    exempt = {"strategies", "executors", "trackers", "editors"}
    expected = {f"test_{name.split('.')[-1]}.py" for name in modules() if name not in exempt}
    expected |= {"test_train.py", "test_prepare.py"}
    assert expected <= {path.name for path in (ROOT / "tests").rglob("test_*.py")}
