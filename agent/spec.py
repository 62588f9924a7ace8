"""Issue text in, Spec out; every error names the line. Pure: core, markdown-it-py, YAML and pydantic only."""

import difflib
import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Annotated

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from agent.core import (
    BASELINE,
    BadInput,
    Budget,
    Constant,
    GateKind,
    Issue,
    Outcome,
    SetConstant,
    Spec,
    Stated,
    Track,
    Variant,
)

_CAPS = {"S": 3600.0, "M": 4 * 3600.0, "L": 12 * 3600.0}  # size of an experiment -> seconds it may take in all
_RANKS = {"P0": 0, "HIGH": 1, "P1": 1, "MEDIUM": 2, "P2": 2, "LOW": 3, "P3": 3, "": 4}
_WHY = {"rationale", "why", "description", "notes"}
_DERIVED = {  # a column of this name states a derived value, which is checked and never set
    "model_dim": "model_dim",
    "d_model": "model_dim",
    "n_head": "n_head",
    "n_heads": "n_head",
    "heads": "n_head",
    "head_dim": "head_dim",
    "params": "params",
}
_EXPECTED = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
_KEEP = {"-", "--", "\N{EN DASH}", "\N{EM DASH}"}  # a cell that leaves its constant as it is


def parse(issue: Issue, track: Track, constants: Mapping[str, object]) -> Spec:
    """Read an issue as an experiment on `track`, whose script has the top-level `constants`.

    Raises BadInput, with the line, for whatever cannot be read as exactly one experiment: see the readers below.
    """
    _check_open(issue)
    page = _page(issue)
    told = _settings(page)
    if told.track not in (None, track.name):
        raise page.error(f"the issue is for track {told.track}, not {track.name}", None, f"load track {told.track}")
    table = _table(page, track, constants, told.strategy)
    variants, ranks = (table.variants(), table.ranks()) if table else ([], [])
    names = _Names(tuple(variant.name for variant in variants))
    return Spec(
        issue=issue,
        track=track.name,
        strategy=told.strategy,
        variants=tuple(_ordered(page, names, variants, ranks)),
        budget=_stated_budget(page) if told.budget is None else parse_budget(str(told.budget)),
        cap_s=_cap(issue),
        gate=told.gate,
        outcomes=tuple(_outcomes(page, names)),
        body_sha256=hashlib.sha256(_lf(issue.body).encode(errors="backslashreplace")).hexdigest(),
        seeds=None if told.seeds is None else tuple(told.seeds),
    )


def named_track(issue: Issue) -> str | None:
    """The track that the issue's yaml block names, to be loaded before `parse`. Raises BadInput for a bad block."""
    return _settings(_page(issue)).track


# --- labels -----------------------------------------------------------------------------------------------


def _check_open(issue: Issue) -> None:
    where, labels = issue.source or f"issue #{issue.number}", ", ".join(issue.labels) or "none"
    if issue.state.lower() != "open":
        raise BadInput(f"issue {issue.number} is {issue.state}", where=where, next_step="reopen it, or file a new one")
    if "experiment" not in (label.strip().lower() for label in issue.labels):
        raise BadInput("no label experiment", where=where, next_step=f"add it; the labels there are: {labels}")


def _cap(issue: Issue) -> float | None:
    pairs = [label.partition(":") for label in issue.labels]
    sizes = {size.strip().upper() for name, _, size in pairs if name.strip().lower() == "size"}
    if len(sizes) > 1 or not sizes <= _CAPS.keys():
        problem = f"unknown size: {' and '.join(sorted(sizes - _CAPS.keys()) or sorted(sizes))}"
        where, valid = (
            issue.source or f"issue #{issue.number}",
            "size: S (1 hour), size: M (4 hours), size: L (12 hours)",
        )
        raise BadInput(problem, where=where, next_step=f"give one of the labels {valid}")
    return _CAPS[sizes.pop()] if sizes else None


# --- the page ---------------------------------------------------------------------------------------------


