"""What the cells of a table say beside its settings: a note that instructs, a cell without a column. Pure."""

import re
from collections.abc import Iterator

from agent.core.values import number
from agent.spec.cells import bare
from agent.spec.layout import cells_of, is_row
from agent.spec.table import ExperimentTable, Row

_ASSIGNED = re.compile(r"([A-Za-z_][\w.]*)\s*=\s*(-?[0-9][0-9.]*(?:e-?[0-9]+)?)(?![\w.])", re.IGNORECASE)
_LEAVES_OUT = re.compile(
    r"\W*(?:skip|skipped|done|drop|dropped|cancelled|already (?:run|done)|do not run|don['\u2019]t run)\b",
    re.IGNORECASE,
)


def check_remarks(table: ExperimentTable) -> None:
    """Raise BadInput for a cell that says of its row what the row does not do."""
    for row in table.rows:
        _check_width(table, row)
        for header, cell in _notes(table, row):
            _check_note(table, row, header, cell)


def _check_width(table: ExperimentTable, row: Row) -> None:
    """Raise BadInput for a row that has more cells than there are columns: Markdown drops them."""
    text = table.page.lines[row.line]
    extra = cells_of(text)[len(table.header) :] if is_row(text) else []
    if any(extra):
        problem = f"a row has {len(table.header) + len(extra)} cells, and there are {len(table.header)} columns"
        raise table.page.error(problem, row.line, "give each cell a column; a pipe within a cell is written \\|")


def _notes(table: ExperimentTable, row: Row) -> Iterator[tuple[str, str]]:
    for column in table.columns:
        if column.role in ("why", "describe"):
            yield column.header, row.cells.get(column.header, "")


def _check_note(table: ExperimentTable, row: Row, header: str, cell: str) -> None:
    what = f"row {bare(row.of(table.columns, 'id'))}, column {header}"
    if _LEAVES_OUT.match(cell):
        advice = "a note leaves no row out: write skip in a column Status, or skip: in the settings block"
        raise table.page.error(f"{what}: {cell[:60]!r}", row.line, advice)
    for name, value in _ASSIGNED.findall(cell):
        target = table.names.resolve(name) if table.names.knows(name) else None
        if isinstance(target, str) and number(value) not in (
            table.value_of(row, target),
            table.names.constants[target],
        ):
            advice = f"give {target} a column, or leave the note's value out"
            raise table.page.error(f"{what} says {name}={value}, and the row does not set it", row.line, advice)
