"""The front matter of a local issue, as people write it: `key: value` lines between two `---`. Pure.

It looks like YAML and is read more leniently: a title may have a colon, a label too, and a number leading zeros.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.core.errors import BadInput
from agent.core.frozen import frozen

_KNOWN = ("number", "title", "state", "labels", "author", "priority", "size")
_PASSED_OVER = (
    "assignee",
    "assignees",
    "created",
    "updated",
    "date",
    "milestone",
    "url",
    "id",
    "type",
)  # of other trackers
_BEGIN = "begin the file with: ---, number: 3, title: ..., labels: [experiment], ---"
_QUOTED = re.compile(r"""(["'])(.*)\1(?:\s+#.*)?""")


@dataclass
class FrontMatter:
    """What the front matter says. `first_line` is the line of the file on which the body begins."""

    number: int = 0
    title: str = ""
    state: str = "open"
    labels: list[str] = field(default_factory=list)
    author: str = ""
    first_line: int = 1


@frozen
class _Entry:
    """A key with what stands behind it and on the lines below it, and its line, from 1."""

    key: str
    value: str
    below: tuple[str, ...]
    line: int


def split(text: str, where: str) -> tuple[FrontMatter, str]:
    """Return the front matter of a file and the body below it. Raises BadInput, with the line, for what is wrong."""
    lines = text.splitlines(keepends=True)
    ends = [number for number, line in enumerate(lines[1:], start=1) if line.rstrip() == "---"]
    if not lines or lines[0].rstrip() != "---" or not ends:
        raise BadInput("no front matter", where=f"{where}:1", next_step=_BEGIN)
    matter = FrontMatter(first_line=ends[0] + 2)
    entries = _entries([line.rstrip() for line in lines[1 : ends[0]]], where)
    for entry in entries:
        _take(matter, entry, where)
    for key in ("number", "title"):
        if key not in (entry.key for entry in entries):
            raise BadInput(f"there is no {key}", where=f"{where}:1", next_step=_BEGIN)
    return matter, "".join(lines[ends[0] + 1 :])


def _entries(lines: Sequence[str], where: str) -> list[_Entry]:
    entries: list[_Entry] = []
    for at, line in enumerate(lines, 2):
        key = re.match(r"([A-Za-z_][\w -]*?)\s*:(?:\s+(.*)|$)", line)
        if key:
            entries.append(_Entry(key[1].lower(), (key[2] or "").strip(), (), at))
        elif entries and (re.match(r"\s|-\s", line) or _is_open(entries[-1])):
            last = entries[-1]
            entries[-1] = _Entry(last.key, last.value, (*last.below, line.strip()), last.line)
        elif line.strip() and not line.lstrip().startswith("#"):
            raise BadInput(f"{line.strip()[:80]!r} is no `key: value`", where=f"{where}:{at}", next_step=_BEGIN)
    for entry in entries:
        if [other.key for other in entries].count(entry.key) > 1:
            raise BadInput(
                f"{entry.key} is there twice", where=f"{where}:{entry.line}", next_step="keep one of the two"
            )
    return entries


def _is_open(entry: _Entry) -> bool:
    """Return whether an entry's bracket is not closed yet: its lines go on, wherever they begin."""
    text = " ".join([entry.value, *entry.below])
    return text.startswith("[") and "]" not in text


def _take(matter: FrontMatter, entry: _Entry, where: str) -> None:
    """Take an entry into the front matter."""
    text = _plain(entry)
    match entry.key:
        case "number":
            matter.number = _number(entry, where)
        case "title" | "author" | "state":
            if not text and entry.key == "title":
                raise BadInput("the title is empty", where=f"{where}:{entry.line}", next_step="write title: ...")
            setattr(matter, entry.key, text or getattr(matter, entry.key))
        case "labels":
            matter.labels += _labels(entry, where)
        case "priority" | "size":
            matter.labels += [f"{entry.key}: {text}"] if text else []
        case key if key not in _PASSED_OVER:
            near = difflib.get_close_matches(key, _KNOWN, n=1)
            guess = f"did you mean {near[0]}? " if near else ""
            keys = f"{guess}keys: {', '.join(_KNOWN)}"
            raise BadInput(f"unknown key {key!r}", where=f"{where}:{entry.line}", next_step=keys)


def _plain(entry: _Entry) -> str:
    """Return an entry's text: without quotes, and on one line where it goes on below (`title: >`)."""
    lines = [] if re.fullmatch(r"[>|][+-]?", entry.value) else [entry.value]
    return _unquoted(" ".join([*lines, *entry.below]).strip())


def _unquoted(text: str) -> str:
    quoted = _QUOTED.fullmatch(text)
    return quoted[2].replace(f"\\{quoted[1]}", quoted[1]) if quoted else text


def _number(entry: _Entry, where: str) -> int:
    digits = re.fullmatch(r"#?([0-9]{1,9})(?:\s+#.*)?", _plain(entry))
    if digits is None or int(digits[1]) == 0:
        problem = f"number: {_plain(entry)[:40]!r} is no number of an issue"
        raise BadInput(
            problem, where=f"{where}:{entry.line}", next_step="write the number that the file's name begins with"
        )
    return int(digits[1])


def _labels(entry: _Entry, where: str) -> list[str]:
    """Return labels: `[a, size: S]`, `a, size: S`, or one a line behind a dash."""
    text = re.sub(
        r"\s+#.*$", "", " ".join([entry.value, *(one for one in entry.below if not one.startswith("-"))])
    ).strip()
    if text.startswith("[") != text.endswith("]"):
        raise BadInput(
            "labels: a bracket is missing",
            where=f"{where}:{entry.line}",
            next_step="write labels: [experiment, size: S]",
        )
    inline = re.findall(r"""\s*("[^"]*"|'[^']*'|[^,]+)\s*(?:,|$)""", text.strip("[]"))
    below = [one.lstrip("- ") for one in entry.below if one.startswith("-")]
    return [label for one in [*inline, *below] if (label := _unquoted(one.strip()))]