_Cells = tuple[int, list[str]]  # a row of a table: its line and its cells


@dataclass(frozen=True)
class _Prose:
    """A paragraph or list item as plain text, under its headings."""

    headings: tuple[str, ...]
    text: str
    lines: tuple[int, int]


@dataclass(frozen=True)
class _Page:
    """What of an issue is read. Lines count from 0 here, and as an editor shows them in `where`."""

    issue: Issue
    lines: tuple[str, ...]
    tables: tuple[list[_Cells], ...]
    prose: tuple[_Prose, ...]
    blocks: tuple[Token, ...]

    def where(self, line: int | None) -> str:
        name = self.issue.source or f"issue #{self.issue.number}"
        if line is None:
            return name
        at = self.issue.first_line + line
        return f"{name}:{at}" if self.issue.source else f"{name}, line {at}"

    def error(self, problem: str, line: int | None, next_step: str) -> BadInput:
        return BadInput(problem, where=self.where(line), next_step=next_step)

    def line_of(self, prose: _Prose, words: str) -> int:
        """The first line of a paragraph that holds `words` (or their first line), else the paragraph's first."""
        first, last = prose.lines
        start = words.split("\n")[0].strip()
        return next((line for line in range(first, last) if start in self.lines[line]), first)


def _lf(text: str) -> str:
    return text.replace("\r\n", "\n")


_DASH = r"\u2013\u2014\u2212"  # what some editors make of a hyphen
_RULER = re.compile(rf"^(?=[^\n]*\|)[ \t:|\-{_DASH}]+$", re.MULTILINE)  # the row under a table's header


def _page(issue: Issue) -> _Page:
    text = _RULER.sub(lambda ruler: re.sub(f"[{_DASH}]", "-", ruler[0]), _lf(issue.body))
    tokens = [Token("start", "", 0), *MarkdownIt("commonmark").enable("table").parse(text)]  # readers look one back
    return _Page(
        issue,
        tuple(re.split("\r|\n", text)),
        tuple(_tables(tokens)),
        tuple(_paragraphs(tokens)),
        tuple(token for token in tokens if token.type == "fence" and _is_settings(token)),
    )


def _is_settings(fence: Token) -> bool:
    named = fence.info.strip().lower() in ("yaml", "yml", "")
    return named and fence.content.split("\n")[0].strip() == "# autoresearch"


def _tables(tokens: Sequence[Token]) -> Iterator[list[_Cells]]:
    for before, token in pairwise(tokens):
        if token.type == "table_open":
            rows: list[_Cells] = []
        elif token.type == "tr_open":
            rows.append((_lines(token)[0], []))
        elif token.type == "inline" and before.type in ("th_open", "td_open"):
            rows[-1][1].append(_plain(token).strip())
        elif token.type == "table_close":
            yield rows


def _paragraphs(tokens: Sequence[Token]) -> Iterator[_Prose]:
    headings: list[tuple[int, str]] = []
    for before, token in pairwise(tokens):
        if token.type == "inline" and before.type == "heading_open":
            level = int(before.tag[1])
            headings = [*(held for held in headings if held[0] < level), (level, _plain(token))]
        elif token.type == "inline" and before.type == "paragraph_open":
            above = (name for level, name in headings if level > 1 or len(headings) == 1)  # an h1 is a title
            yield _Prose(tuple(above), _plain(token), _lines(token))


def _lines(token: Token) -> tuple[int, int]:
    first, last = token.map or (0, 0)
    return first, last


def _plain(token: Token) -> str:
    """The text of an inline token as a reader sees it: no markup, no HTML, one newline a line."""
    shown = {"softbreak": "\n", "hardbreak": "\n", "html_inline": ""}
    return "".join(shown.get(part.type, part.content) for part in token.children or ())


# --- the yaml block ---------------------------------------------------------------------------------------


