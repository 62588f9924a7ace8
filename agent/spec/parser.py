"""Issue text in, Spec out; every error names the line. Pure: core, markdown-it-py, YAML and pydantic only."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from agent.core.errors import BadInput
from agent.core.experiment import Constant, GateKind, Issue, SetConstant, Spec, StatedValue, Track, Variant
from agent.core.sanitize import strip_control
from agent.core.values import EXPECTED, NAMES, PRIORITY_RANK, is_name, join, number, parse_as, suggest, upper
from agent.spec.markdown import IssueDocument, lines_of, parse_issue
from agent.spec.prose import Names, ordered, outcomes, parse_budget, readable, stated_budget

PROSE = "freeform"  # the strategy of an issue that has no table: an editor reads it
MOST_PROPOSALS = 12  # of a round: each costs money, and the more there are the luckier is the best
_CAPS = {"S": 3600.0, "M": 4 * 3600.0, "L": 12 * 3600.0}  # size of an experiment -> seconds it may take in all
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
_KEEP = {"-", "--", "\N{EN DASH}", "\N{EM DASH}"}  # a cell that leaves its constant as it is


def parse(issue: Issue, track: Track, constants: Mapping[str, object]) -> Spec:
    """Read an issue as an experiment on `track`, whose script has the top-level `constants`.

    Raises BadInput, with the line, for whatever cannot be read as exactly one experiment: see the readers below.
    """
    _check_open(issue)
    page = parse_issue(issue)
    told = _settings(page)
    if told.track not in (None, track.name):
        raise page.error(f"the issue is for track {told.track}, not {track.name}", None, f"load track {told.track}")
    strategy = told.strategy or _strategy(issue, page)
    table = _table(page, track, constants, strategy)
    variants, ranks = (table.variants(), table.ranks()) if table else ([], [])
    names = Names(tuple(variant.name for variant in variants))
    return Spec(
        issue=page.issue,
        track=track.name,
        strategy=strategy,
        variants=tuple(ordered(page, names, variants, ranks)),
        budget=stated_budget(page) if told.budget is None else parse_budget(str(told.budget)),
        cap_s=_cap(issue),
        gate=told.gate,
        outcomes=tuple(outcomes(page, names)),
        body_sha256=digest(issue.body),
        seeds=None if told.seeds is None else tuple(told.seeds),
        proposals=told.variants if strategy == PROSE else 0,
    )


def _strategy(issue: Issue, page: IssueDocument) -> str:
    """Prose where there is text and nothing anywhere that looks like a table: one that cannot be read is an error."""
    tabular = page.tables or re.search(r"\|[ \t:]*-", strip_control(issue.body))
    return PROSE if page.prose and not tabular else "table"


def digest(body: str) -> str:
    """Of the body as it was fetched: an edit that nobody sees is an edit. How its lines end is the tracker's affair."""
    return hashlib.sha256(body.replace("\r\n", "\n").encode(errors="backslashreplace")).hexdigest()


def named_track(issue: Issue) -> str | None:
    """The track that the issue's yaml block names, to be loaded before `parse`. Raises BadInput for a bad block."""
    return _settings(parse_issue(issue)).track


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


# --- the yaml block ---------------------------------------------------------------------------------------


class _Settings(BaseModel):
    """What a yaml block that begins with `# autoresearch` may say."""

    model_config = ConfigDict(extra="forbid")

    track: StrictStr | None = Field(default=None, min_length=1)
    strategy: StrictStr | None = Field(default=None, min_length=1)
    variants: Annotated[StrictInt, Field(ge=1, le=MOST_PROPOSALS)] = 3
    budget: StrictInt | StrictFloat | StrictStr | None = None
    seeds: list[Annotated[StrictInt, Field(ge=0, lt=2**32)]] | None = Field(default=None, min_length=1)
    gate: GateKind | None = None

    @field_validator("budget")
    @classmethod
    def _readable(cls, told: int | float | str | None) -> int | float | str | None:
        if told is not None and not readable(str(told)):
            raise PydanticCustomError("budget", "{told} is no budget", {"told": repr(str(told)[:40])})
        return told

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, told: list[int] | None) -> list[int] | None:
        if told and len(set(told)) < len(told):
            raise PydanticCustomError("seeds", "a seed is given twice")
        return told


_KEYS = (
    "keys: track, strategy (table, freeform), variants (3: how many to propose), budget (5 minutes, 500steps, 5Mtok), "
    "seeds ([0, 1]), gate (confirmed, lowest)"
)


def _settings(page: IssueDocument) -> _Settings:
    if not page.blocks:
        return _Settings()
    if len(page.blocks) > 1:
        raise page.error("a second autoresearch block", lines_of(page.blocks[1])[0], "keep one of the two")
    block, first = page.blocks[0].content, lines_of(page.blocks[0])[0] + 1
    lines = _key_lines(page, block, first)
    try:
        return _Settings.model_validate(_loaded(page, block, first))
    except ValidationError as error:
        worst = error.errors(include_input=False, include_url=False)[0]
        key = str([*worst["loc"], "the block"][0])
        problem = f"unknown key {key!r}" if worst["type"] == "extra_forbidden" else f"{key}: {worst['msg']}"
        raise page.error(problem, lines.get(key, first), _KEYS) from None


