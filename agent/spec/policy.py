"""What an edit of the script may not reach: the seed, the budget, the environment, the evaluator. Pure; reads the AST.

It reports what an honest edit never needs, by name and line, before anything runs. It is no defence by itself: what
gets past it meets the sandbox and the audit. Only what the edit adds counts; the committed script may hold such things.
"""

import ast
from collections import Counter
from collections.abc import Iterator


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Modules that only compute. Others open files, sockets or processes, load code, or reach into the interpreter.
MODULES = _words("""
    abc collections contextlib copy dataclasses einops enum functools itertools math numbers numpy operator os prepare
    statistics sys torch types typing
""")
CONTRACT = _words("""
    PROFILES BudgetClock Run RunFailure bad_setting batches_per_step begin check_width compile evaluate
    logits_by_graph run
""")  # what of prepare.py a script may use
_SEEDS = _words("manual_seed manual_seed_all seed seed_all default_rng RandomState Generator set_rng_state fork_rng")
_CALLS = _words("exec eval compile __import__ open input setattr delattr globals locals vars breakpoint")
# By any other name they do the same. `compile` and `input` are names that an honest edit gives to things of its own.
_HANDED_ON = (_CALLS | _words("getattr __builtins__ __loader__ __spec__")) - _words("compile input")
_INNER = _words("""
    environ getenv putenv unsetenv system popen fork kill _exit execv execve execvp spawnv spawnl posix_spawn
    settrace setprofile _getframe __dict__ __setattr__ read_text write_text read_bytes write_bytes glob rglob iterdir
    tofile
    __globals__ __builtins__ __code__ __closure__ __subclasses__ __getattribute__ __reduce__ evaluation token_bytes
    step_seconds _pending _started _settle document_bytes val_bytes held_bytes fromfile memmap from_file load_library
    _load_library
    attrgetter methodcaller importlib import_module builtins inspect ctypes subprocess socket cpp_extension load_inline
""")
# What begins and ends with two underscores leads to everything (`__dict__`, `__getattr__`, `__mro__`), but these.
_DUNDERS = _words("""
    __init__ __post_init__ __call__ __class__ __name__ __doc__ __len__ __iter__ __next__ __getitem__ __setitem__
    __enter__ __exit__ __repr__ __version__
""")
_STORES = _words("modules load save savez")  # of torch, numpy and sys; a model may have methods of such names
_OWNED = _words("prepare time torch F nn np numpy math os sys builtins run clock")  # not the script's to change
_OPEN = ("torch.backends.", "torch._inductor.config.", "torch._dynamo.config.")  # settings that are there to be set
_FILES = (".npz", ".pt", "result.json", "failure.json", "AUTORESEARCH_", "/proc", ".git")


def forbidden_uses(old: str, new: str) -> list[str]:
    """Return what the new text reaches and the old does not, each with the line of its last place. Both texts parse."""
    before, lines, after = Counter(mark for mark, _ in _marks(old)), dict[str, int](), Counter[str]()
    for mark, line in _marks(new):
        after[mark] += 1
        lines[mark] = max(line, lines.get(mark, 0))
    return [f"{mark} (line {lines[mark]})" for mark in after if after[mark] > before[mark]]


def _marks(source: str) -> Iterator[tuple[str, int]]:
    nodes = list(ast.walk(ast.parse(source)))
    used = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    used |= {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    for node in nodes:
        alone = [] if id(node) in used else _handed_on(node)
        for mark in [*_of(node), *alone]:
            yield mark, getattr(node, "lineno", 0)


def _handed_on(node: ast.AST) -> list[str]:
    """Return a name that is neither called nor looked into there: under another one nobody would know it."""
    match node:
        case ast.Name(id=name, ctx=ast.Load()) if name in _HANDED_ON or name == "prepare":
            return [f"{name} by another name"]
    return []


def _of(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [f"the module {a.name}" for a in names if a.name.split(".")[0] not in MODULES or a.name == "prepare"]
        case ast.ImportFrom(module=module, names=names):
            return _from(module or ".", [alias.name for alias in names])
        case ast.Attribute():
            return _attribute(node)
        case ast.Call(func=ast.Name(id=name)):
            return _called(name, node.args)
        case ast.MatchClass(kwd_attrs=names):
            return [mark for name in names for mark in _named(name)]
        case ast.Constant(value=str(text)) if any(part in text for part in _FILES):
            return [f"the text {text[:40]!r}"]
        case ast.Assign(targets=targets):
            return [mark for target in targets for mark in _changed(target)]
    return _changed(node.target) if isinstance(node, ast.AugAssign | ast.AnnAssign) else []


def _attribute(node: ast.Attribute) -> list[str]:
    match node:
        case ast.Attribute(value=ast.Name(id="prepare"), attr=name) if name not in CONTRACT:
            return [f"prepare.{name}"]
        case ast.Attribute(value=ast.Attribute(attr="settings"), attr=name) if name != "profile":
            return [f"settings.{name}"]
        case ast.Attribute(attr=name) if name in _STORES and (owner := _root(node)) in _OWNED:
            return [f"{owner}.{name}"]
    return _named(node.attr)


def _named(name: str) -> list[str]:
    """Return an attribute that no honest edit needs of anything."""
    if name in _SEEDS:
        return [f"the seed ({name})"]
    hidden = name.startswith("__") and name.endswith("__") and name not in _DUNDERS
    return [name] if hidden or name in _INNER else []


def _called(name: str, args: list[ast.expr]) -> list[str]:
    if name == "getattr" and len(args) > 1:
        return _looked_up(*args[:2])
    return [f"{name}()"] if name in _CALLS else []


def _looked_up(owner: ast.expr, name: ast.expr) -> list[str]:
    """Return an attribute that is looked up by its name: in a text like any other; put together, for `self` alone.

    A type of numbers (`config.dtype`) is looked up in torch by honest edits too, as the committed script does.
    """
    if isinstance(name, ast.Constant) and isinstance(name.value, str):
        return _attribute(ast.Attribute(owner, name.value, ast.Load()))
    own = isinstance(owner, ast.Name) and owner.id == "self"
    typed = isinstance(name, ast.Attribute) and name.attr == "dtype"
    return [] if own or typed else ["getattr() of a name that is not written out"]


def _root(node: ast.expr) -> str:
    """Return the name that a chain of attributes and items begins with."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _from(module: str, names: list[str]) -> list[str]:
    """Return the names taken out of a module that may not be reached: from here on they go by names of their own."""
    top = module.split(".")[0]
    if top not in MODULES:
        return [f"the module {module}"]
    if top == "prepare":
        return [f"prepare.{name}" for name in names if name not in CONTRACT]
    return [f"{module}.{name}" for name in names if name == "*" or _named(name)]


def _changed(target: ast.expr) -> list[str]:
    """Return an assignment to an attribute or an item of what the script does not own."""
    path = ast.unparse(target)
    owned = not isinstance(target, ast.Name) and _root(target) in _OWNED
    return [f"a change of {path}"] if owned and not path.startswith(_OPEN) else []
