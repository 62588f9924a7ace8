"""Which tables of an issue are its experiments, joined where they are one; what is like a table and is none. Pure."""

import re
from collections.abc import Sequence

from agent.core.errors import BadInput
from agent.core.experiment import Constant, ReadAs
from agent.core.values import is_name, join
from agent.spec.cells import KEEP, Misread, bare, read_cell
from agent.spec.columns import Column, read_column
from agent.spec.layout import cells_of, is_id, is_row, is_ruler
from agent.spec.markdown import IssueDocument, Table
from agent.spec.names import Unknown, Vocabulary, normal_form
from agent.spec.remarks import check_remarks
from agent.spec.settings import KEYS, SAY_IT, Settings
from agent.spec.table import ExperimentTable, Row, example
from agent.spec.variants import VariantNames

_EXPERIMENTS = re.compile(
    r"\b(?:experiments?|variants?|runs?|trials?|phase|stage|sweep|ablations?|grid)\b", re.IGNORECASE
)
_PAST = (
    "background",
    "previous",
    "prior",
    "earlier",
    "related",
    "history",
    "appendix",
    "results",
    "baseline",
    "context",
    *("future", "next step", "follow-up", "follow up", "rejected", "discarded", "failed", "deferred", "postponed"),
    *("backlog", "later", "not now", "ideas for later", "won't", "do not run", "don't run", "parked", "dropped"),
    *("what we tried", "tried", "already", "done", "out of scope", "not to run", "skipped", "past"),
)
_DESCRIBED = re.compile(  # a column of a table without IDs that tells of constants, and sets none
    r"\b(?:baseline|upstream|defaults?|current|old|before|theirs|range|min|max|meaning|what|description|units?|type|effect|notes?)\b",
    re.IGNORECASE,
)
_ENDED = re.compile(  # what stands in a column of results where no number does
    r"\b(?:fail\w*|crash\w*|diverge\w*|nan|inf|oom|out of memory|timed? ?out|error|killed|aborted|won|wins?|lost"
    r"|loses|keep"
    r"|kept|discard\w*|better|worse|improved|regress\w*|adopted|rejected|inconclusive|done|ok|success\w*|same"
    r"|no gain)\b"
    r"|[\u2705\u274c\u2714\u2718\u2713\u2717]",
    re.IGNORECASE,
)


def find_tables(
    page: IssueDocument, names: Vocabulary, settings: Settings, reads: list[ReadAs]
) -> list[ExperimentTable]:
    """Return the tables whose rows are variants, each with an own set of IDs; none where there is none.

    Raises BadInput where it cannot be told which are meant. What is passed over is told in `reads`.
    """
    with_id = [table for table in page.tables if any(map(is_id, table.header)) and len(table.rows) > 1]
    if settings.tables:
        chosen = [table for key in settings.tables for table in _named(page, with_id, key, settings)]
    else:
        chosen = _chosen(page, with_id, names, reads)
    for table in page.tables:
        if table not in chosen and not any(read.line == page.number(table.line) for read in reads):
            reads.append(
                page.read_as(table.line, f"table with {join(table.header)}", "not read: no table of experiments")
            )
    _check_described(page, chosen, settings)
    return _joined(page, [_experiment(page, table, names, settings) for table in chosen])


def _check_described(page: IssueDocument, tables: Sequence[Table], settings: Settings) -> None:
    """Raise BadInput where `describe:` names what is no column: the one that it is meant for would be read."""
    headers = [header for table in tables for header in table.header]
    for name in settings.describe:
        if tables and normal_form(name) not in map(normal_form, headers):
            raise page.error(f"describe: {name!r} is no column", settings.line("describe"), f"columns: {join(headers)}")


def _experiment(page: IssueDocument, table: Table, names: Vocabulary, settings: Settings) -> ExperimentTable:
    rows = tuple(Row(dict(zip(table.header, cells, strict=False)), at) for at, cells in table.rows[1:])
    return ExperimentTable(page, table.line, tuple(table.header), rows, names, settings.describe)


