"""The architecture as a test: the floors of the house, who may import whom, how long a module may be."""

import ast
import sys
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = [  # a package imports packages of lower floors only, and itself
    ["core"],
    ["spec", "strategies", "gate", "execution"],
    ["store", "editors", "audit"],
    ["tracking"],
    ["campaign"],
    ["app"],
]
BESIDE = {("strategies", "gate")}  # the one pair of one floor: a strategy asks the gate
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
TORCH_FREE = ("torch", "train", "prepare", "fixed")
SCRIPTS = (
    "audit.scorer",
    "audit.model_server",
    "audit.draft_model",
)  # processes of their own: they are started, never imported
MAX_LINES = 350  # of a module


def modules() -> dict[str, Path]:
    """Every module of the harness by its dotted name within `agent`; a package goes by its own name."""
    found = {}
    for path in sorted((ROOT / "agent").rglob("*.py")):
        parts = path.relative_to(ROOT / "agent").with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if name and name != "run":
            found[name] = path
    return found


MODULES = modules()
INSTALLED = {top.lower() for top in packages_distributions()}


def _python(place: Path) -> list[Path]:
    """The Python files at a place: a file, or a folder's."""
    return [place] if place.is_file() else list(place.rglob("*.py"))


def imports(text: str) -> dict[str, set[str]]:
    """The modules that a text imports, anywhere in it, each with the names taken from it."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name: set() for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole.removeprefix("agent.") in MODULES:
                    found.setdefault(whole, set())
                else:
                    found.setdefault(node.module or "", set()).add(alias.name)
    return found


def own_imports(text: str) -> dict[str, set[str]]:
    """Those of `imports` that are the harness's own, without `agent.`."""
    return {
        name.removeprefix("agent."): names for name, names in imports(text).items() if name.split(".")[0] == "agent"
    }


def package(name: str) -> str:
    return name.split(".")[0]


def upward(name: str, text: str) -> list[str]:
    """The packages that module `name` may not import and does."""
    own = package(name)
    others = {package(other) for other in own_imports(text)} - {own}
    return sorted(other for other in others if FLOOR.get(other, 99) >= FLOOR[own] and (own, other) not in BESIDE)


def private(name: str, text: str) -> list[str]:
    """The private names of other packages that module `name` imports or reaches for."""
    taken = own_imports(text)
    found = {
        f"{module}.{each}"
        for module, names in taken.items()
        for each in (*names, *module.split("."))
        if package(module) != package(name) and each.startswith("_")
    }
    local = {module.split(".")[-1] for module in taken if package(module) != package(name)}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in local:
            found |= {f"{node.value.id}.{node.attr}"} if node.attr.startswith("_") else set()
    return sorted(found)


def unlisted(text: str, own: str) -> list[str]:
    """The modules of other packages that a text imports and that their package does not list in `__all__`."""
    others = [name for name in own_imports(text) if package(name) != package(own) and "." in name]
    return sorted(name for name in others if name.split(".")[1] not in listed(package(name)))


def listed(name: str) -> list[str]:
    """What a package lists in `__all__`: the modules that others may import."""
    for node in ast.parse(MODULES[name].read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def test_every_module_stands_in_a_package_of_a_floor() -> None:
    assert {package(name) for name in MODULES} == set(FLOOR)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports_lower_floors_and_its_own_package_only(name: str) -> None:
    assert upward(name, MODULES[name].read_text()) == []


@pytest.mark.parametrize("name", FLOOR)
def test_no_package_has_a_circle(name: str) -> None:
    inside = {module: path.read_text() for module, path in MODULES.items() if package(module) == name}
    graph = {module: own_imports(text).keys() & inside.keys() - {module} for module, text in inside.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(f"these import each other: {circle.args[1]}")


@pytest.mark.parametrize("name", MODULES)
def test_no_module_reaches_for_what_another_package_keeps_to_itself(name: str) -> None:
    text = MODULES[name].read_text()
    assert private(name, text) == []
    assert unlisted(text, name) == []


@pytest.mark.parametrize("name", MODULES)
def test_no_module_is_too_long(name: str) -> None:
    assert len(MODULES[name].read_text().splitlines()) <= MAX_LINES


def test_a_breach_is_noticed() -> None:
    assert upward("gate.verdict", "from agent.campaign import engine") == ["campaign"]
    assert upward("gate.verdict", "def f():\n    from agent.spec.parser import parse") == ["spec"]
    assert upward("strategies.table", "from agent.gate.verdict import judge") == []
    assert upward("campaign.engine", "from agent.gate.verdict import judge") == []
    assert private("campaign.plan", "from agent.store.baseline import _kept_commits") == [
        "store.baseline._kept_commits"
    ]
    assert private("campaign.plan", "from agent.store import ledger\nledger._read()") == ["ledger._read"]


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith(SCRIPTS)])
def test_the_harness_never_imports_torch_or_the_experiment(name: str) -> None:
    tops = {module.split(".")[0] for module in imports(MODULES[name].read_text())}
    assert tops.isdisjoint(TORCH_FREE)


