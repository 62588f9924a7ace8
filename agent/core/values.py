"""Small things that people write in more places than one: values, names, priorities. Pure: core only."""

import math
import re
from collections.abc import Mapping, Sequence

from agent.core.experiment import BASELINE, Constant

EXPECTED = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}  # by what a constant is
PRIORITY_RANK = {
    **{"P0": 0, "CRITICAL": 0, "URGENT": 0, "HIGHEST": 0, "HIGH": 1, "H": 1, "P1": 1, "1": 1},
    **{"MEDIUM": 2, "MED": 2, "M": 2, "NORMAL": 2, "P2": 2, "2": 2, "LOW": 3, "L": 3, "P3": 3, "3": 3},
    **{"": 4, "LOWEST": 4, "P4": 4, "4": 4, "P5": 5, "5": 5},
}  # of priorities: lower is first; of several names of one rank the first is shown
PRIORITIES = "write HIGH, MEDIUM or LOW (or P0 to P3, or 1 to 5)"
MOST_MORE = 50  # further runs that --more or /more asks for at a time
NAMES = f"an ID is like 1A: letters, digits and . _ - ; not {BASELINE}"


def is_name(text: str) -> bool:
    """Whether a variant may be called so: an ID becomes a branch and a folder, on any machine."""
    shaped = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text)
    return bool(shaped) and ".." not in text and not text.lower().endswith((".", ".lock")) and text.lower() != BASELINE


def parse_as(cell: str, present: object) -> Constant:
    """The cell as a value of the type of `present`; None where it is none."""
    if isinstance(present, str):
        return cell.strip("\"'") or None
    if isinstance(present, bool):
        return {"true": True, "false": False}.get(cell.lower())
    if isinstance(present, float) and "," in cell:  # 1,024 is 1024 to some and 1.024 to others
        return None
    value = number(cell)
    if isinstance(present, float):
        return None if value is None else float(value)
    return value if isinstance(value, int) else None


_THOUSANDS = re.compile(r"-?[1-9][0-9]{0,2}(?:,[0-9]{3})+|-?[1-9][0-9]{0,2}(?:_[0-9]{3})+")


def number(cell: str) -> int | float | None:
    """A finite number: 8, -3, 1,024, 524_288, 2**19, 0.04, 3e-4. A sign before it other than minus is no number's."""
    text = cell.replace("\N{MINUS SIGN}", "-")
    if _THOUSANDS.fullmatch(text):
        return int(text.replace(",", "").replace("_", ""))
    if power := re.fullmatch(r"([0-9]{1,3})\s*(?:\*\*|\^)\s*([0-9]{1,2})", text):
        value: int = int(power[1]) ** int(power[2])
        return value
    if re.fullmatch(r"-?[0-9]{1,300}", text):
        return int(text)
    real = re.fullmatch(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text)
    return float(text) if real and math.isfinite(float(text)) else None


def suggest(name: str, constants: Mapping[str, object]) -> str:
    """What to write instead of a name that is no constant: those like it, then all there are."""
    import difflib  # for whoever made a mistake

    near = " or ".join(difflib.get_close_matches(name if "." in name else upper(name), constants, n=3))
    return f"{f'did you mean {near}? ' if near else ''}its constants: {join(list(constants))}"


def rank(text: str) -> int | None:
    """The rank of a priority in any of its usual forms: `High`, `P1`, `1`, `High (P1)`, with an emoji; None if none."""
    words = re.findall(r"[A-Za-z0-9]+", text)
    beside = re.sub(r"[A-Za-z0-9\s()\[\]/:.,-]", "", text)
    ranks = {PRIORITY_RANK.get(word.upper()) for word in words if word.lower() not in ("priority", "prio")}
    if len(ranks) > 1 or any(char.isalpha() for char in beside) or (not words and text.strip(" -")):
        return None
    return ranks.pop() if ranks else PRIORITY_RANK[""]


def upper(name: str) -> str:
    """A name as a constant would be written."""
    return re.sub(r"[\s-]+", "_", name).upper()


def join(words: Sequence[str]) -> str:
    """Words for a message."""
    return ", ".join(word or "(empty)" for word in words) or "none"