def _named(page: IssueDocument, tables: Sequence[Table], key: int | str, settings: Settings) -> list[Table]:
    """Return the tables that `table:` names, by number from 1 or by a heading above them."""
    if isinstance(key, int):
        named = list(tables[key - 1 : key]) if key > 0 else []
    else:
        named = [table for table in tables if normal_form(key) in map(normal_form, table.headings)]
    if not named:
        raise page.error(f"table: {key!r} is no table with an ID column", settings.line("table"), _list(page, tables))
    return named


def _list(page: IssueDocument, tables: Sequence[Table]) -> str:
    shown = (
        f"{at} ({page.where(table.line)}, {' > '.join(table.headings) or 'no heading'})"
        for at, table in enumerate(tables, 1)
    )
    return f"tables with an ID column: {join(list(shown))}"


def _chosen(page: IssueDocument, tables: Sequence[Table], names: Vocabulary, reads: list[ReadAs]) -> list[Table]:
    """Return the tables of experiments: those without results, and of these those under Experiments where some are."""
    results = [table for table in tables if _has_results(table, names)]
    open_ones = [table for table in tables if table not in results]
    if not open_ones and results:
        problem = "the only table with an ID column has results in it"
        raise page.error(
            problem, results[0].line, "leave the results' column empty, or say in the settings block: table: 1"
        )
    reads += [
        page.read_as(table.line, f"table with {join(table.header)}", "not read: it has results") for table in results
    ]
    under = [table for table in open_ones if any(_EXPERIMENTS.search(heading) for heading in table.headings)]
    past = [table for table in open_ones if _is_past(table)]
    others = [table for table in open_ones if table not in under and table not in past]
    if under and others:
        raise page.error(
            "it cannot be told which tables are meant",
            others[0].line,
            f"say table: [1, ...] in the settings block; {_list(page, tables)}",
        )
    chosen = [table for table in under if table not in past] or others or past
    left = [table for table in open_ones if table not in chosen]
    reads += [
        page.read_as(table.line, f"table with {join(table.header)}", f"not read: it stands under {table.headings[-1]}")
        for table in left
    ]
    return chosen


def _is_past(table: Table) -> bool:
    return any(heading.casefold().startswith(_PAST) for heading in table.headings)


def _has_results(table: Table, names: Vocabulary) -> bool:
    """Return whether a column of the metric has numbers in it, or what else a run ends in."""
    for at, header in enumerate(table.header):
        column = read_column(header, names)
        if not isinstance(column, Unknown) and column.role == "metric":
            cells = [bare(cells[at]) for _, cells in table.rows[1:] if at < len(cells)]
            if any(cell not in KEEP and (re.search(r"\d", cell) or _ENDED.search(cell)) for cell in cells):
                return True
    return False


def _joined(page: IssueDocument, tables: Sequence[ExperimentTable]) -> list[ExperimentTable]:
    """Return the tables, those that have the same IDs as one."""
    joined: list[ExperimentTable] = []
    for table in tables:
        _ = table.columns
        same = next((one for one in joined if _ids(one) & _ids(table)), None)
        if same is None:
            joined.append(table)
        elif _ids(same) != _ids(table):
            some = ", ".join(sorted(_ids(same) & _ids(table))).upper()
            problem = f"two tables share {some}, and each has rows that the other lacks"
            raise page.error(
                problem, table.line, "give both the same IDs, or choose one in the settings block: table: 1"
            )
        else:
            joined[joined.index(same)] = _union(page, same, table)
    return joined


def _ids(table: ExperimentTable) -> set[str]:
    return {bare(name).lower() for name in table.ids}