@pytest.mark.parametrize("name", FLOOR)
def test_no_package_is_named_like_a_library(name: str) -> None:
    installed = INSTALLED - {"agent"}
    assert name not in sys.stdlib_module_names
    assert name not in installed


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is_for(name: str) -> None:
    assert ast.get_docstring(ast.parse(MODULES[name].read_text()))


def has_behaviour(text: str) -> bool:
    """Whether a text has a function; a module of types alone is tested by whoever uses them."""
    return any(isinstance(node, ast.FunctionDef) for node in ast.walk(ast.parse(text)))


def test_every_module_has_its_tests_where_it_stands() -> None:
    names = [name for name, path in MODULES.items() if "." in name and has_behaviour(path.read_text())]
    expected = {Path("tests", *name.split(".")) for name in names if not name.endswith(".__main__")}
    missing = [path for path in expected if not (ROOT / path.with_name(f"test_{path.name}.py")).exists()]
    assert sorted(map(str, missing)) == []


OLD_WORDS = frozenset(
    ("told", "said", "asked", "found", "meant", "turn", "course", "walls", "parts")
    + ("thing", "written", "again", "wanted", "owed")
)
PRODUCT = sorted(
    path
    for place in ("agent", "fixed", "bench", "experiments", "train.py", "prepare.py")
    for path in _python(ROOT / place)
)


def bound_names(text: str) -> set[str]:
    """The names that a text binds: variables, parameters, fields, functions, classes; without leading underscores."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.MatchAs(name=str(name)):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.ExceptHandler(name=str(name)):
                names.add(name)
    return {name.strip("_").lower() for name in names}


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_name_is_one_that_can_mean_anything(path: Path) -> None:
    assert bound_names(path.read_text()) & OLD_WORDS == set()


def test_a_name_that_can_mean_anything_is_noticed() -> None:
    text = "def f(asked):\n    for told in asked:\n        pass\nclass C:\n    said: str"
    assert bound_names(text) & OLD_WORDS == {"asked", "told", "said"}


def calls_that_trust_the_locale(text: str) -> list[str]:
    """The calls that read or write text in the encoding of whoever runs them."""
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    return [ast.unparse(node) for node in nodes if _trusts_the_locale(node)]


def _trusts_the_locale(call: ast.Call) -> bool:
    options = {option.arg: ast.unparse(option.value) for option in call.keywords}
    name = ast.unparse(call.func).rpartition(".")[2]
    mode = ast.unparse(call.args[-1]) if call.args else ""
    opens = name == "open" and not isinstance(call.func, ast.Attribute) and "b" not in mode
    as_text = options.get("text") == "True" or name in ("read_text", "write_text") or opens
    return as_text and "encoding" not in options


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_text_is_utf_8_by_name(path: Path) -> None:
    assert calls_that_trust_the_locale(path.read_text(encoding="utf-8")) == []


def test_a_call_that_trusts_the_locale_is_noticed() -> None:
    text = "Path(p).read_text(); open(p, 'rb'); open(p); run(c, text=True, encoding='utf-8'); run(c, text=True)"
    assert calls_that_trust_the_locale(text) == ["Path(p).read_text()", "open(p)", "run(c, text=True)"]