class _Settings(BaseModel):
    """What a yaml block that begins with `# autoresearch` may say."""

    model_config = ConfigDict(extra="forbid")

    track: StrictStr | None = Field(default=None, min_length=1)
    strategy: StrictStr = Field(default="table", min_length=1)
    budget: StrictInt | StrictFloat | StrictStr | None = None
    seeds: list[Annotated[StrictInt, Field(ge=0, lt=2**32)]] | None = Field(default=None, min_length=1)
    gate: GateKind | None = None

    @field_validator("budget")
    @classmethod
    def _readable(cls, told: int | float | str | None) -> int | float | str | None:
        if told is not None and _budget(str(told)) is None:
            raise PydanticCustomError("budget", "{told} is no budget", {"told": repr(str(told)[:40])})
        return told

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, told: list[int] | None) -> list[int] | None:
        if told and len(set(told)) < len(told):
            raise PydanticCustomError("seeds", "a seed is given twice")
        return told


_KEYS = "keys: track, strategy (table), budget (5 minutes, 500steps, 5Mtok), seeds ([0, 1]), gate (confirmed, lowest)"


def _settings(page: _Page) -> _Settings:
    if not page.blocks:
        return _Settings()
    if len(page.blocks) > 1:
        raise page.error("a second autoresearch block", _lines(page.blocks[1])[0], "keep one of the two")
    block, first = page.blocks[0].content, _lines(page.blocks[0])[0] + 1
    lines = _key_lines(page, block, first)
    try:
        return _Settings.model_validate(_loaded(page, block, first))
    except ValidationError as error:
        worst = error.errors(include_input=False, include_url=False)[0]
        key = str([*worst["loc"], "the block"][0])
        problem = f"unknown key {key!r}" if worst["type"] == "extra_forbidden" else f"{key}: {worst['msg']}"
        raise page.error(problem, lines.get(key, first), _KEYS) from None


def _key_lines(page: _Page, block: str, first: int) -> dict[str, int]:
    lines: dict[str, int] = {}
    for at, line in enumerate(block.split("\n"), first):
        key = re.match(r"(\w+)\s*:", line)
        if key and lines.setdefault(key[1], at) != at:  # YAML would take the last and say nothing
            raise page.error(f"key {key[1]!r} is given twice", at, "keep one of the two")
    return lines


def _loaded(page: _Page, block: str, first: int) -> object:
    try:
        return yaml.safe_load(block) or {}
    except Exception as error:  # YAMLError, and whatever its constructors meet: `!!int ''` is an IndexError
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise page.error(f"the block is no YAML: {problem}", first + (mark.line if mark else 0), _KEYS) from None


# --- the table --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Row:
    """A row of the experiment table: its cells by column."""

    cells: Mapping[str, str]
    line: int

    def cell(self, *names: str) -> str:
        """The text in the columns of these names (lower case)."""
        return "; ".join(cell for name, cell in self.cells.items() if name.lower() in names and cell)