def _union(page: IssueDocument, first: ExperimentTable, second: ExperimentTable) -> ExperimentTable:
    """Return one table of two that have the same IDs. Raises BadInput where a cell differs."""
    rows = []
    others = {bare(row.of(second.columns, "id")).lower(): row for row in second.rows}
    for row in first.rows:
        other = others[bare(row.of(first.columns, "id")).lower()]
        for header in (column.header for column in second.columns if column.role != "id"):
            mine = row.cells.get(header)
            if mine is not None and mine != other.cells.get(header, mine):
                what = f"row {row.of(first.columns, 'id')}, column {header}"
                problem = f"{what}: {mine!r} at {page.where(row.line)} and {other.cells[header]!r} here"
                raise page.error(problem, other.line, "keep one of the two")
        own = {column.header for column in second.columns if column.role == "id"}
        rows.append(Row({**{k: v for k, v in other.cells.items() if k not in own}, **row.cells}, row.line))
    new = [column.header for column in second.columns if column.role != "id" and column.header not in first.header]
    return ExperimentTable(page, first.line, (*first.header, *new), tuple(rows), first.names, first.described)


# --- what is like a table ---------------------------------------------------------------------------------


def check_tables(page: IssueDocument, names: Vocabulary, tables: Sequence[ExperimentTable]) -> None:
    """Raise BadInput where a table has no rows, sets nothing, or is left in a form that is not read."""
    for table in tables:
        if not any(column.role in ("set", "changes") for column in table.columns):
            problem = f"no column sets a constant of {names.track.script}; the columns are {join(table.header)}"
            raise page.error(problem, table.line, f"its constants: {join(list(names.constants))}; {example(names)}")
        check_remarks(table, VariantNames(tuple(bare(name) for one in tables for name in one.ids)))
    check_leftovers(page, names)


def missing_table(page: IssueDocument, names: Vocabulary) -> BadInput:
    """Return why an issue that needs a table has none."""
    headed = next((table for table in page.tables if any(map(is_id, table.header))), None)
    if headed is not None:
        return page.error("the experiment table has no rows", headed.line, example(names))
    if page.tables:
        header = page.tables[0].header
        return page.error(
            f"no table has an ID column; this one has {join(header)}", page.tables[0].line, example(names)
        )
    return page.error("there is no table of experiments", like_a_table(page, names), example(names))


def check_leftovers(page: IssueDocument, names: Vocabulary) -> None:
    """Raise BadInput for a row that belongs to no table."""
    for prose in page.prose:
        for at in range(*prose.lines):
            if at < len(page.lines) and _is_left(page.lines[at]):
                problem = f"{page.lines[at].strip()[:80]!r} belongs to no table that is read"
                raise page.error(
                    problem, at, f"put it right below the table's rows, with a ruler under the header; {example(names)}"
                )


def _is_left(line: str) -> bool:
    """Return whether a line of prose is a row between pipes, or one between tabs that begins with a name."""
    name, *others = line.strip().split("\t")
    return (is_row(line) and len(cells_of(line)) > 1) or (bool(others) and is_name(bare(name)) and any(others))


def like_a_table(page: IssueDocument, names: Vocabulary) -> int | None:
    """Return the first line that looks like a part of a table, in code, HTML and LaTeX too; None where none does."""
    above = False
    for at, line in enumerate(page.lines):
        if is_ruler(line) or is_row(line) or re.search(r"<t(?:able|r|d|h)\b", line, re.IGNORECASE):
            return at
        if re.search(r"\\begin\{(?:tabular|table|array|longtable|matrix)", line) or re.search(
            r"&.*\\\\\s*(?:\\hline)?\s*$", line
        ):
            return at
        if (row := _is_bare_row(line)) and above:
            return at - 1
        above = row or (above and not line.strip())
        fields = [field.strip() for field in re.split(r"[|,;\t]|\s{2,}", line) if field.strip()]
        if len(fields) > 1 and any(map(is_id, fields)) and any(names.knows(field) for field in fields):
            return at
        first, *others = line.split() or [""]
        if is_id(first) and others and all(names.knows(word) for word in others):
            return at
    return None


