"""The experiment table of an issue: a row for each variant, and what its columns do. Pure; errors name the line."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property

from agent.core.errors import BadInput
from agent.core.experiment import BASELINE, Budget, ReadAs, SetConstant, StatedValue, Variant
from agent.core.frozen import frozen
from agent.core.values import EXPECTED, NAMES, PRIORITIES, is_name, number, parse_as, rank
from agent.spec.amounts import parse_budget, readable
from agent.spec.cells import KEEP, Misread, bare, read_cell
from agent.spec.columns import Column, Role, read_column, says_nothing
from agent.spec.markdown import IssueDocument
from agent.spec.names import Unknown, Vocabulary, in_brackets, normal_form

_CONTROLS = {"base", "control", "current", "default", "reference"}  # rows that may be the baseline under another name
_SUMS = {"total", "sum", "mean", "average", "avg", "median", "overall"}  # rows under a table
_SKIP = {"skip", "skipped", "drop", "dropped", "cancelled", "canceled", "excluded"}
_RUN = {"", "todo", "open", "new", "planned", "queued", "pending", "ready", "run", "next", *KEEP}
_ASSIGNED = re.compile(r"""\s*([A-Za-z_][\w. ]*?)\s*=\s*("[^"]*"|'[^']*'|[^,;]+?)\s*(?:[,;]|$)""")


@frozen
class Row:
    """A row of the experiment table: its cells by column, and its line."""

    cells: Mapping[str, str]
    line: int

    def of(self, columns: Sequence[Column], *roles: Role) -> str:
        """Return the text in the columns of these roles."""
        cells = (self.cells.get(column.header, "") for column in columns if column.role in roles)
        return "; ".join(cell for cell in cells if cell)


