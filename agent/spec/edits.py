"""Edits and file text in, file text out; refuses what is not editable. Pure; what is outside an edit is kept."""

import ast
import difflib
import math
import operator
import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from agent.core.errors import BadInput
from agent.core.experiment import Constant, Edit, Replace, SetConstant

Number = int | float
_MAX_POWER = 128  # 2**19 is a constant; 9**9**9 is a way to hang the planner
_OPERATORS: dict[type[ast.operator], Callable[[Number, Number], object]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
}
_SETTABLE = (int, float, str, bool, type(None))


class _ComputedError(Exception):
    """An expression that is no literal."""


# --- reading ----------------------------------------------------------------------------------------------


def constants(source: str, path: str) -> dict[str, object]:
    """Return the top-level upper-case constants of a script by name: literals, and arithmetic on literals.

    A single value in a dict has a name of its own beside the dict's: `TUNED.mini.total_batch`.
    A name that is bound twice, bound together with another, or computed is left out.
    Raises BadInput, with file and line, where the source does not parse.
    """
    tree = _parse(source, path)
    bound = _bindings(tree)
    nodes = {name: node for name, node in _assignments(tree).items() if name.isupper() and len(bound[name]) == 1}
    whole = {name: _literal(node) for name, node in nodes.items() if _is_literal(node)}
    entries = {name: entry for one in whole for name, entry in _entries(one, nodes[one]).items()}
    return whole | {name: _literal(node) for name, node in entries.items() if isinstance(_literal(node), _SETTABLE)}


def names(source: str, path: str) -> set[str]:
    """Return the names that a script's top level binds. Raises BadInput, with the line, where it does not parse."""
    return set(_bindings(_parse(source, path)))


def _entries(name: str, node: ast.expr) -> dict[str, ast.expr]:
    """Return what is in the dict `name`, and in dicts in it, by dotted names, without keys that are there twice."""
    entries: dict[str, ast.expr] = {}
    if isinstance(node, ast.Dict):
        keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
        for key, value in zip(keys, node.values, strict=True):
            if isinstance(key, str) and key.isidentifier() and keys.count(key) == 1:
                inner = f"{name}.{key}"
                entries |= {inner: value, **_entries(inner, value)}
    return entries


