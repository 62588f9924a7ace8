"""What an edit of the script may not reach: the seed, the budget, the environment, the evaluator. Pure; reads the AST.

It finds what an honest edit never needs, by name and line, before anything runs. It is no wall: what gets past it
meets the sandbox and the audit. Only what the edit adds counts; the committed script may hold such things.
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
CONTRACT = _words("PROFILES Clock Run Stop bad_setting begin evaluate run")  # what of prepare.py a script may use
_SEEDS = _words("manual_seed manual_seed_all seed seed_all default_rng RandomState Generator set_rng_state fork_rng")
_CALLS = _words("exec eval compile __import__ open input setattr delattr globals locals vars breakpoint")
_INNER = _words("""
    environ getenv putenv unsetenv system popen fork kill _exit execv execve execvp spawnv spawnl posix_spawn
    settrace setprofile _getframe __dict__ __setattr__ read_text write_text read_bytes write_bytes glob rglob iterdir
    tofile
    __globals__ __builtins__ __code__ __closure__ __subclasses__ __getattribute__ __reduce__ evaluation token_bytes
    step_seconds _pending _started _settle document_bytes val_bytes held_bytes fromfile memmap from_file load_library
    _load_library
""")
_STORES = _words("modules load save savez")  # of torch, numpy and sys; a model may have methods of such names
_OWNED = _words("prepare time torch F nn np numpy math os sys builtins run clock")  # not the script's to change
_OPEN = ("torch.backends.", "torch._inductor.config.", "torch._dynamo.config.")  # settings that are there to be set
_FILES = (".npz", ".pt", "result.json", "failure.json", "AUTORESEARCH_", "/proc", ".git")


def reached(old: str, new: str) -> list[str]:
    """What the new text reaches and the old does not, each with the line of its last place. Both texts parse."""
    before, lines, after = Counter(mark for mark, _ in _marks(old)), dict[str, int](), Counter[str]()
    for mark, line in _marks(new):
        after[mark] += 1
        lines[mark] = max(line, lines.get(mark, 0))
    return [f"{mark} (line {lines[mark]})" for mark in after if after[mark] > before[mark]]


def _marks(source: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(source)):
        for mark in _of(node):
            yield mark, getattr(node, "lineno", 0)


def _of(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [f"the module {a.name}" for a in names if a.name.split(".")[0] not in MODULES or a.name == "prepare"]
        case ast.ImportFrom(module=module, names=names):
            return _from(module or ".", [alias.name for alias in names])
        case ast.Attribute():
            return _attribute(node)
        case ast.Call(func=ast.Name(id=name)) if name in _CALLS:
            return [f"{name}()"]
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
        case ast.Attribute(value=ast.Name(id=owner), attr=name) if owner in _OWNED and name in _STORES:
            return [f"{owner}.{name}"]
        case ast.Attribute(attr=name) if name in _SEEDS:
            return [f"the seed ({name})"]
        case ast.Attribute(attr=name) if name in _INNER:
            return [name]
    return []


def _from(module: str, names: list[str]) -> list[str]:
    """Names taken out of a module go by names of their own, so those that may not be reached are told here."""
    top = module.split(".")[0]
    if top not in MODULES:
        return [f"the module {module}"]
    if top == "prepare":
        return [f"prepare.{name}" for name in names if name not in CONTRACT]
    return [f"{module}.{name}" for name in names if name in _SEEDS | _INNER]


def _changed(target: ast.expr) -> list[str]:
    """An assignment to an attribute or an item of what the script does not own."""
    inner = target
    while isinstance(inner, ast.Attribute | ast.Subscript):
        inner = inner.value
    path = ast.unparse(target)
    owned = inner is not target and isinstance(inner, ast.Name) and inner.id in _OWNED
    return [f"a change of {path}"] if owned and not path.startswith(_OPEN) else []