@frozen
class ExperimentTable:
    """The rows under one header, over the constants that they set. Its methods raise BadInput."""

    page: IssueDocument
    line: int
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    names: Vocabulary
    described: tuple[str, ...] = ()
    _ids: dict[str, Row] = field(default_factory=dict, repr=False)

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """What each column does."""
        columns = tuple(self._column(header) for header in self.header if header)
        for at, column in enumerate(columns):
            self._check_single(column, columns[:at])
        return columns

    def _column(self, header: str) -> Column:
        column = read_column(header, self.names, self.described)
        if isinstance(column, Column):
            return column
        if says_nothing(header, [row.cells.get(header, "") for row in self.rows], KEEP):
            return Column(header, "describe")
        raise self.page.error(column.problem, self.line, column.next_step)

    def _check_single(self, column: Column, before: Sequence[Column]) -> None:
        for other in before:
            same = normal_form(column.header) == normal_form(other.header)
            if same or (
                column.role in ("set", "id", "priority", "check")
                and column.target == other.target
                and column.role == other.role
            ):
                both = (
                    f"column {column.header} is there twice"
                    if same
                    else f"columns {other.header} and {column.header} are one"
                )
                raise self.page.error(both, self.line, "keep one of the two")

    @property
    def lines(self) -> list[int]:
        """The lines of the header and of the rows."""
        return [self.line, *(row.line for row in self.rows)]

    @property
    def ids(self) -> list[str]:
        """The names of the rows, as written."""
        return [row.of(self.columns, "id") for row in self.rows]

    # --- rows ---------------------------------------------------------------------------------------------

    def variants(self) -> list[Variant]:
        """Return a variant for each row but the baseline's."""
        return [self._variant(row) for row in self.variant_rows]

    @cached_property
    def variant_rows(self) -> tuple[Row, ...]:
        """The rows that are variants: distinct names, and none of them the baseline."""
        rows = tuple(row for row in self.rows if not self._is_baseline(row))
        seen: dict[str, Row] = {}
        for row in rows:
            self._check_name(row)
            twin = seen.setdefault(self._id(row).lower(), row)  # case is no difference to some file systems
            if twin is not row:
                problem = f"ID {self._id(row)} is there twice, first at {self.page.where(twin.line)}"
                raise self.page.error(problem, row.line, "rename one of the two rows")
        return rows

    def baseline_stated(self) -> tuple[StatedValue, ...]:
        """Return what the baseline's row states of derived values. Raises BadInput where it has other constants."""
        rows = [row for row in self.rows if self._is_baseline(row)]
        for row in rows:
            for name, value, column in self._settings(row):
                if value != self.names.constants[name]:
                    true = self.names.constants[name]
                    problem = f"row {self._id(row)}, column {column}: the baseline's {name} is {true}, not {value}"
                    raise self.page.error(problem, row.line, f"write {true}, or give the row an ID of its own")
        return tuple(stated for row in rows for stated in self._stated(row))

    def _is_baseline(self, row: Row) -> bool:
        name = normal_form(self._id(row))
        if name != BASELINE and name not in _CONTROLS:
            return False
        if name == BASELINE:
            return True
        cells = [(bare(row.cells.get(c.header, "")), self.names.constants[c.target]) for c in self._setting]
        return all(not cell or read_cell(cell, present) in (None, present) for cell, present in cells)

    def value_of(self, row: Row, name: str) -> object:
        """Return what a row sets a constant to; None where it leaves it as it is."""
        return {target: value for target, value, _ in self._settings(row)}.get(name)

    @property
    def _setting(self) -> list[Column]:
        return [column for column in self.columns if column.role == "set"]

    def _id(self, row: Row) -> str:
        return bare(row.of(self.columns, "id"))

    def _check_name(self, row: Row) -> None:
        name = self._id(row)
        if name.lower() in _SUMS:
            advice = "take the row out of the table, or give the variant a name of its own"
            raise self.page.error(f"row {name} sums others up, and is no variant", row.line, advice)
        if not is_name(name):
            problem = f"{name[:80]!r} cannot be an ID" if name else "a row has no ID"
            raise self.page.error(problem, row.line, NAMES)

    def _variant(self, row: Row) -> Variant:
        edits = tuple(SetConstant(self.names.track.script, name, value) for name, value, _ in self._settings(row))
        names = [edit.name for edit in edits]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise self.page.error(f"row {self._id(row)} sets {twice} twice", row.line, "keep one of the two")
        if not edits:
            raise self.page.error(f"row {self._id(row)} sets no constant", row.line, "set one, or remove the row")
        why = row.of(self.columns, "why")
        return Variant(self._id(row), edits, why=why, stated=self._stated(row), where=self.page.where(row.line))

    # --- cells --------------------------------------------------------------------------------------------

    def _settings(self, row: Row) -> Iterator[tuple[str, int | float | str | bool, str]]:
        """Yield the constants that a row sets: name, value, and the column."""
        for column in self._setting:
            if column.header not in row.cells and not self._is_baseline(row):
                continue  # of another table that was joined with this one
            cell, present = row.cells.get(column.header, ""), self.names.constants[column.target]
            value = None if not cell and self._is_baseline(row) else read_cell(cell, present)
            if isinstance(value, Misread):
                raise self._misfit(row, column.header, value)
            if value is not None:
                yield column.target, value, column.header
        for column in (column for column in self.columns if column.role == "changes"):
            yield from self._assigned(row, column.header)

    def _assigned(self, row: Row, header: str) -> Iterator[tuple[str, int | float | str | bool, str]]:
        """Yield the constants that a cell such as `DEPTH=12, HEAD_LR=0.01` sets."""
        text = bare(row.cells.get(header, ""))
        pairs = _ASSIGNED.findall(text)
        if text in KEEP | {""} | _CONTROLS:
            return
        if _ASSIGNED.sub("", text):
            advice = "write settings such as DEPTH=12, ASPECT_RATIO=32; for a change of code take an issue in prose"
            raise self._misfit(row, header, Misread(f"{text[:80]!r} is no list of settings", advice))
        for name, cell in pairs:
            target = self.names.resolve(name)
            if isinstance(target, Unknown):
                raise self._misfit(row, header, Misread(target.problem, target.next_step))
            value = read_cell(cell, self.names.constants[target])
            if isinstance(value, Misread):
                raise self._misfit(row, header, value)
            if value is not None:
                yield target, value, header

    def _stated(self, row: Row) -> tuple[StatedValue, ...]:
        where = self.page.where(row.line)
        stated = ((column.target, self._claim(row, column)) for column in self.columns if column.role == "check")
        return tuple(StatedValue(name, value, where) for name, value in stated if value is not None)

    def _claim(self, row: Row, column: Column) -> int | None:
        cell = bare(row.cells.get(column.header, ""))
        if not cell or cell in KEEP:
            return None
        value = number(cell)
        if isinstance(value, int) or column.target == "params":  # 50M describes; a whole number is a claim
            return value if isinstance(value, int) else None
        advice = "write a whole number such as 512, or - to leave it unstated"
        raise self._misfit(row, column.header, Misread(f"{cell!r} is not a whole number (int)", advice))

    def _misfit(self, row: Row, header: str, wrong: Misread) -> BadInput:
        return self.page.error(f"row {self._id(row)}, column {header}: {wrong.problem}", row.line, wrong.next_step)

    # --- order, seeds, budgets ----------------------------------------------------------------------------

    def ranks(self) -> list[int]:
        """Return the rank of each variant's priority; a lower one runs earlier."""
        return [self._rank(row) for row in self.variant_rows]

    def _rank(self, row: Row) -> int:
        cell = row.of(self.columns, "priority")
        value = rank("" if cell in KEEP else cell)
        if value is None:
            raise self._misfit(row, "Priority", Misread(f"{cell!r} is no priority", PRIORITIES))
        return value

    def skipped(self) -> dict[str, str]:
        """Return the rows whose status says that they do not run, and why."""
        skipped = {}
        for row in self.variant_rows:
            status = row.of(self.columns, "status")
            word = normal_form(status)
            if word in _SKIP:
                skipped[self._id(row)] = f"its status is {status!r} ({self.page.where(row.line)})"
            elif word not in _RUN or (not word and status not in KEEP | {""}):  # an emoji alone
                advice = "write skip for a row that is not to run, and nothing for one that is"
                raise self._misfit(row, "Status", Misread(f"{status!r} says not whether it is to run", advice))
        return skipped

    def check_seeds(self, seeds: Sequence[int] | None) -> None:
        """Raise BadInput for a column of seeds, unless the settings block has given just those."""
        for column in (column for column in self.columns if column.role == "seed"):
            cells = [(row, bare(row.cells.get(column.header, ""))) for row in self.rows]
            stated = [(row, cell, parse_as(cell, 0)) for row, cell in cells if cell and cell not in KEEP]
            distinct = list(dict.fromkeys(value for _, _, value in stated))
            if stated and (seeds is None or len(distinct) > 1 or not set(distinct) <= set(seeds)):
                count = distinct[0] if len(distinct) == 1 and normal_form(column.header) == "seeds" else None
                listed = range(count) if isinstance(count, int) and count <= 20 else distinct  # 3 seeds, or seed 3
                shown = ", ".join(str(value) for value in listed if value is not None) or "42, 43"
                problem = f"column {column.header}: a variant has no seed of its own, all run on the same ones"
                raise self.page.error(
                    problem, stated[0][0].line, f"take the column out and write in the settings block: seeds: [{shown}]"
                )

    def budget(self) -> tuple[Budget, ReadAs] | None:
        """Return the budget of a run that a column gives, the same to every row."""
        given: list[tuple[Budget, Row, str]] = []
        for column in (column for column in self.columns if column.role == "budget"):
            for row in self.variant_rows:
                cell = bare(row.cells.get(column.header, ""))
                if cell and cell not in KEEP:
                    given.append((self._budget_in(row, column.header, cell), row, column.header))
        if not given:
            return None
        self._check_filled([row for _, row, _ in given], given[0][2])
        for budget, row, header in given:
            if budget != given[0][0]:
                advice = "give all rows the same, or file an issue for each budget: results under two are not compared"
                raise self._misfit(row, header, Misread(f"another budget than {given[0][0]}", advice))
        return given[0][0], self.page.read_as(self.line, given[0][2], f"the budget of a run: {given[0][0]}")

    def _check_filled(self, filled: Sequence[Row], header: str) -> None:
        for row in self.variant_rows:
            if row not in filled:
                advice = "give all rows the same budget, or take the column out and say budget: in the settings block"
                raise self._misfit(row, header, Misread("no budget, and other rows have one", advice))

    def _budget_in(self, row: Row, header: str, cell: str) -> Budget:
        form = normal_form(header)
        counted = "steps" if "step" in form else "tokens" if "token" in form else ""
        unit = " ".join([*in_brackets(header), counted]).strip()
        text = f"{cell} {unit}" if unit and re.fullmatch(r"[0-9][0-9.,_]*\s*[kKMGB]?", cell) else cell
        if not readable(text):
            raise self._misfit(
                row, header, Misread(f"{cell!r} is no budget", "write such as 500 steps, or take the column out")
            )
        return parse_budget(text)

    # --- what was read ------------------------------------------------------------------------------------

    def read_as(self) -> list[ReadAs]:
        """Return what the table and each of its columns was read as."""
        count = len(self.variant_rows)
        reads = [
            self.page.read_as(self.line, f"table with {', '.join(self.header)}", f"{count} variant{'s' * (count != 1)}")
        ]
        reads += [self.page.read_as(self.line, f"column {column.header}", _meaning(column)) for column in self.columns]
        baseline = [row for row in self.rows if self._is_baseline(row)]
        return reads + [
            self.page.read_as(row.line, f"row {self._id(row)}", "the baseline: checked, no variant") for row in baseline
        ]


