"""What an edit of the script may not reach: seed, budget, environment, files, network, evaluator, data. Reads the AST.

Pure. It goes by what a name leads to (`reach`), not by words: texts, comments and names of the script's own are let be.
It is no defence by itself: it keeps honest authors from mistakes before anything runs, and what gets past it meets the
sandbox and the audit. Only what the edit adds counts; the committed script may hold such things.
"""

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache

from agent.spec import reach
from agent.spec.reach import HIDDEN, Use

_Marks = Iterator[tuple[str, str]]  # what is reached, and what that leads to


def forbidden_uses(old: str, new: str) -> list[Use]:
    """Return what the new text reaches and the old does not, each with the line of its last place. Both texts parse."""
    before, after, last = _marks(old), Counter[str](), dict[str, Use]()
    for use in _uses(new):
        after[use.mark] += 1
        last[use.mark] = max(use, last.get(use.mark, use), key=lambda one: one.line)
    return [last[mark] for mark in after if after[mark] > before[mark]]


@lru_cache(maxsize=2)  # every draft is an edit of one text
def _marks(source: str) -> Counter[str]:
    return Counter(use.mark for use in _uses(source))


def _uses(source: str) -> Iterator[Use]:
    tree = ast.parse(source)
    reader = _Reader(tree)
    for node in ast.walk(tree):
        for mark, leads_to in reader.marks(node):
            yield Use(mark, leads_to, getattr(node, "lineno", 0))


def _aliases(tree: ast.Module) -> dict[str, str]:
    """Return what names stand for: F for torch.nn.functional, and `c = run.corpus` makes c another name of that."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=several):
                for alias in several:
                    whole = alias.name if alias.asname else alias.name.split(".")[0]
                    names[alias.asname or whole] = whole
            case ast.ImportFrom(module=str(module), level=0, names=several):
                names |= {a.asname or a.name: f"{module}.{a.name}" for a in several}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Attribute() as value):
                first, *rest = ast.unparse(value).split(".")
                if first in names or first in reach.HANDED_IN:
                    names[name] = ".".join([names.get(first, first), *rest])
    return names


class _Reader:
    """A script's text: what its names stand for, and where they stand."""

    def __init__(self, tree: ast.Module) -> None:
        nodes = list(ast.walk(tree))
        self._aliases = _aliases(tree)
        self._texts = _constant_texts(tree)
        self._used = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
        self._used |= {id(node.func) for node in nodes if isinstance(node, ast.Call)}
        self._remarks = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}  # docstrings among them

    def marks(self, node: ast.AST) -> _Marks:
        """Yield what one node reaches, and what that leads to."""
        match node:
            case ast.Import() | ast.ImportFrom():
                yield from self._import(node)
            case ast.Attribute():
                yield from self._attribute(node)
            case ast.Name(id=name, ctx=ast.Load()) if id(node) not in self._used:
                yield from self._handed_on(name)
            case ast.Call(func=ast.Name(id=name)) if name not in self._aliases:
                yield from self._called(name, node.args)
            case ast.MatchClass() | ast.Constant():
                yield from self._named(node)
            case ast.Assign() | ast.AugAssign() | ast.AnnAssign():
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    yield from self._changed(target)

    def _import(self, node: ast.Import | ast.ImportFrom) -> _Marks:
        for alias in node.names:
            if isinstance(node, ast.Import):
                yield from _module(alias.name)
            else:
                yield from _imported("." if node.level else node.module or ".", alias.name)

    def _named(self, node: ast.MatchClass | ast.Constant) -> _Marks:
        """Yield what a pattern looks up, and what a text names that is no remark."""
        if isinstance(node, ast.MatchClass):
            for name in node.kwd_attrs:
                yield from _attribute_of_any(name)
        elif isinstance(node.value, str) and id(node) not in self._remarks:
            yield from _text(node.value)

    def _path(self, node: ast.expr) -> str:
        """Return a chain of attributes and items with what its first name stands for; empty where it has none."""
        match node:
            case ast.Name(id=name):  # a module's name that is not imported is a variable's
                return self._aliases.get(name, f"own {name}" if name in reach.FOREIGN else name)
            case ast.Call(func=ast.Name(id="super")):
                return "super"
            case ast.Attribute(value=value, attr=attr):
                return f"{self._path(value)}.{attr}"
            case ast.Subscript(value=value):
                return f"{self._path(value)}.[]"
        return ""

    def _attribute(self, node: ast.Attribute) -> _Marks:
        owner, name = self._path(node.value), node.attr
        if owner.endswith("settings") and name not in reach.SETTINGS and owner != "self.settings":
            yield f"settings.{name}", "budget"
        elif name == "settings" and id(node) not in self._used:
            yield "settings by another name", HIDDEN
        elif name in reach.INTERPRETER or (name in reach.INSTANCE and not self._is_own(node.value)):
            yield name, HIDDEN
        elif owner in ("self", "cls", "super") or (name in reach.ORDINARY and self._is_own(node.value)):
            return
        else:
            known = [*_of_door(f"{owner}.{name}")]
            yield from known or _of_library(f"{owner}.{name}")

    def _handed_on(self, name: str) -> _Marks:
        """Yield a name that is neither called nor looked into there: under another one nobody would know it."""
        stands_for = self._aliases.get(name, "")
        if name in reach.HANDED_ON or stands_for in reach.DOORS:
            yield f"{stands_for or name} by another name", HIDDEN

    def _called(self, name: str, args: list[ast.expr]) -> _Marks:
        if name in ("getattr", "setattr", "delattr") and len(args) > 1:
            yield from self._looked_up(name, *args[:2])
        elif name in reach.CALLS and not (name == "vars" and args and self._is_own(args[0])):
            yield f"{name}()", reach.CALLS[name]

    def _looked_up(self, call: str, owner: ast.expr, name: ast.expr) -> _Marks:
        """Yield an attribute that is looked up by its name.

        A name that can be read off the text is an attribute like any other. One that comes from elsewhere may be any
        attribute of the script's own objects and, where it is not put together there, of a module that computes.
        """
        text = self._folded(name)
        if text is not None:
            looked_up = ast.Attribute(owner, text, ast.Load())
            yield from self._attribute(looked_up)
            yield from self._changed(looked_up) if call != "getattr" else ()
            return
        plain = isinstance(name, ast.Name | ast.Attribute | ast.Subscript)
        computes = self._path(owner).split(".")[0] in reach.COMPUTING and plain and call == "getattr"
        if not computes and not self._is_own(owner):
            yield f"{call}() of a name that is not written out", HIDDEN

    def _is_own(self, owner: ast.expr) -> bool:
        """Return whether an object is the script's, as far as its name tells: no module, and nothing of a run's."""
        names = self._path(owner).split(".")
        first, imported = names[0], isinstance(owner, ast.Name) and owner.id in self._aliases
        return bool(first) and not imported and first not in reach.SHARED and "corpus" not in names

    def _folded(self, node: ast.expr) -> str | None:
        """Return the text that an expression of constants makes; None where it cannot be known."""
        match node:
            case ast.Constant(value=str(text)):
                return text
            case ast.Name(id=name):
                return self._texts.get(name)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                halves = self._folded(left), self._folded(right)
                return None if None in halves else "".join(half or "" for half in halves)
        return None

    def _changed(self, target: ast.expr) -> _Marks:
        """Yield an assignment to an attribute or an item of what the script does not own."""
        path = self._path(target)
        owned = not isinstance(target, ast.Name) and path.split(".")[0] in reach.SHARED
        if owned and not path.startswith(reach.OPEN):
            yield f"a change of {ast.unparse(target)}", "evaluator"


