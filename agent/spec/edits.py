"""Edits and file text in, file text out; refuses what is not editable. Pure; what is outside an edit is kept."""

import ast
import difflib
import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from agent.core.errors import BadInput
from agent.core.experiment import Constant, Edit, Replace, SetConstant
from agent.spec.script import SETTABLE, constants, entries_of, is_literal, literal, parse, read


def apply(files: Mapping[str, str], edits: Sequence[Edit], editable: Sequence[str]) -> dict[str, str]:
    """Apply `edits` in order to the texts `files`, by path; return the texts that changed, and only those.

    Raises BadInput for a path outside `editable`, a constant that is missing, computed, bound twice or of another
    type, a Replace whose text is not there exactly once, and a result that does not parse.
    """
    texts = dict(files)
    for batch in _batches(edits):
        path = batch[0].path
        _check_path(batch[0], texts, editable)
        texts[path] = _apply_batch(texts.get(path, ""), batch)
    changed = {path: text for path, text in texts.items() if files.get(path) != text}
    for path in {edit.path for edit in edits if not isinstance(edit, SetConstant)} & changed.keys():
        if path.endswith(".py"):  # a literal in the place of a literal parses as before
            parse(changed[path], path)
    return changed


def only_constants(old: str, new: str, path: str) -> bool:
    """Return whether setting constants makes `new` of `old`, character by character."""
    try:
        before, after = constants(old, path), constants(new, path)
        changed = [(name, value) for name, value in after.items() if name in before and value != before[name]]
        sets = [SetConstant(path, name, value) for name, value in changed if isinstance(value, SETTABLE)]
        return {path: old, **apply({path: old}, sets, (path,))}[path] == new
    except BadInput:  # no constant of that name or type was there to be set
        return False


def _check_path(edit: Edit, files: Mapping[str, str], editable: Sequence[str]) -> None:
    allowed = f"editable: {', '.join(editable) or 'nothing'}"
    if edit.path not in editable:
        raise BadInput("an edit may not change this file", where=edit.path, next_step=allowed)
    if edit.path not in files and isinstance(edit, SetConstant | Replace):
        raise BadInput("the file to edit is not there", where=edit.path, next_step=allowed)


def _batches(edits: Sequence[Edit]) -> list[list[Edit]]:
    """Return the edits in order, in groups: one edit, or several that set different constants of one text."""
    batches: list[list[Edit]] = []
    for edit in edits:
        if batches and _joins(batches[-1], edit):
            batches[-1].append(edit)
        else:
            batches.append([edit])
    return batches


def _joins(batch: Sequence[Edit], edit: Edit) -> bool:
    others = [one for one in batch if isinstance(one, SetConstant) and one.path == edit.path]
    return isinstance(edit, SetConstant) and bool(others) and all(one.name != edit.name for one in others)


def _apply_batch(text: str, batch: Sequence[Edit]) -> str:
    match batch[0]:
        case SetConstant():
            return _set_all(text, [edit for edit in batch if isinstance(edit, SetConstant)])
        case Replace():
            return _replace(text, batch[0])
        case edit:
            return edit.text


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


def _set_all(text: str, batch: Sequence[SetConstant]) -> str:
    """Give each of several constants another value."""
    changes = []
    for edit in batch:
        present, where = _find_literal(text, edit)
        value = _checked(edit, literal(present), where)
        if value != literal(present):
            changes.append((present, _source_of(value)))
    return _splice(text, changes)


def _find_literal(text: str, edit: SetConstant) -> tuple[ast.expr, str]:
    """Return the one literal that an edit sets, and its place for a message. Raises BadInput where there is none."""
    script = read(text, edit.path)
    owner = edit.name.partition(".")[0]
    lines = script.bound.get(owner, [])
    if not lines or not owner.isupper():
        raise _missing(text, edit)
    where = f"{edit.path}:{lines[0]}"
    if len(lines) > 1:
        problem = f"{owner} is bound {len(lines)} times (lines {', '.join(map(str, lines))})"
        raise BadInput(problem, where=where, next_step=_ONCE)
    whole = script.values.get(owner)
    if whole is None:
        raise BadInput(f"{owner} is not assigned by itself at the top level", where=where, next_step=_ONCE)
    present = {owner: whole, **entries_of(owner, whole)}.get(edit.name)
    if present is None:
        raise _missing(text, edit)
    if not is_literal(present):
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


def constants_after(before: Mapping[str, object], edits: Sequence[SetConstant]) -> dict[str, object]:
    """Return what `constants` reads where `edits` were applied to a script that has the constants `before`.

    Reading a script takes long, and a table of many variants sets constants of one.
    """
    after = dict(before)
    for edit in edits:
        if edit.name in before:
            owner, *keys = edit.name.split(".")
            after[edit.name] = value = _as_kind_of(before[edit.name], edit.value)
            if keys:
                after[owner] = _with_entry(after[owner], keys, value)
    return after


def _with_entry(table: object, keys: Sequence[str], value: object) -> object:
    """Return a copy of a dict, and of the dicts in it on the way, with another value at the end of `keys`."""
    if not keys:
        return value
    assert isinstance(table, dict)
    return {**table, keys[0]: _with_entry(table[keys[0]], keys[1:], value)}


def _as_kind_of(old: object, value: Constant) -> Constant:
    """Return a value in the type that it gets: an int is a float where a float stands."""
    if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 2**53:
        return float(value)  # beyond 2**53 it would become another number
    return value


def _checked(edit: SetConstant, old: object, where: str) -> Constant:
    """Return the value to write, of the type that is there. Raises BadInput for a value of another."""
    value = _as_kind_of(old, edit.value)
    if not isinstance(old, SETTABLE):
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


def _splice(text: str, changes: Sequence[tuple[ast.expr, str]]) -> str:
    """Return `text` with a source in the place of each node; every character outside of them is as it was."""
    raw, starts = text.encode(), _line_starts(text)
    for node, source in sorted(changes, key=lambda change: (change[0].lineno, change[0].col_offset), reverse=True):
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        begin = starts[node.lineno - 1] + node.col_offset  # ast counts columns in bytes
        end = starts[node.end_lineno - 1] + node.end_col_offset
        raw = raw[:begin] + source.encode() + raw[end:]
    return raw.decode()


@lru_cache(maxsize=8)
def _line_starts(text: str) -> list[int]:
    """Return the offset in bytes at which each line of a text begins."""
    return [0, *(end.end() for end in re.finditer(rb"\r\n|\r|\n", text.encode()))]


def _source_of(value: Constant) -> str:
    """Return the value as Python source; text in double quotes where that needs no escape."""
    shown = repr(value)
    return f'"{shown[1:-1]}"' if shown.startswith("'") and '"' not in shown else shown