@dataclass(frozen=True)
class _Table:
    """The experiment table, over the script and the constants that it sets. Its methods raise BadInput."""

    page: _Page
    rows: tuple[_Row, ...]
    script: str
    constants: Mapping[str, object]

    def variants(self) -> list[Variant]:
        seen: dict[str, _Row] = {}
        for row in self.rows:
            self._check_name(row)
            twin = seen.setdefault(row.cell("id").lower(), row)  # case is no difference to some file systems
            if twin is not row:
                problem = f"ID {row.cell('id')} is there twice, first at {self.page.where(twin.line)}"
                raise self.page.error(problem, row.line, "rename one of the two rows")
        return [self._variant(row) for row in self.rows]

    def ranks(self) -> list[int]:
        return [self._rank(row) for row in self.rows]

    def _check_name(self, row: _Row) -> None:
        """An ID becomes a branch and a folder, on any machine."""
        name = row.cell("id")
        shaped = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name)
        if not shaped or ".." in name or name.lower().endswith((".", ".lock")) or name.lower() == BASELINE:
            problem = f"{name[:80]!r} cannot be an ID" if name else "a row has no ID"
            raise self.page.error(problem, row.line, f"an ID is like 1A: letters, digits and . _ - ; not {BASELINE}")

    def _variant(self, row: _Row) -> Variant:
        edits = tuple(
            SetConstant(self.script, column, self._value(row, column, self.constants[column]))
            for column, cell in row.cells.items()
            if column in self.constants and cell not in _KEEP
        )
        if not edits:
            raise self.page.error(f"row {row.cell('id')} sets no constant", row.line, "set one, or remove the row")
        stated = tuple(
            Stated(_DERIVED[column.lower()], value, self.page.where(row.line))
            for column in row.cells
            if (value := self._stated(row, column)) is not None
        )
        return Variant(row.cell("id"), edits, why=row.cell(*_WHY), stated=stated, where=self.page.where(row.line))

    def _value(self, row: _Row, column: str, present: object) -> Constant:
        if type(present) not in _EXPECTED:
            problem = f"column {column} sets a {type(present).__name__}"
            raise self.page.error(problem, row.line, "a table can set int, float, str and bool constants")
        value = _typed(row.cells[column], present)
        if value is None:
            raise self._misfit(row, column, present, f", or - to keep {present}")
        return value

    def _stated(self, row: _Row, column: str) -> int | None:
        derived, cell = _DERIVED.get(column.lower()), row.cells[column]
        if derived is None or column in self.constants or not cell or cell in _KEEP:
            return None
        value = _number(cell)
        if isinstance(value, int) or derived == "params":  # 50M describes; a whole number is a claim
            return value if isinstance(value, int) else None
        raise self._misfit(row, column, 512, ", or - to leave it unstated")

    def _misfit(self, row: _Row, column: str, like: object, or_else: str) -> BadInput:
        kind, expected = type(like).__name__, _EXPECTED[type(like)]
        problem = f"row {row.cell('id')}, column {column}: {row.cells[column]!r} is not {expected} ({kind})"
        return self.page.error(problem, row.line, f"write {expected} such as {like}{or_else}")

    def _rank(self, row: _Row) -> int:
        told = row.cell("priority")
        rank = _RANKS.get("" if told in _KEEP else told.upper())
        if rank is None:
            problem = f"row {row.cell('id')}, column Priority: {told!r} is no priority"
            raise self.page.error(problem, row.line, "write HIGH, MEDIUM or LOW (or P0 to P3)")
        return rank


def _table(page: _Page, track: Track, constants: Mapping[str, object], strategy: str) -> _Table | None:
    """The first table with an ID column, its header checked; none only where the strategy needs no table."""
    tables = [table for table in page.tables if "id" in (cell.lower() for cell in table[0][1])]
    if not tables and strategy != "table":
        return None
    if not page.tables:
        raise page.error("there is no table of experiments", None, _example(constants))
    line, header = (tables or page.tables)[0][0]
    if not tables:
        raise page.error(f"no table has an ID column; this one has {_list(header)}", line, _example(constants))
    rows = tuple(_Row(dict(zip(header, cells, strict=False)), at) for at, cells in tables[0][1:])
    if not rows:
        raise page.error("the experiment table has no rows", line, _example(constants))
    _check_header(page, line, [cell for cell in header if cell], track.script, constants)
    return _Table(page, rows, track.script, constants)


def _check_header(page: _Page, line: int, header: Sequence[str], script: str, constants: Mapping[str, object]) -> None:
    lower = [name.lower() for name in header]
    for name in header:
        if lower.count(name.lower()) > 1:
            raise page.error(f"column {name} is there twice", line, "keep one of the two")
        if name not in constants and _is_like_constant(name, constants):
            near = difflib.get_close_matches(_upper(name), constants, n=3)
            meant = f"did you mean {' or '.join(near)}? " if near else ""
            problem = f"column {name}: {script} has no constant {name}"
            raise page.error(problem, line, f"{meant}its constants: {_list(list(constants))}")
    if not constants.keys() & set(header):
        problem = f"no column sets a constant of {script}; the columns are {_list(header)}"
        raise page.error(problem, line, f"its constants: {_list(list(constants))}; {_example(constants)}")