def _meaning(column: Column) -> str:
    meanings: dict[Role, str] = {
        "id": "names the variants",
        "set": f"sets {column.target}",
        "check": f"states {column.target}: checked, never set",
        "why": "says why: shown with the variant",
        "describe": "describes: not read",
        "priority": "orders the runs",
        "seed": "states the seeds that the settings block gives",
        "budget": "the budget of a run",
        "status": "skip leaves a variant out",
        "changes": "sets the constants that it lists",
        "metric": "a result: not read",
    }
    return meanings[column.role]


def example(names: Vocabulary) -> str:
    """Return what an acceptable table looks like: two constants of the script, and a row that differs from it."""
    shown = [(name, value) for name, value in names.constants.items() if type(value) in EXPECTED][:2]
    first = {"DEPTH": 10}  # of the main track: any other value may make a shape that does not fit
    values = "".join(
        f" {first.get(name, _another(value)) if at == 0 else value} |" for at, (name, value) in enumerate(shown)
    )
    columns = "".join(f" {name} |" for name, _ in shown)
    rows = f"| ID |{columns} Priority | Rationale |", "|" + "---|" * (len(shown) + 3), f"| 1A |{values} HIGH | why |"
    return "\n  ".join(["a table looks like this:", *rows])


def _another(value: object) -> object:
    """Return a value of the same type that differs."""
    if isinstance(value, bool):
        return not value
    return value * 2 if isinstance(value, int | float) and value else f"{value}2" if isinstance(value, str) else 1
