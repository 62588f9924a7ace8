"""What the cells of a table say beside its settings: a note that instructs, a cell without a column. Pure."""

import re
from collections.abc import Iterator

from agent.core.errors import BadInput
from agent.core.values import number
from agent.spec.amounts import AMOUNT
from agent.spec.cells import bare
from agent.spec.layout import cells_of, is_row
from agent.spec.loose import given_values
from agent.spec.names import normal_form
from agent.spec.table import ExperimentTable, Row
from agent.spec.variants import VariantNames

_LEAVES_OUT = re.compile(
    r"\W*(?:skip|skipped|done|drop|dropped|cancelled|already (?:run|done)|do not run|don['\u2019]t run|not run(?:ning)?"
    r"|ignore|exclude|leave out|no need)\b|\W*(?:later|backup|fall-?back|postponed?|deferred|parked|low prio\w*)\W*$"
    r"|.*[,;:.(\u2013\u2014-]\s*(?:please |so |let's |we )?(?:skip|drop|omit)(?: it| this)?\W*$",
    re.IGNORECASE,
)
_TEXT = {
    "remark",
    "remarks",
    "idea",
    "summary",
    "title",
    "name",
    "label",
    "goal",
    "what",
    "phase",
    "group",
    "theme",
    "type",
}
_STATUS = "a note leaves no row out: write skip in a column Status, or skip: in the settings block"
_WAITS = "no row waits for another: say the order under Execution, or file the row as an issue of its own"
# What a note says of when its row runs, on which seeds, for how long: columns and the settings block say that.
_CONDITION = re.compile(
    r"\b(?:only (?:if|when|after|once)|unless|if (?:time|budget|there|we|needed|necessary|possible|the)\b"
    r"|optional(?:ly)?|"
    r"time permitting|maybe|depend(?:s|ing) on|wait(?:s|ing)? for|conditional|pending|on hold|stretch)\b"
    r"|^\W*(?:run |do |try |goes )?(?:this |it )?(?:first|last|at the end)\W*$"
    r"|\b(?:run|do|start|try|queue|needs to run|goes?) (?:(?:this|it|me|that)(?: one| row| variant)? )?(?:first|last"
    r"|next|at the end|before|after)\b",
    re.IGNORECASE,
)
_NAMED_CONDITION = re.compile(
    r"\b(?:if|when|once|after|before|until|unless|provided|should)\s+\x00|\x00\s+(?:first|before this)\b", re.IGNORECASE
)
_SEEDED = re.compile(
    r"\bseeds?\b\W{0,3}(?:(?:to|is|of|no|number|fixed|at)\b\W{0,2})*[0-9]+(?![0-9.])|\b(?:[0-9]+|two|three|four|five) "
    r"(?:\w+ )?(?:seeds?|repeats?|replicates?|repetitions)\b|\b(?:twice|thrice|(?:[0-9]+|two|three|four"
    r"|five) times)\W*$"
    r"|^\W*(?:[0-9]+\s*[x\u00d7]|[x\u00d7]\s*[0-9]+)\W*$",
    re.IGNORECASE,
)
_TIMED = re.compile(
    rf"\W*(?:(?:run|train|trained|runs|for|budget|at|takes?|give it|needs?|with|use|only|longer|time|of|is)\b\W*)*"
    rf"(?P<amount>{AMOUNT})\W*(?:(?:budget|each|runs?|per run|long|of training|only|instead|is enough)\W*)*",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(
    r"\b(?:full|mini)(?: profile| scale)? only\b|\bonly (?:on |at |with )?(?:the )?(?:full|mini)\b"
    r"|^\W*(?:only |run |use |train )*(?:on|with|use)?\s*(?:the )?(?:climbmix|tinystories|stdlib|fineweb\w*"
    r"|\w+ (?:corpus|data ?set))\W*$",
    re.IGNORECASE,
)
_RANKED = re.compile(
    r"\W*(?:P[0-4]|(?:very )?(?:high|low|top|medium|lower|higher|highest|lowest|least|most) (?:priority|prio|urgent)"
    r"|urgent)\W*",
    re.IGNORECASE,
)
_CHANGES = re.compile(
    r"\b(?:raise|lower|set|change|use|increase|decrease|reduce|bump|drop|switch|move|with)\b[^.;]*\b(?:to|at)\s+[0-9.]",
    re.IGNORECASE,
)
_LONGER = re.compile(
    r"\W*(?:(?:give it|run|train|with|for|needs|at)\s+)*(?:double|twice|half|thrice|longer|(?:[0-9.]+|two"
    r"|three) ?(?:x|times))\s+"
    r"(?:the |as (?:much|long) |of the )*(?:time|budget|compute|duration|training(?: time)?)\W*",
    re.IGNORECASE,
)
_INHERITS = re.compile(
    r"\x00\s*(?:\+|and|&|with|x|\u00d7)\s*\x00|\b(?:on top of|stack(?:s|ed)? (?:on|with)|atop|combine[sd]? with"
    r"|together with|in addition to|builds? on|built on|based on|same as|as in|like|plus|from|with|extends?|adds? to"
    r"|inherits?)\s+\x00"
    r"|^\W*\x00\s*(?:\+|plus\b|and\b|with\b|but\b)",
    re.IGNORECASE,
)
_WINNER = re.compile(
    r"\b(?:on|of|from|with|to|use|using)\s+(?:the\s+)?(?:\w+ )?(?:winner|winning|best)\b(?: (?:of|from|in|shape"
    r"|variant|config\w*|row|one|phase|depth|width|above)\b|\W*$)",
    re.IGNORECASE,
)


def check_remarks(table: ExperimentTable, names: VariantNames) -> None:
    """Raise BadInput for a cell that says of its row what the row does not do; `names` are all variants' IDs."""
    for row in table.rows:
        _check_width(table, row)
        for header, cell in _notes(table, row):
            if _LEAVES_OUT.match(cell):
                raise _refused(table, row, header, f": {cell[:60]!r}", _STATUS)
            if _is_text(table, header):
                _check_note(table, row, header, cell)
                _check_values(table, row, header, cell)
                _check_others(table, row, header, cell, names)


def _is_text(table: ExperimentTable, header: str) -> bool:
    """Return whether a column holds remarks, which may instruct, and no estimate or owner."""
    form = normal_form(header)
    why = any(column.role == "why" for column in table.columns if column.header == header)
    return (why or form in _TEXT) and form not in map(normal_form, table.described)


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
    """Raise BadInput for a remark that says when its row runs, on which seeds, or for how long."""
    amount = _TIMED.fullmatch(cell)
    rules = (
        (_CONDITION.search(cell), _WAITS),
        (_ELSEWHERE.search(cell), "the command line says profile and corpus, for all variants: leave the note out"),
        (_CHANGES.search(cell), "a note sets nothing: give the constant a column, or leave the note out"),
        (_RANKED.fullmatch(cell), "a note orders nothing: write a column Priority"),
        (_SEEDED.search(cell), "all variants run on the same seeds: write seeds: [42, 43] in the settings block"),
        (
            _LONGER.fullmatch(cell) or (amount and not _is_few(amount["amount"])),
            "all variants have one budget: write a column Budget, or budget: in the settings block",
        ),
    )
    for wrong, advice in rules:
        if wrong:
            raise _refused(table, row, header, f": {cell[:60]!r} is not read", advice)


def _check_values(table: ExperimentTable, row: Row, header: str, cell: str) -> None:
    """Raise BadInput for a remark that gives a constant a value other than the row's and the baseline's."""
    for name, values in given_values(cell, table.names, near=False):
        target = table.names.resolve(name)
        if not isinstance(target, str):
            continue
        given, present = table.value_of(row, target), table.names.constants[target]
        changed, known = given not in (None, present), {present, given} - {None}
        if not all(value in known or number(value) in known if value else changed for value in values):
            problem = f" says {name}={','.join(values)}, and the row does not set it"
            raise _refused(table, row, header, problem, f"give {name} a column, or leave the note's value out")


def _is_few(amount: str) -> bool:
    """Return whether an amount is of some tokens, such as a window has."""
    return amount.rstrip().casefold().endswith(("tokens", "token", "tok")) and not re.search(
        r"[0-9]\s*[kmgb]", amount, re.I
    )


def _check_others(table: ExperimentTable, row: Row, header: str, cell: str, names: VariantNames) -> None:
    """Raise BadInput for a note that puts its row after another one, or on top of it."""
    text, others = cell, list[str]()
    for at, word in reversed(names.mentions(cell)):
        if name := names.name(word):
            text, others = f"{text[:at]}\x00{text[at + len(word) :]}", [name, *others]
    if _NAMED_CONDITION.search(text):
        raise _refused(table, row, header, f": {cell[:60]!r} is not read", _WAITS)
    if _INHERITS.search(text) and (lacks := _lacking(table, row, others)):
        advice = f"give the row all that {others[0]} sets, or leave the note out"
        raise _refused(table, row, header, f" says {cell[:60]!r}, and the row does not set {lacks}", advice)
    if _WINNER.search(text):
        advice = "every row starts from the baseline: file the row as an issue of its own that says: after #3"
        raise _refused(table, row, header, f": {cell[:60]!r} is not read", advice)


def _lacking(table: ExperimentTable, row: Row, others: list[str]) -> str:
    """Return a constant that one of the other rows sets and this one leaves as it is; empty where there is none."""
    rows = [one for one in table.rows if bare(one.of(table.columns, "id")).lower() in map(str.lower, others)]
    for column in table.columns:
        if column.role == "set" and table.value_of(row, column.target) in (None, table.names.constants[column.target]):
            for one in rows:
                if table.value_of(one, column.target) not in (None, table.names.constants[column.target]):
                    return column.target
    return ""


def _refused(table: ExperimentTable, row: Row, header: str, problem: str, advice: str) -> BadInput:
    what = f"row {bare(row.of(table.columns, 'id'))}, column {header}"
    return table.page.error(f"{what}{problem}", row.line, advice)