def _list(words: Sequence[str]) -> str:
    return ", ".join(word or "(empty)" for word in words) or "none"


def _upper(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name).upper()


def _is_like_constant(name: str, constants: Mapping[str, object]) -> bool:
    """Written like a constant, or one but for its case (`Depth`): to ignore it would run another experiment."""
    if name.lower() in {"id", "priority", *_WHY} or (name.lower() in _DERIVED and not name.isupper()):
        return False
    return re.fullmatch(r"[A-Z][A-Z0-9_]+", name) is not None or _upper(name) in constants


def _example(constants: Mapping[str, object]) -> str:
    """What an acceptable table looks like, with two constants of the script at hand."""
    shown = [(name, value) for name, value in constants.items() if type(value) in _EXPECTED][:2]
    names, values = "".join(f" {name} |" for name, _ in shown), "".join(f" {value} |" for _, value in shown)
    rows = f"| ID |{names} Priority | Rationale |", "|" + "---|" * (len(shown) + 3), f"| 1A |{values} HIGH | why |"
    return "\n  ".join(["a table looks like this:", *rows])


def _typed(cell: str, present: object) -> Constant:
    """The cell as a value of the type of `present`; None where it is none."""
    if isinstance(present, str):
        return cell.strip("\"'") or None
    if isinstance(present, bool):
        return {"true": True, "false": False}.get(cell.lower())
    number = _number(cell)
    if isinstance(present, float):
        return None if number is None else float(number)
    return number if isinstance(number, int) else None


def _number(cell: str) -> int | float | None:
    """A finite number: 8, -3, 1,024, 524_288, 2**19, 0.04, 3e-4."""
    text = re.sub(r"(?<=[0-9])[,_](?=[0-9]{3}(?![0-9]))", "", cell.replace("\N{MINUS SIGN}", "-"))
    if power := re.fullmatch(r"([0-9]{1,3})\s*(?:\*\*|\^)\s*([0-9]{1,2})", text):
        value: int = int(power[1]) ** int(power[2])
        return value
    if re.fullmatch(r"[+-]?[0-9]{1,300}", text):
        return int(text)
    real = re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text)
    return float(text) if real and math.isfinite(float(text)) else None


# --- budgets ----------------------------------------------------------------------------------------------

_WORDS = dict(zip("one two three four five six seven eight nine ten".split(), range(1, 11), strict=True))  # noqa: SIM905
_K, _M, _G = 10**3, 10**6, 10**9
_SCALES = {"": 1, "k": _K, "K": _K, "thousand": _K, "M": _M, "million": _M, "G": _G, "B": _G, "billion": _G}
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_BUDGETS = "a budget is above zero: 20 (seconds), 5 minutes, 500steps or 5Mtok"
_NUMBER = rf"(?:[0-9][0-9,]*(?:\.[0-9]+)?(?:e[+-]?[0-9]{{1,3}})?|\b(?ai:{'|'.join(_WORDS)})\b)"
_UNIT = r"(?:[smh]|(?ai:sec(?:ond)?s?|min(?:ute)?s?|h(?:ou)?rs?|steps?|tok(?:en)?s?))(?![A-Za-z])"
_PIECE = rf"{_NUMBER}[\s-]*(?:[kKMGB]|(?ai:thousand|million|billion))?[\s-]*{_UNIT}"
_AMOUNT = rf"{_PIECE}(?:(?:\s+and\s+|\s*){_PIECE})*"


def parse_budget(text: str) -> Budget:
    """A budget such as `20` or `20s` (seconds), `5 minutes`, `1h30m`, `500steps`, `1.5Mtok`. Raises BadInput."""
    budget = _budget(text)
    if budget is None:
        raise BadInput(f"{text[:60]!r} is no budget", next_step=_BUDGETS)
    return budget


