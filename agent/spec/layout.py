"""Tables in whatever layout people write them, as Markdown's: HTML, tabs, no ruler, blank lines between rows. Pure.

Every line keeps the number that it has in the issue. What stands in code is left as it is.
"""

import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser

from agent.core.frozen import frozen
from agent.spec.names import normal_form

ID_COLUMNS = frozenset(
    {"id", "ids", "variant", "variantid", "exp", "expid", "experiment", "experimentid", "runid", "#"}
)

DASH = r"\u2013\u2014\u2212"  # what some editors make of a hyphen
_PREFIX = re.compile(r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?")  # of a line in a list or a quote
_RULER = re.compile(rf"[ \t:|+\-={DASH}]*(?:-|=|[{DASH}])[ \t:|+\-={DASH}]*")  # the row under a table's header
_PIPES = str.maketrans(
    "\uff5c\u2502\u2503\u2551\u253c\u251c\u2524\u256c\u2560\u2563\u2500\u2501\u2550", "||||||||||---"
)
_BORDER = re.compile(r"[\u250c\u2510\u2514\u2518\u252c\u2534\u2554\u2557\u255a\u255d\u2566\u2569\u2500\u2550\s]+")
_HTML = re.compile(r"<table\b(?:(?!<table\b).)*?</table\s*>", re.IGNORECASE | re.DOTALL)


@frozen
class Line:
    """A line of text and its number in the issue, from 0."""

    text: str
    number: int


def as_markdown(lines: Sequence[str], code: frozenset[int]) -> list[Line]:
    """Return the lines of an issue with every table as Markdown's; `code` has the numbers of lines that are code."""
    numbered = [Line(text, number) for number, text in enumerate(lines)]
    return list(_with_rulers(_joined(list(_piped(_without_html(numbered, code), code)), code), code))


# --- HTML -------------------------------------------------------------------------------------------------


class _Table(HTMLParser):
    """The rows of one HTML table: the line of each, and the texts of its cells. `spans` where a cell spans others."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int, list[str]]] = []
        self.spans = False
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append((self.getpos()[0] - 1, []))
        elif tag in ("td", "th") and self.rows:
            self.spans |= any(name in ("colspan", "rowspan") and value not in ("1", None) for name, value in attrs)
            self.rows[-1][1].append("")
            self._open = True
        elif self._open:
            self.rows[-1][1][-1] += shown_tag(tag)

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag not in ("td", "th", "tr")
        if self._open:
            self.rows[-1][1][-1] += shown_tag(tag)

    def handle_data(self, data: str) -> None:
        if self._open:
            self.rows[-1][1][-1] += data


def shown_tag(tag: str) -> str:
    """Return what stands for an HTML tag in plain text: what it parts or strikes out is no one value."""
    name = re.sub(r"\W*(\w*).*", r"\1", tag, flags=re.DOTALL).lower()
    return " " if name in ("br", "p", "div", "li") else "~~" if name in ("del", "s", "strike", "sup", "sub") else ""


def _without_html(lines: list[Line], code: frozenset[int]) -> list[Line]:
    """Replace each HTML table by its rows, but one whose cells span others: that is refused where it is looked for."""
    text = "\n".join("" if line.number in code else line.text for line in lines)
    for match in reversed(list(_HTML.finditer(text))):
        first, last = text.count("\n", 0, match.start()), text.count("\n", 0, match.end())
        table = _Table()
        table.feed(match[0])
        rows = [(at, cells) for at, cells in table.rows if cells]
        if rows and not table.spans:
            markdown = [Line(_row(cells), lines[first + at].number) for at, cells in rows]
            ruler = Line("|" + "---|" * len(rows[0][1]), markdown[0].number)
            gap = Line("", lines[last].number)
            lines = [
                *lines[:first],
                Line("", lines[first].number),
                markdown[0],
                ruler,
                *markdown[1:],
                gap,
                *lines[last + 1 :],
            ]
    return lines


def _row(cells: Sequence[str]) -> str:
    return "|" + "|".join(f" {' '.join(cell.split())} ".replace("|", "\\|") for cell in cells) + "|"


# --- pipes ------------------------------------------------------------------------------------------------


def _piped(lines: Sequence[Line], code: frozenset[int]) -> Iterator[Line]:
    """Yield the lines with plain pipes where there are others, tabs or none."""
    tabbed = _tabbed(lines, code)
    for at, line in enumerate(lines):
        if line.number in code:
            yield line
        elif at in tabbed:
            prefix, body = _parted(line.text)
            yield Line(prefix.replace("\t", " ") + _row(body.strip().split("\t")), line.number)
        elif _BORDER.fullmatch(line.text) and line.text.strip():
            yield Line("", line.number)
        elif len(re.findall("[\uff5c\u2502\u2503\u2551\u251c\u2524\u253c\u2560\u2563\u256c]", line.text)) > 1:
            yield Line(line.text.translate(_PIPES), line.number)
        else:
            yield Line(_plain_ruler(line.text), line.number)


def _plain_ruler(text: str) -> str:
    """Return a table's ruler with plain dashes and pipes, and any other line as it is."""
    prefix, body = _parted(text)
    if not _RULER.fullmatch(body) or not re.search(r"[|+].*[|+=-]", body):
        return text
    return prefix + re.sub(rf"[={DASH}]", "-", body).replace("+", "|")


def _tabbed(lines: Sequence[Line], code: frozenset[int]) -> set[int]:
    """Return the places of lines that are rows of a table whose cells lie between tabs."""
    rows, places = set[int](), list[int]()
    for at, line in enumerate([*lines, Line("", -1)]):
        fields = _fields(line.text) if line.number not in code else 0
        if places and line.number >= 0 and not line.text.strip():
            continue  # rows may go on below a blank line
        if places and fields != _fields(lines[places[0]].text):
            rows |= set(places) if len(places) > 1 else set()
            places = []
        if fields > 1 and (places or any(map(is_id, line.text.strip().split("\t")))):
            places.append(at)
    return rows


def _parted(text: str) -> tuple[str, str]:
    """Return the marks of lists and quotes that a line begins with, and the rest of it."""
    end = len(prefix[0]) if (prefix := _PREFIX.match(text)) else 0
    return text[:end], text[end:]


def _indent(text: str) -> str:
    """Return what a line under this one begins with, to stand in the same quote or list item."""
    return re.sub(r"[^\s>]", " ", _parted(text)[0])


def _fields(text: str) -> int:
    return len(text.strip().split("\t"))


def is_id(header: str) -> bool:
    """Return whether a column of this name holds the names of variants."""
    return normal_form(header) in ID_COLUMNS


# --- rows -------------------------------------------------------------------------------------------------


def cells_of(text: str) -> list[str]:
    """Return the cells of a row between pipes, as written."""
    body = re.sub(r"^\||(?<!\\)\|$", "", _parted(text)[1].strip())
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", body)]


def is_row(text: str) -> bool:
    """Return whether a line begins like a row of a table: with a pipe, and another one after it."""
    body = _parted(text)[1]
    return body.startswith("|") and body.count("|") > 1


def is_ruler(text: str) -> bool:
    """Return whether a line is the one under a table's header."""
    body = _parted(text)[1]
    return "|" in body and _RULER.fullmatch(body) is not None


def _joined(lines: Sequence[Line], code: frozenset[int]) -> list[Line]:
    """Leave out blank lines (and lines that held a comment) between two rows of one table."""
    kept: list[Line] = []
    columns, blanks = 0, 0  # of the table above, and the blank lines below it
    for at, line in enumerate(lines):
        blank = line.number not in code and not line.text.strip(" \t>")
        row = line.number not in code and is_row(line.text)
        if row and columns and blanks and _goes_on(lines, at, columns):
            del kept[-blanks:]
        kept.append(line)
        columns = len(cells_of(line.text)) if row else columns if blank else 0
        blanks = blanks + 1 if blank and columns else 0
    return kept


def _goes_on(lines: Sequence[Line], at: int, columns: int) -> bool:
    """Return whether a row continues the table above it: it is as wide, and begins no table of its own."""
    after = lines[at + 1].text if at + 1 < len(lines) else ""
    cells = cells_of(lines[at].text)
    return len(cells) == columns and not is_ruler(after) and not any(map(is_id, cells)) and not is_ruler(lines[at].text)


def _with_rulers(lines: Sequence[Line], code: frozenset[int]) -> Iterator[Line]:
    """Yield the lines with a ruler under each header that has none, and without those that stand elsewhere."""
    inside = False
    for at, line in enumerate(lines):
        row = line.number not in code and is_row(line.text)
        above = row and inside
        if row and is_ruler(line.text) and (not inside or _has_ruler(lines, at)):
            continue  # a border above the header or between two rows
        yield line
        after = lines[at + 1].text if at + 1 < len(lines) else ""
        if row and not above and not is_ruler(after) and is_row(after) and any(map(is_id, cells_of(line.text))):
            yield Line(_indent(line.text) + "|" + "---|" * len(cells_of(line.text)), line.number)
        inside = row


def _has_ruler(lines: Sequence[Line], at: int) -> bool:
    """Return whether the table that the ruler at a place stands in has one above that place already."""
    above = at - 1
    while above >= 0 and is_row(lines[above].text):
        if is_ruler(lines[above].text) and above - 1 >= 0 and is_row(lines[above - 1].text):
            return True
        above -= 1
    return False