def _constant_texts(tree: ast.Module) -> Mapping[str, str]:
    """Return the texts of the script's top-level constants that are bound once."""
    bound = Counter(
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    texts = {}
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))) if bound[name] == 1:
                texts[name] = text
    return texts


def _imported(module: str, name: str) -> _Marks:
    """Yield what is taken out of a module: from here on it goes by a name of its own."""
    if module == "." or name == "*":
        yield f"{module}.{name}", HIDDEN
    elif known := [*_module(module)]:
        yield from known
    else:
        yield from [*_of_door(f"{module}.{name}")] or _of_library(f"{module}.{name}")


def _module(name: str) -> _Marks:
    first, _, rest = name.partition(".")
    if first in reach.MODULES:
        yield f"the module {name}", reach.MODULES[first]
    elif first == "fixed" and rest:
        yield from _of_door(name)
    elif inside := reach.INSIDE & set(rest.split(".")):
        yield f"the module {name}", reach.MODULES.get(min(inside), HIDDEN)


def _of_door(path: str) -> _Marks:
    """Yield the first name that is taken of a module which leads further, where a script has no use for it."""
    door, _, name = path.partition(".")
    if door in reach.DOORS and name and "." not in name:
        allowed, leads_to = reach.DOORS[door]
        if name in reach.ATTRIBUTES:
            yield name, reach.ATTRIBUTES[name]
        elif name not in allowed:
            yield path, "evaluator" if path == "sys.modules" else leads_to


def _of_library(path: str) -> _Marks:
    """Yield the last name of a chain, where it leads further."""
    first, _, rest = path.partition(".")
    name = rest.rpartition(".")[2] or rest
    if name in reach.STORES and first in ("torch", "numpy"):
        yield f"{first}.{name}", "files"
    elif name in reach.INSIDE and first in ("torch", "numpy"):
        yield name, reach.MODULES.get(name, HIDDEN)
    else:
        yield from _attribute_of_any(name)


def _attribute_of_any(name: str) -> _Marks:
    """Yield an attribute that leads further, whatever has it."""
    leads_to = HIDDEN if name in reach.INTERPRETER else reach.ATTRIBUTES.get(name)
    if leads_to:
        yield f"the seed ({name})" if leads_to == "seed" else name, leads_to


def _text(text: str) -> _Marks:
    """Yield a text that as a whole names what leads further, or a file or a variable of a run; a URL is only a text."""
    path = " " not in text and "://" not in text and "\n" not in text
    if text.startswith("AUTORESEARCH_") and text.isupper():
        yield f"the text {text!r}", "environment"
    elif "_" in text and text in reach.ATTRIBUTES:  # to be looked up by
        yield f"the text {text!r}", reach.ATTRIBUTES[text]
    elif path and (f"{text}/".startswith("/proc/") or text.endswith(reach.FILES)):
        yield f"the text {text[:40]!r}", "files"