def _budget(text: str) -> Budget | None:
    text = text.strip()
    if re.fullmatch(_NUMBER, text):
        text += " s"
    if not re.fullmatch(_AMOUNT, text):
        return None
    pieces = [_piece(piece) for piece in re.findall(_PIECE, text)]
    kinds, amount = {piece.kind for piece in pieces}, sum(piece.amount for piece in pieces)
    whole = kinds == {"seconds"} or (len(pieces) == 1 and amount == amount // 1)
    return Budget(pieces[0].kind, amount) if whole and 0 < amount < math.inf else None


def _piece(text: str) -> Budget:
    found = re.fullmatch(rf"({_NUMBER})[\s-]*(.*?)[\s-]*({_UNIT})", text, re.DOTALL)
    assert found
    number, scale, unit = found[1].replace(",", "").lower(), found[2], found[3].lower()
    amount = Decimal(_WORDS.get(number, number)) * _SCALES[scale if len(scale) == 1 else scale.lower()]
    if unit[0] == "t":
        return Budget("tokens", float(amount))
    if unit.startswith("st"):
        return Budget("steps", float(amount))
    return Budget("seconds", math.nan if scale else float(amount * _SECONDS[unit[0]]))  # no unit is a "Mminute"


_ABOUT = r"(?i:(?:about|around|roughly|approximately|exactly|only|limited to|for|an?|budget of)\s+)*[~\u2248]?\s*"
_SPAN = rf"(?<![\w.,\u2013-])(?P<amount>(?:{_NUMBER}\s*(?:[-\u2013]|to)\s*)?{_AMOUNT})"
_RUN = r"(?:runs?|variants|(?:each|every|per)\s+(?:\w+\s+)?(?:variant|experiment|row))"
_RULES = (
    rf"\b(?i:{_RUN}\s+(?:is|are|takes|lasts?|gets?|has|have|runs|trains?))\s+{_ABOUT}{_SPAN}",
    rf"\b(?i:run|train)\s+(?i:each|every|all)(?:\s+\w+){{0,2}}?\s+(?i:for|at|with)\s+{_ABOUT}{_SPAN}",
    rf"{_SPAN}\s*(?i:each\b|apiece\b|a run\b|/\s*run\b|per\s+(?:run|variant|experiment)\b)",
    rf"\b(?i:budget(?:\s+(?:per run|a run|each))?\s*(?::|=|is\b|of\b))\s*{_ABOUT}{_SPAN}",
)
_MENTIONS = (rf"{_SPAN}[\s-]+(?i:(?:\w+\s+)?budget)\b",)  # "for the 5-minute training budget": where no rule is
_ELSEWHERE = re.compile(r"\b(total|whole|overall|entire|was|were|used|had|previous(ly)?|earlier)\b", re.IGNORECASE)


def _stated_budget(page: _Page) -> Budget | None:
    """What the prose gives each run: `Each run is 5 minutes`, `Budget: 300 s`; totals and the past do not count."""
    return _agreed(page, _RULES) or _agreed(page, _MENTIONS)


def _agreed(page: _Page, patterns: Sequence[str]) -> Budget | None:
    found: list[tuple[Budget, str]] = []
    for prose, words, amount in _statements(page, patterns):
        budget, line = _budget(amount), page.line_of(prose, words)
        if budget is None:
            raise page.error(f"{words!r}: {amount!r} is no budget", line, _BUDGETS)
        found.append((budget, f"{words!r} ({page.where(line)})"))
        if budget != found[0][0]:
            raise page.error(f"two budgets for a run: {found[0][1]} and {found[-1][1]}", line, "keep one of them")
    return found[0][0] if found else None


def _statements(page: _Page, patterns: Sequence[str]) -> Iterator[tuple[_Prose, str, str]]:
    """Each statement of a run's budget: its paragraph, its words, and the amount in them."""
    for prose in page.prose:
        for sentence in _sentences(prose.text):
            elsewhere = _ELSEWHERE.search(sentence)
            until = elsewhere.start() if elsewhere else len(sentence)
            for match in (match for pattern in patterns for match in re.finditer(pattern, sentence)):
                if match.end() <= until:
                    yield prose, match[0], match["amount"]


def _sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?;])\s+", text)