def _is_bare_row(line: str) -> bool:
    """Return whether a line is a name such as 1A and then numbers alone: a row of a table without bars."""
    name, *cells = re.split(r"[\s,;|:&]+", re.sub(r"^\s*(?:[-*+\u2022]\s+)?|[\s.]+$", "", line)) or [""]
    named = re.fullmatch(r"[`*(]*(?:[0-9]{1,3}[A-Za-z]|[A-Za-z]{1,4}[-_]?[0-9]{1,3}|[A-Z])[`*).]*", name)
    values = [cell for cell in cells if not re.fullmatch(r"[-=x\u00d7/]*", cell)]
    return bool(named and values) and all(
        re.fullmatch(r"[`*]*-?[0-9][0-9.]*(?:e-?[0-9]+)?[`*]*", cell) for cell in values
    )


def check_unread(page: IssueDocument, names: Vocabulary, chosen: Sequence[int]) -> None:
    """Raise BadInput for a table that is not read and gives a constant a value, or a key of the settings block.

    `chosen` has the lines of the tables that are read. Tables of results, and those under headings such as Background,
    tell what was.
    """
    for table in page.tables:
        if table.line in chosen or _is_past(table) or _has_results(table, names):
            continue
        if not any(map(is_id, table.header)):
            _check_listed(page, table, names)


def _check_listed(page: IssueDocument, table: Table, names: Vocabulary) -> None:
    """Raise BadInput where a table without IDs lists settings, by row or by column."""
    across = [
        (line, header, cell)
        for line, cells in table.rows[1:]
        for header, cell in zip(table.header, cells, strict=False)
    ]
    value_column = len(table.header) > 1 and not _DESCRIBED.search(table.header[1])
    down = [(line, cells[0], cells[1]) for line, cells in table.rows[1:] if len(cells) > 1 and value_column]
    for line, name, cell in [*across, *down]:
        if normal_form(name) in map(normal_form, KEYS) and re.search(r"\d|lowest|confirmed|full|mini", cell):
            raise page.error(f"a table gives {name} {cell[:40]!r}, and it is not read", line, SAY_IT)
        if names.knows(name) and _is_value(cell, names.resolve(name), names):
            problem = f"a table gives {name} {cell[:40]!r}, and it has no column ID: it is not read"
            raise page.error(problem, line, f"give {name} a column in the table of variants; {example(names)}")


def _is_value(cell: str, target: str | Unknown, names: Vocabulary) -> bool:
    """Return whether a cell gives a constant a value other than the baseline's; words describe a number."""
    if isinstance(target, Unknown):
        return False
    present = names.constants[target]
    value = read_cell(cell, present)
    if isinstance(value, Misread):
        return not isinstance(present, str) and re.match(r"\W*[x\u00d7]?[0-9.]", cell) is not None
    return value not in (None, present)


def understood_values(page: IssueDocument, names: Vocabulary) -> dict[str, dict[str, Constant]]:
    """Return the values that tables with IDs give, by row and constant; cells and columns that cannot be read are not.

    Tables with results are left out: they tell what was.
    """
    values: dict[str, dict[str, Constant]] = {}
    for table in page.tables:
        header = [read_column(cell, names) for cell in table.header]
        at = next((at for at, column in enumerate(header) if isinstance(column, Column) and column.role == "id"), None)
        if at is None or _has_results(table, names):
            continue
        for _, cells in table.rows[1:]:
            if len(cells) > at and is_name(bare(cells[at])):
                values.setdefault(bare(cells[at]), {}).update(_readable(header, cells, names))
    return values


def _readable(header: Sequence[Column | Unknown], cells: Sequence[str], names: Vocabulary) -> dict[str, Constant]:
    """Return the constants that a row sets, as far as they can be read."""
    values: dict[str, Constant] = {}
    for column, cell in zip(header, cells, strict=False):
        if isinstance(column, Column) and column.role == "set":
            value = read_cell(cell, names.constants[column.target])
            if value is not None and not isinstance(value, Misread):
                values[column.target] = value
    return values
