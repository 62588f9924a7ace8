"""A script's top level, read: its names and its constants. Pure; nothing of a script is ever run."""

import ast
import operator
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import lru_cache

from agent.core.errors import BadInput
from agent.core.frozen import frozen

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
SETTABLE = (int, float, str, bool, type(None))


class _ComputedError(Exception):
    """An expression that is no literal."""


def constants(source: str, path: str) -> dict[str, object]:
    """Return the top-level upper-case constants of a script by name: literals, and arithmetic on literals.

    A single value in a dict has a name of its own beside the dict's: `TUNED.mini.total_batch`.
    A name that is bound twice, bound together with another, or computed is left out.
    Raises BadInput, with file and line, where the source does not parse.
    """
    script = read(source, path)
    nodes = {name: node for name, node in script.values.items() if name.isupper() and len(script.bound[name]) == 1}
    whole = {name: literal(node) for name, node in nodes.items() if is_literal(node)}
    entries = {name: entry for one in whole for name, entry in entries_of(one, nodes[one]).items()}
    return whole | {name: literal(node) for name, node in entries.items() if isinstance(literal(node), SETTABLE)}


def names(source: str, path: str) -> set[str]:
    """Return the names that a script's top level binds. Raises BadInput, with the line, where it does not parse."""
    return set(read(source, path).bound)


def entries_of(name: str, node: ast.expr) -> dict[str, ast.expr]:
    """Return what is in the dict `name`, and in dicts in it, by dotted names, without keys that are there twice."""
    entries: dict[str, ast.expr] = {}
    if isinstance(node, ast.Dict):
        keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
        for key, value in zip(keys, node.values, strict=True):
            if isinstance(key, str) and key.isidentifier() and keys.count(key) == 1:
                inner = f"{name}.{key}"
                entries |= {inner: value, **entries_of(inner, value)}
    return entries


@frozen
class _Script:
    """A script, read: the lines on which each name is bound, and the value of every top-level assignment."""

    bound: Mapping[str, list[int]]
    values: Mapping[str, ast.expr]


@lru_cache(maxsize=8)  # all variants of a table are edits of one text
def read(source: str, path: str) -> _Script:
    """Return a script's names and values. Raises BadInput, with the line, where it does not parse."""
    tree = parse(source, path)
    return _Script(_bindings(tree), _assignments(tree))


def parse(source: str, path: str) -> ast.Module:
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


def is_literal(node: ast.expr) -> bool:
    try:
        literal(node)
    except (_ComputedError, RecursionError):
        return False
    return True


def literal(node: ast.expr) -> object:
    """Return the value of a literal expression. Raises _ComputedError for any other."""
    match node:
        case ast.Constant(value=value) if isinstance(value, SETTABLE):
            return value
        case ast.Tuple(elts=items):
            return tuple(literal(item) for item in items)
        case ast.List(elts=items):
            return [literal(item) for item in items]
        case ast.Dict(keys=keys, values=values):
            return {_key(key): literal(value) for key, value in zip(keys, values, strict=True)}
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _number(operand)
        case ast.BinOp(left=left, op=kind, right=right):
            return _arithmetic(_number(left), kind, _number(right))
    raise _ComputedError


def _key(node: ast.expr | None) -> object:
    if isinstance(node, ast.Constant):
        return literal(node)
    raise _ComputedError  # `**other`, or a key that is itself a collection


def _number(node: ast.expr) -> Number:
    value = literal(node)
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
