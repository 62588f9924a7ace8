"""The experiment table of an issue: a column for each constant, a row for each variant. Pure; errors name the line."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.core.errors import BadInput
from agent.core.experiment import Constant, SetConstant, StatedValue, Track, Variant
from agent.core.values import EXPECTED, NAMES, PRIORITY_RANK, is_name, join, number, parse_as, suggest, upper
from agent.spec.markdown import IssueDocument

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


@dataclass(frozen=True)
class _Row:
    """A row of the experiment table: its cells by column."""

    cells: Mapping[str, str]
    line: int

    def cell(self, *names: str) -> str:
        """Return the text in the columns of these names (lower case)."""
        return "; ".join(cell for name, cell in self.cells.items() if name.lower() in names and cell)


@dataclass(frozen=True)
class ExperimentTable:
    """The experiment table, over the script and the constants that it sets. Its methods raise BadInput."""

    page: IssueDocument
    rows: tuple[_Row, ...]
    script: str
    constants: Mapping[str, object]

    def variants(self) -> list[Variant]:
        """Return a variant for each row."""
        seen: dict[str, _Row] = {}
        for row in self.rows:
            self._check_name(row)
            twin = seen.setdefault(row.cell("id").lower(), row)  # case is no difference to some file systems
            if twin is not row:
                problem = f"ID {row.cell('id')} is there twice, first at {self.page.where(twin.line)}"
                raise self.page.error(problem, row.line, "rename one of the two rows")
        return [self._variant(row) for row in self.rows]

    def ranks(self) -> list[int]:
        """Return the rank of each row's Priority; a lower one runs earlier."""
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
        cell = row.cell("priority")
        rank = PRIORITY_RANK.get("" if cell in _KEEP else cell.upper())
        if rank is None:
            problem = f"row {row.cell('id')}, column Priority: {cell!r} is no priority"
            raise self.page.error(problem, row.line, "write HIGH, MEDIUM or LOW (or P0 to P3)")
        return rank


def find_table(
    page: IssueDocument, track: Track, constants: Mapping[str, object], *, required: bool
) -> ExperimentTable | None:
    """Return the first table with an ID column, its header checked; None only where none is `required`."""
    tables = [table for table in page.tables if "id" in (cell.lower() for cell in table[0][1])]
    if not tables and not required:
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
    return ExperimentTable(page, rows, track.script, constants)


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
    """Return whether a column looks like a constant (`Depth`): to ignore it would run another experiment."""
    if name.lower() in {"id", "priority", *_WHY} or (name.lower() in _DERIVED and not name.isupper()):
        return False
    return re.fullmatch(r"[A-Z][A-Z0-9_]+(\.\w+)*", name) is not None or upper(name) in constants


def _example(constants: Mapping[str, object]) -> str:
    """Return what an acceptable table looks like, with two constants of the script at hand."""
    shown = [(name, value) for name, value in constants.items() if type(value) in EXPECTED][:2]
    names, values = "".join(f" {name} |" for name, _ in shown), "".join(f" {value} |" for _, value in shown)
    rows = f"| ID |{names} Priority | Rationale |", "|" + "---|" * (len(shown) + 3), f"| 1A |{values} HIGH | why |"
    return "\n  ".join(["a table looks like this:", *rows])