def _key_lines(page: IssueDocument, block: str, first: int) -> dict[str, int]:
    lines: dict[str, int] = {}
    for at, line in enumerate(block.split("\n"), first):
        key = re.match(r"(\w+)\s*:", line)
        if key and lines.setdefault(key[1], at) != at:  # YAML would take the last and say nothing
            raise page.error(f"key {key[1]!r} is given twice", at, "keep one of the two")
    return lines


def _loaded(page: IssueDocument, block: str, first: int) -> object:
    try:
        return yaml.safe_load(block) or {}
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        # all but the first come from YAML's own constructors: `!!int ''` is an IndexError
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

    page: IssueDocument
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
        name = row.cell("id")
        if not is_name(name):
            problem = f"{name[:80]!r} cannot be an ID" if name else "a row has no ID"
            raise self.page.error(problem, row.line, NAMES)

    def _variant(self, row: _Row) -> Variant:
        edits = tuple(
            SetConstant(self.script, column, self._value(row, column, self.constants[column]))
            for column, cell in row.cells.items()
            if column in self.constants and cell not in _KEEP
        )
        if not edits:
            raise self.page.error(f"row {row.cell('id')} sets no constant", row.line, "set one, or remove the row")
        stated = tuple(
            StatedValue(_DERIVED[column.lower()], value, self.page.where(row.line))
            for column in row.cells
            if (value := self._stated(row, column)) is not None
        )
        return Variant(row.cell("id"), edits, why=row.cell(*_WHY), stated=stated, where=self.page.where(row.line))

    def _value(self, row: _Row, column: str, present: object) -> Constant:
        if type(present) not in EXPECTED:
            problem = f"column {column} sets a {type(present).__name__}"
            raise self.page.error(problem, row.line, "a table can set int, float, str and bool constants")
        value = parse_as(row.cells[column], present)
        if value is None:
            raise self._misfit(row, column, present, f", or - to keep {present}")
        return value

    def _stated(self, row: _Row, column: str) -> int | None:
        derived, cell = _DERIVED.get(column.lower()), row.cells[column]
        if derived is None or column in self.constants or not cell or cell in _KEEP:
            return None
        value = number(cell)
        if isinstance(value, int) or derived == "params":  # 50M describes; a whole number is a claim
            return value if isinstance(value, int) else None
        raise self._misfit(row, column, 512, ", or - to leave it unstated")

    def _misfit(self, row: _Row, column: str, like: object, or_else: str) -> BadInput:
        kind, expected = type(like).__name__, EXPECTED[type(like)]
        problem = f"row {row.cell('id')}, column {column}: {row.cells[column]!r} is not {expected} ({kind})"
        return self.page.error(problem, row.line, f"write {expected} such as {like}{or_else}")

    def _rank(self, row: _Row) -> int:
        told = row.cell("priority")
        rank = PRIORITY_RANK.get("" if told in _KEEP else told.upper())
        if rank is None:
            problem = f"row {row.cell('id')}, column Priority: {told!r} is no priority"
            raise self.page.error(problem, row.line, "write HIGH, MEDIUM or LOW (or P0 to P3)")
        return rank


def _table(page: IssueDocument, track: Track, constants: Mapping[str, object], strategy: str) -> _Table | None:
    """The first table with an ID column, its header checked; none only where the strategy needs no table."""
    tables = [table for table in page.tables if "id" in (cell.lower() for cell in table[0][1])]
    if not tables and strategy != "table":
        return None
    if not page.tables:
        raise page.error("there is no table of experiments", None, _example(constants))
    line, header = (tables or page.tables)[0][0]
    if not tables:
        raise page.error(f"no table has an ID column; this one has {join(header)}", line, _example(constants))
    rows = tuple(_Row(dict(zip(header, cells, strict=False)), at) for at, cells in tables[0][1:])
    if not rows:
        raise page.error("the experiment table has no rows", line, _example(constants))
    _check_header(page, line, [cell for cell in header if cell], track.script, constants)
    return _Table(page, rows, track.script, constants)


def _check_header(
    page: IssueDocument, line: int, header: Sequence[str], script: str, constants: Mapping[str, object]
) -> None:
    lower = [name.lower() for name in header]
    for name in header:
        if lower.count(name.lower()) > 1:
            raise page.error(f"column {name} is there twice", line, "keep one of the two")
        if name not in constants and _is_like_constant(name, constants):
            problem = f"column {name}: {script} has no constant {name}"
            raise page.error(problem, line, suggest(name, constants))
    if not constants.keys() & set(header):
        problem = f"no column sets a constant of {script}; the columns are {join(header)}"
        raise page.error(problem, line, f"its constants: {join(list(constants))}; {_example(constants)}")


def _is_like_constant(name: str, constants: Mapping[str, object]) -> bool:
    """Written like a constant, or one but for its case (`Depth`): to ignore it would run another experiment."""
    if name.lower() in {"id", "priority", *_WHY} or (name.lower() in _DERIVED and not name.isupper()):
        return False
    return re.fullmatch(r"[A-Z][A-Z0-9_]+(\.\w+)*", name) is not None or upper(name) in constants


def _example(constants: Mapping[str, object]) -> str:
    """What an acceptable table looks like, with two constants of the script at hand."""
    shown = [(name, value) for name, value in constants.items() if type(value) in EXPECTED][:2]
    names, values = "".join(f" {name} |" for name, _ in shown), "".join(f" {value} |" for _, value in shown)
    rows = f"| ID |{names} Priority | Rationale |", "|" + "---|" * (len(shown) + 3), f"| 1A |{values} HIGH | why |"
    return "\n  ".join(["a table looks like this:", *rows])
