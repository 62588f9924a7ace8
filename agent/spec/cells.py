"""One cell of a table to one value, exactly, or why it is none and what to write. Pure."""

import re

from agent.core.experiment import Constant
from agent.core.frozen import frozen
from agent.core.values import EXPECTED, number, parse_as

KEEP = frozenset({"-", "--", "\N{EN DASH}", "\N{EM DASH}"})  # a cell that leaves its constant as it is
_SAME = frozenset({"current", "same", "unchanged", "baseline", "default", "as is"})  # of a constant that is no text
_ARROW = re.compile(r"\s*(?:-+>|=+>|\u2192|\u21d2|\u27f6|\u279c|\u2794)\s*")
_FOOTNOTE = re.compile(r"(?:\[\^[^\]]*\]|[*\u2020\u2021])+$")
_NOTE = re.compile(r"(.*?)\s*\(([^()]*)\)")
_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+(?:[eE][+-]?[0-9]+)?")
_NUMBER = r"[0-9][0-9.,_]*(?:[eE][+-]?[0-9]+)?"


@frozen
class Misread:
    """Why a cell is no value, and what to write."""

    problem: str
    next_step: str


def bare(cell: str) -> str:
    """Return a cell without the footnote marks at its end."""
    return _FOOTNOTE.sub("", cell.strip()).strip()


def read_cell(cell: str, present: object) -> Constant | Misread:
    """Return the value that a cell gives a constant, which now is `present`; None where the cell leaves it as it is."""
    text = bare(cell)
    if text in KEEP or (not isinstance(present, str) and text.casefold() in _SAME):
        return None
    if isinstance(present, str) and not _is_text(text, present):
        return Misread(
            f"{cell!r} is not text (str) like {present}", f"write text such as {present}, or - to keep {present}"
        )
    if type(present) not in EXPECTED:
        return Misread(f"it sets a {type(present).__name__}", "a table can set int, float, str and bool constants")
    arrow = _ARROW.split(text)
    if len(arrow) == 2:
        return _changed(arrow[0], arrow[1], present)
    note = _NOTE.fullmatch(text)
    if note and note[2].strip().casefold() in _SAME and not isinstance(present, str):
        return _unchanged(note[1], present)
    value = parse_as(text, present)
    if isinstance(present, float) and re.fullmatch(r"-?0[0-9]+", text):  # of [0,010] YAML makes 0 and 010
        return Misread(f"{cell!r} begins with a 0", "write the number without it; a point parts the decimals")
    return _misread(cell, present) if value is None or len(arrow) > 2 else value


def _is_text(text: str, present: str) -> bool:
    """Return whether a cell may be the text of a constant: a word (or two with an arrow), none that says `as it is`."""
    words = _ARROW.split(text)
    plain = all(re.fullmatch(r"[\w.+-]+", word.strip("\"'")) for word in words)
    return text.casefold() not in _SAME and (plain or re.search(r"\W", present) is not None)


def _changed(old: str, new: str, present: object) -> Constant | Misread:
    """Return the value of `64 -> 96`, where 64 is what there is."""
    if parse_as(old, present) != present:
        return Misread(f"the baseline has {present}, not {old!r}", f"write the value alone, such as {new}")
    value = parse_as(new, present)
    return _misread(new, present) if value is None else value


def _unchanged(text: str, present: object) -> Constant | Misread:
    """Return the value of `64 (current)`, where that is what there is."""
    if parse_as(text, present) != present:
        return Misread(f"{text!r} is not what the baseline has", f"write {present}, or the value alone")
    return parse_as(text, present)


def _misread(cell: str, present: object) -> Misread:
    kind, expected = type(present).__name__, EXPECTED[type(present)]
    return Misread(f"{cell!r} is not {expected} ({kind})", _advice(bare(cell), present))


def _advice(text: str, present: object) -> str:
    """Return what to write in the place of what people write when they mean a number."""
    usual = f"write {EXPECTED[type(present)]} such as {present}, or - to keep {present}"
    if isinstance(present, str | bool):
        return usual
    if _COMMA.fullmatch(text):
        if isinstance(present, int):
            return f"a whole number has a comma between thousands alone, as 1,024 has: write one such as {present}"
        ways = text.replace(",", ".") + ("" if text.startswith("0") else f" or {text.replace(',', '')}")
        return f"a point parts the decimals, and nothing the thousands: write {ways}"
    if re.fullmatch(rf"\+\s*{_NUMBER}", text) or re.fullmatch(rf"[-\u2212]\s*=\s*{_NUMBER}", text):
        return f"a difference? write the value itself: {_sum(present, number(text.lstrip('+ ')))}"
    if times := re.fullmatch(rf"(?:x|\u00d7|\*)\s*({_NUMBER})|({_NUMBER})\s*(?:x|\u00d7)", text, re.IGNORECASE):
        return f"a factor? write the value itself: {_product(present, number(times[1] or times[2]))}"
    if re.fullmatch(rf"[+-]?{_NUMBER}\s*%", text):
        return "a share is written as a number: 0.5 for 50 %; of the present value, write the value itself"
    if re.search(r"[0-9]\s*(?:-|\u2013|\.\.|to|,|/|\bor\b|;)\s*[0-9]", text):
        return "one value a row: write a row for each, or a grid: in the settings block"
    return usual


def _sum(present: object, change: int | float | None) -> object:
    return present + change if isinstance(present, int | float) and change is not None else present


def _product(present: object, factor: int | float | None) -> object:
    return present * factor if isinstance(present, int | float) and factor is not None else present