# --- order and outcomes -----------------------------------------------------------------------------------

_MARKERS = {"first": -1, "last": 1, "lastly": 1, "finally": 1}
# after an ID of one letter or of digits only: not the "A" of "A run", the "5" of "5 minutes"
_LATER = r"(?!\s+(?!(?:and|or|then|first|last|before|after|to|is|should|will|must|goes|comes|wins?)\b)[a-z])"
_COUNTED = r"(?!\s*-?(?i:tok|param|flop|gpu))"  # 1B parameters are no variant


class _Names:
    """The IDs of a table, and what looks like one of them in prose."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = {name.lower(): name for name in names}
        self.known = ", ".join(names)
        exact = [_spelled(name) for name in sorted(names, key=len, reverse=True)]
        word = rf"(?:{'|'.join([*exact, *sorted(_shapes(names))]) or '(?!)'})"
        self._mention = re.compile(rf"(?<![\w.])(?<!\w-){word}(?!\w)(?![.-]\w){_COUNTED}")
        self.ranges = re.compile(rf"(?<![\w.-]){word}(?:[-\u2013]|\s+(?:to|through)\s+){word}(?![\w-])")

    def mentions(self, text: str) -> list[tuple[int, str]]:
        """Where in `text` each ID-shaped word is, and the word."""
        found = ((match.start(), match[0]) for match in self._mention.finditer(text))
        return [(at, word) for at, word in found if word.lower() in self._names or not _is_quantity(word)]

    def name(self, word: str) -> str | None:
        return self._names.get(word.lower())


def _spelled(name: str) -> str:
    return re.escape(name) + (_LATER if len(name) == 1 or name.isdigit() else "")


def _is_quantity(word: str) -> bool:
    return re.fullmatch(r"[0-9]+[smhxkd]", word) is not None


def _shapes(names: Sequence[str]) -> set[str]:
    """Patterns of the words that look like these IDs: `1A` gives a number and a letter. Plain words give none."""
    leads = {lead[0].lower() for name in names if (lead := re.match("[A-Za-z]+", name))}
    return {_shape(name, leads) for name in names if re.search("[A-Za-z].*[0-9]|[0-9].*[A-Za-z]", name)} | (
        {"[B-HJ-Z]"} if names and all(re.fullmatch("[A-Z]", name) for name in names) else set()
    )


def _shape(name: str, leads: set[str]) -> str:
    parts = re.findall("[0-9]+|[A-Za-z]+|.", name)
    lead = f"(?i:{parts[0]})" if parts[0].isalpha() and len(leads) == 1 else _like(parts[0])
    return lead + "".join(map(_like, parts[1:]))


def _like(part: str) -> str:
    if part.isdigit():
        return f"[0-9]{{1,{len(part) + 1}}}"
    return f"[A-Za-z]{{{len(part)}}}" if part.isalpha() else re.escape(part)


def _ordered(page: _Page, names: _Names, variants: Sequence[Variant], ranks: Sequence[int]) -> list[Variant]:
    """The variants in run order: as the Execution section says, then by Priority, then as in the table."""
    turns = [turn for prose in page.prose if _is_execution(prose) for turn in _turns(page, prose, names)]
    placed: dict[str, tuple[int, int]] = {}
    for at, (place, name) in enumerate(turns):
        if name not in placed or (place and not placed[name][0]):  # "1B last" outranks an earlier mention
            placed[name] = place, at
    unlisted = 0, len(turns)
    ranked = sorted(zip(ranks, variants, strict=True), key=lambda one: (*placed.get(one[1].name, unlisted), one[0]))
    return [variant for _, variant in ranked]


def _is_execution(prose: _Prose) -> bool:
    return any(re.search(r"\b(execution|order)\b", heading, re.IGNORECASE) for heading in prose.headings)


def _turns(page: _Page, prose: _Prose, names: _Names) -> Iterator[tuple[int, str]]:
    """Each variant named in a sentence that is no condition, with its place: first (-1), in turn (0) or last (1)."""
    for sentence in _sentences(prose.text):
        words = [word for _, word in names.mentions(sentence)]
        for word in words:
            if names.name(word) is None:
                raise page.error(f"{word} is no variant", page.line_of(prose, word), f"the IDs are {names.known}")
        if re.search(r"\bif\b", sentence, re.IGNORECASE):  # a condition, not an order
            continue
        if names.ranges.search(sentence) or (words and _UNREADABLE.search(sentence)):
            line = page.line_of(prose, sentence)
            raise page.error(f"no order can be read from {sentence.strip()[:80]!r}", line, _ORDERS)
        yield from _clauses(sentence, names)


_UNREADABLE = re.compile(r"\b(after|skip|omit|except|do not run|don't run)\b", re.IGNORECASE)
_ORDERS = "write it as: Run 1D and 1C first, then 1A, then 1B; a row that is not to run is taken out of the table"
_MARK = re.compile(r"\b(?:first|last(?:ly)?|finally)\b", re.IGNORECASE | re.ASCII)
_CLAUSE = re.compile(r"[,;()]|\bthen\b", re.IGNORECASE)


def _clauses(sentence: str, names: _Names) -> Iterator[tuple[int, str]]:
    carried = 0
    for clause in _CLAUSE.split(sentence):
        marks = [(mark.start(), mark[0].lower()) for mark in _MARK.finditer(clause)]
        alone = len(marks) == 1 and clause.strip().lower() == marks[0][1]
        yield from _clause(sorted([*marks, *names.mentions(clause)]), names, carried)
        carried = _MARKERS[marks[0][1]] if alone else 0


def _clause(words: Sequence[tuple[int, str]], names: _Names, place: int) -> Iterator[tuple[int, str]]:
    """`1D and 1C first` and `last, 1B`: a marker is for the IDs before it, or where there are none, after it."""
    group: list[str] = []
    for _, word in words:
        name = names.name(word)
        if name is not None:
            group.append(name)
            continue
        mark = _MARKERS[word]
        yield from ((mark, held) for held in group)
        place, group = (0 if group else mark), []
    yield from ((place, held) for held in group)


_WINS = re.compile(
    rf"if\s+(?P<who>.{{1,120}}?)\s+wins?\b[^:,{_DASH}]{{0,80}}?(?:[:,{_DASH}]|\s-\s|\bthen\b)\s*(?:then\s+)?(?P<text>\S.*)",
    re.IGNORECASE | re.DOTALL,
)


def _outcomes(page: _Page, names: _Names) -> Iterator[Outcome]:
    """Each `If 1D (wider) wins: text`, at the start of a line; of other lines nothing is expected."""
    for prose in page.prose:
        for line in re.split(r"\n(?=if\s)", prose.text, flags=re.IGNORECASE):
            found = _WINS.match(line)
            if found:
                text = " ".join(found["text"].split())
                yield from (Outcome(name, text) for name in _winners(page, prose, names, found["who"]))


def _winners(page: _Page, prose: _Prose, names: _Names, who: str) -> Iterator[str]:
    words = re.split(r"\s*(?:,|/|\band\b|\bor\b)\s*", re.sub(r"\([^)]*\)", "", who).strip())
    mentioned = [[word for _, word in names.mentions(part)] for part in words]
    if any(part != [word] for part, word in zip(mentioned, words, strict=True)):  # "nothing", "neither 1A nor 1B"
        return
    for word in words:
        name = names.name(word)
        if name is None:
            raise page.error(f"{word} is no variant", page.line_of(prose, word), f"the IDs are {names.known}")
        yield name