def _parse(source: str, path: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in a user's string is not ours to report
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        reason = getattr(error, "msg", None) or str(error) or "nested too deeply"
        raise BadInput(f"does not parse: {reason}", where=f"{path}:{line}", next_step="correct the syntax") from None


def _assignments(tree: ast.Module) -> dict[str, ast.expr]:
    """Return the value of every top-level `NAME = value` and `NAME: type = value`; the last where there are several."""
    values: dict[str, ast.expr] = {}
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                values[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                values[name] = value
    return values


def _bindings(tree: ast.Module) -> Mapping[str, list[int]]:
    """Return the lines on which each name of the module's scope is bound, in whatever way."""
    lines: dict[str, list[int]] = defaultdict(list)
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        for name in _bound_by(node):
            lines[name].append(getattr(node, "lineno", 0))
        if isinstance(node, ast.AnnAssign) and node.value is None:  # a bare `NAME: int` binds nothing
            continue
        if not isinstance(node, _INNER_SCOPES):
            todo.extend(ast.iter_child_nodes(node))
    return {name: sorted(numbers) for name, numbers in lines.items()}


_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_INNER_SCOPES = (*_DEFINITIONS, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _bound_by(node: ast.AST) -> list[str]:
    """Return the names that this one node binds in the module's scope."""
    if isinstance(node, _DEFINITIONS):  # of an inner scope, only what it declares global reaches the module
        return [node.name, *(name for sub in ast.walk(node) if isinstance(sub, ast.Global) for name in sub.names)]
    if isinstance(node, ast.alias):
        return [(node.asname or node.name).split(".")[0]]
    return [node.id] if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else []


def _is_literal(node: ast.expr) -> bool:
    try:
        _literal(node)
    except (_ComputedError, RecursionError):
        return False
    return True


def _literal(node: ast.expr) -> object:
    """Return the value of a literal expression. Raises _ComputedError for any other."""
    match node:
        case ast.Constant(value=value) if isinstance(value, _SETTABLE):
            return value
        case ast.Tuple(elts=items):
            return tuple(_literal(item) for item in items)
        case ast.List(elts=items):
            return [_literal(item) for item in items]
        case ast.Dict(keys=keys, values=values):
            return {_key(key): _literal(value) for key, value in zip(keys, values, strict=True)}
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _number(operand)
        case ast.BinOp(left=left, op=kind, right=right):
            return _arithmetic(_number(left), kind, _number(right))
    raise _ComputedError


def _key(node: ast.expr | None) -> object:
    if isinstance(node, ast.Constant):
        return _literal(node)
    raise _ComputedError  # `**other`, or a key that is itself a collection


def _number(node: ast.expr) -> Number:
    value = _literal(node)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise _ComputedError


def _arithmetic(left: Number, kind: ast.operator, right: Number) -> Number:
    apply_to = _OPERATORS.get(type(kind))
    if apply_to is None or (isinstance(kind, ast.Pow | ast.LShift) and abs(right) > _MAX_POWER):
        raise _ComputedError
    try:
        value = apply_to(left, right)
    except (ArithmeticError, TypeError, ValueError):  # 1 / 0, 1.5 << 2, 1 << -1
        raise _ComputedError from None
    if isinstance(value, int | float):
        return value
    raise _ComputedError  # (-8) ** 0.5 is complex


# --- applying ---------------------------------------------------------------------------------------------


def apply(files: Mapping[str, str], edits: Sequence[Edit], editable: Sequence[str]) -> dict[str, str]:
    """Apply `edits` in order to the texts `files`, by path; return the texts that changed, and only those.

    Raises BadInput for a path outside `editable`, a constant that is missing, computed, bound twice or of another
    type, a Replace whose text is not there exactly once, and a result that does not parse.
    """
    texts = dict(files)
    for edit in edits:
        _check_path(edit, texts, editable)
        texts[edit.path] = _apply_one(texts.get(edit.path, ""), edit)
    changed = {path: text for path, text in texts.items() if files.get(path) != text}
    for path, text in changed.items():
        if path.endswith(".py"):
            _parse(text, path)
    return changed


def only_constants(old: str, new: str, path: str) -> bool:
    """Return whether setting constants makes `new` of `old`, character by character."""
    try:
        before, after = constants(old, path), constants(new, path)
        changed = [(name, value) for name, value in after.items() if name in before and value != before[name]]
        sets = [SetConstant(path, name, value) for name, value in changed if isinstance(value, _SETTABLE)]
        return {path: old, **apply({path: old}, sets, (path,))}[path] == new
    except BadInput:  # no constant of that name or type was there to be set
        return False


def _check_path(edit: Edit, files: Mapping[str, str], editable: Sequence[str]) -> None:
    allowed = f"editable: {', '.join(editable) or 'nothing'}"
    if edit.path not in editable:
        raise BadInput("an edit may not change this file", where=edit.path, next_step=allowed)
    if edit.path not in files and isinstance(edit, SetConstant | Replace):
        raise BadInput("the file to edit is not there", where=edit.path, next_step=allowed)


def _apply_one(text: str, edit: Edit) -> str:
    if isinstance(edit, SetConstant):
        return _set(text, edit)
    return _replace(text, edit) if isinstance(edit, Replace) else edit.text


def _replace(text: str, edit: Replace) -> str:
    """Replace the one occurrence of a text. Overlapping ones count: the edit could be about either of them."""
    places = [at for at in range(len(text)) if text.startswith(edit.old, at)] if edit.old else []
    if len(places) == 1:
        return text[: places[0]] + edit.new + text[places[0] + len(edit.old) :]
    lines = ", ".join(str(text.count("\n", 0, at) + 1) for at in places[:10])
    raise BadInput(
        f"the text to replace occurs {len(places)} times{f' (lines {lines})' if places else ''}: {edit.old[:60]!r}",
        where=edit.path,
        next_step="it must occur exactly once: quote the file exactly, with enough lines around the change",
    )


def _set(text: str, edit: SetConstant) -> str:
    """Give a constant another value."""
    present, where = _find_literal(text, edit)
    value = _checked(edit, _literal(present), where)
    return text if value == _literal(present) else _splice(text, present, _source_of(value))


def _find_literal(text: str, edit: SetConstant) -> tuple[ast.expr, str]:
    """Return the one literal that an edit sets, and its place for a message. Raises BadInput where there is none."""
    tree = _parse(text, edit.path)
    owner = edit.name.partition(".")[0]
    lines = _bindings(tree).get(owner, [])
    if not lines or not owner.isupper():
        raise _missing(text, edit)
    where = f"{edit.path}:{lines[0]}"
    if len(lines) > 1:
        problem = f"{owner} is bound {len(lines)} times (lines {', '.join(map(str, lines))})"
        raise BadInput(problem, where=where, next_step=_ONCE)
    whole = _assignments(tree).get(owner)
    if whole is None:
        raise BadInput(f"{owner} is not assigned by itself at the top level", where=where, next_step=_ONCE)
    present = {owner: whole, **_entries(owner, whole)}.get(edit.name)
    if present is None:
        raise _missing(text, edit)
    if not _is_literal(present):
        raise BadInput(f"{edit.name} is computed, not a literal: it cannot be set", where=where, next_step=_ONCE)
    return present, where


_ONCE = "assign it once, at the top level, as a literal"


def _missing(text: str, edit: SetConstant) -> BadInput:
    there = constants(text, edit.path)
    near = difflib.get_close_matches(edit.name, there, n=3)
    kind = _kind(edit.value)
    same = ", ".join(name for name, value in there.items() if _kind(value) == kind) or "none"
    guess = f"did you mean {' or '.join(near)}? " if near else ""
    return BadInput(
        f"there is no constant {edit.name}", where=edit.path, next_step=f"{guess}{kind} constants here: {same}"
    )


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


def _checked(edit: SetConstant, old: object, where: str) -> Constant:
    """Return the value to write, of the type that is there: an int becomes a float where a float stands."""
    value = edit.value
    if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 2**53:
        value = float(value)  # beyond 2**53 it would become another number
    if not isinstance(old, _SETTABLE):
        raise BadInput(
            f"{edit.name} is a {_kind(old)}, not one value", where=where, next_step="replace its text instead"
        )
    if _kind(value) != _kind(old):
        raise BadInput(
            f"{edit.name} is {_kind(old)} ({old!r}), and {edit.value!r} is {_kind(edit.value)}",
            where=where,
            next_step=f"give a value of type {_kind(old)}",
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise BadInput(f"{edit.name} cannot be {value}", where=where, next_step="give a finite number")
    return value


def _splice(text: str, node: ast.expr, source: str) -> str:
    """Return `text` with `source` in the place of `node`; every character outside of it is as it was."""
    raw = text.encode()
    starts = [0, *(end.end() for end in re.finditer(rb"\r\n|\r|\n", raw))]
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    begin = starts[node.lineno - 1] + node.col_offset  # ast counts columns in bytes
    end = starts[node.end_lineno - 1] + node.end_col_offset
    return (raw[:begin] + source.encode() + raw[end:]).decode()


def _source_of(value: Constant) -> str:
    """Return the value as Python source; text in double quotes where that needs no escape."""
    shown = repr(value)
    return f'"{shown[1:-1]}"' if shown.startswith("'") and '"' not in shown else shown
