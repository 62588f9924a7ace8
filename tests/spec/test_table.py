"""The experiment table: one row for each error, and tables of every layout."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.errors import BadInput
from agent.core.experiment import SetConstant, StatedValue, Variant
from agent.spec import parser
from tests.spec.test_parser import CONSTANTS, TABLE, TRACK, issue, parse, refusal


def row(
    cells: str, header: str = "ID | DEPTH | ASPECT_RATIO | LR | COMPILE | WINDOW | BETAS | model_dim | Priority"
) -> str:
    return f"Text.\n\n| {header} |\n{'|---' * (header.count('|') + 1)}|\n{cells}\n"


BAD_TABLES = [
    ("", "no table of experiments", "i.md", "| ID | DEPTH | ASPECT_RATIO | Priority | Rationale |\n"),
    ("```\n" + TABLE + "```", "no table of experiments", "i.md:2", "  | 1A | 10 | 64 | HIGH | why |"),
    ("<!--\n" + TABLE + "-->", "no table of experiments", "i.md", "|---|---|---|---|---|"),
    ("<div>\n" + TABLE + "</div>", "no table of experiments", "i.md:2", "a table looks like this"),
    (
        "\n| Name | DEPTH |\n|-|-|\n| 1A | 6 |",
        "no table has an ID column; this one has Name, DEPTH",
        "i.md:2",
        "| ID |",
    ),
    ("\n\n| ID | DEPTH |\n|-|-|\n", "the experiment table has no rows", "i.md:3", "| ID | DEPTH |"),
    (
        "| ID | Why |\n|-|-|\n| 1A | x |",
        "no column sets a constant of train.py; the columns are ID, Why",
        "i.md:1",
        "DEPTH",
    ),
    ("| ID | DEPTH | DEPTH |\n|-|-|-|\n| 1A | 1 | 2 |", "column DEPTH is there twice", "i.md:1", "keep one"),
    (
        "| ID | DEPHT |\n|-|-|\n| 1A | 6 |",
        "column DEPHT: train.py has no constant DEPHT",
        "i.md:1",
        "did you mean DEPTH?",
    ),
    (
        "| ID | QQ |\n|-|-|\n| 1A | 6 |",
        "train.py has no constant QQ",
        "i.md:1",
        "its constants: DEPTH, ASPECT_RATIO, HEAD",
    ),
    (
        "| ID | DEPTH | MODEL_DIM |\n|-|-|-|\n| 1A | 6 | 1 |",
        "train.py has no constant MODEL_DIM",
        "i.md:1",
        "constants",
    ),
    (
        row("| 1A | six |"),
        "row 1A, column DEPTH: 'six' is not a whole number (int)",
        "i.md:5",
        "such as 8, or - to keep 8",
    ),
    (
        row("| 1A | 6.5 |"),
        "row 1A, column DEPTH: '6.5' is not a whole number (int)",
        "i.md:5",
        "whole number such as 8",
    ),
    (row("| 1A | 6 |"), "row 1A, column ASPECT_RATIO: '' is not a whole number (int)", "i.md:5", "or - to keep 64"),
    (row("| 1A | 1,0 |"), "column DEPTH: '1,0' is not", "i.md:5", "as 1,024 has"),
    (row("| 1A | ६ |"), "column DEPTH: '६' is not", "i.md:5", "a whole number"),
    (row("| 1A | - | - | fast |"), "row 1A, column LR: 'fast' is not a number (float)", "i.md:5", "such as 0.04"),
    (row("| 1A | - | - | nan |"), "row 1A, column LR: 'nan' is not a number (float)", "i.md:5", "such as 0.04"),
    (row("| 1A | - | - | 1e999 |"), "row 1A, column LR: '1e999' is not a number (float)", "i.md:5", "such as 0.04"),
    (
        row("| 1A | - | - | - | 1 |"),
        "row 1A, column COMPILE: '1' is not true or false (bool)",
        "i.md:5",
        "such as True",
    ),
    (row("| 1A | - | - | - | - | |"), "row 1A, column WINDOW: '' is not text (str)", "i.md:5", "such as SSSL"),
    (row("| 1A | - | - | - | - | - | 1 |"), "column BETAS: it sets a tuple", "i.md:5", "int, float, str and bool"),
    (row("| 1A | - | - | - | - | - | - | | |"), "row 1A sets no constant", "i.md:5", "set one, or remove the row"),
    (
        row("| 1A | 6 | - | - | - | - | - | wide | |"),
        "row 1A, column model_dim: 'wide' is not a whole",
        "i.md:5",
        "unstated",
    ),
    (
        row("| 1A | 6 | - | - | - | - | - | 768 | SOON |"),
        "row 1A, column Priority: 'SOON'",
        "i.md:5",
        "HIGH, MEDIUM or LOW",
    ),
    (TABLE + "| 1B | 6 |", "ID 1B is there twice, first at i.md:4", "i.md:7", "rename one"),
    (TABLE + "| 1b | 6 |", "ID 1b is there twice, first at i.md:4", "i.md:7", "rename one"),
    (TABLE + "| | 6 |", "a row has no ID", "i.md:7", "an ID is like 1A"),
    *(
        (TABLE + f"| {name} | 6 |", "cannot be an ID", "i.md:7", "letters, digits and . _ -")
        for name in (
            "a b",
            "-a",
            ".a",
            "a..b",
            "a.",
            "a.lock",
            "A.LOCK",
            "a/b",
            "é",
            "x" * 65,
            "~~1E~~",
        )
    ),
]


@pytest.mark.parametrize(("body", "problem", "where", "next_step"), BAD_TABLES)
def test_a_table_that_cannot_be_run_is_refused_with_row_column_and_line(
    body: str, problem: str, where: str, next_step: str
) -> None:
    error = refusal(issue(body))
    assert problem in error.problem
    assert error.where == where
    assert next_step in error.next_step


def test_without_a_source_the_line_is_counted_in_the_issue() -> None:
    assert refusal(replace(issue(TABLE + "| | 6 |"), source="")).where == "issue #7, line 7"


def test_the_line_is_that_of_the_file_when_the_body_begins_further_down() -> None:
    assert refusal(replace(issue(TABLE + "| | 6 |"), first_line=10)).where == "i.md:16"


def test_a_cell_becomes_a_value_of_the_type_of_its_constant() -> None:
    variant = parse(row("| 1A | `1,024` | 2**10 | 3 | FALSE | **LLLS** | — | **1,536** | |")).variants[0]
    assert [(edit.name, edit.value) for edit in variant.edits if isinstance(edit, SetConstant)] == [
        ("DEPTH", 1024), ("ASPECT_RATIO", 1024), ("LR", 3.0), ("COMPILE", False), ("WINDOW", "LLLS")
    ]  # fmt: skip
    assert type(variant.edits[2].value) is float  # type: ignore[union-attr]
    assert variant.stated == (StatedValue("model_dim", 1536, "i.md:5"),)


@pytest.mark.parametrize(
    ("cell", "value"), [("-3", -3), ("\N{MINUS SIGN}3", -3), ("524_288", 524288), ("10^2", 100), (" 7 ", 7)]
)
def test_a_whole_number_may_be_written_as_people_write_it(cell: str, value: int) -> None:
    assert parse(f"| ID | DEPTH |\n|-|-|\n| 1A | {cell} |").variants[0].edits == (
        SetConstant("train.py", "DEPTH", value),
    )


@pytest.mark.parametrize("cell", ["3e-4", ".0003", "3.0E-04", "0.0003"])
def test_a_number_may_be_written_as_people_write_it(cell: str) -> None:
    assert parse(f"| ID | LR |\n|-|-|\n| 1A | {cell} |").variants[0].edits == (SetConstant("train.py", "LR", 3e-4),)


def test_a_column_may_name_a_value_in_a_dict() -> None:
    constants = {**CONSTANTS, "TUNED.mini.total_batch": 1024}
    table = "| ID | TUNED.mini.total_batch |\n|---|---|\n| 1A | 2**11 |"
    (variant,) = parser.parse(issue(table), TRACK, constants).variants
    assert variant.edits == (SetConstant("train.py", "TUNED.mini.total_batch", 2048),)
    with pytest.raises(BadInput, match=r"did you mean TUNED\.mini\.total_batch"):
        parser.parse(issue(table.replace("total_batch", "total_bach")), TRACK, constants)


def test_columns_that_are_no_constant_describe_or_state() -> None:
    header = "id|DEPTH|heads|params|head_dim|Owner|WHY|Notes|PRIORITY\n:-|-|-|-|-|-|-|-:|-"
    body = f"{header}\n`x-1`|6|6|~50M|128|me|a \\| <b>`b`</b><!-- d -->|*c*|low"
    variant = parse(body).variants[0]
    assert variant.name == "x-1"
    assert variant.why == "a | b; c"
    assert [(stated.column, stated.value) for stated in variant.stated] == [("n_head", 6)]
    assert variant.edits == (SetConstant("train.py", "DEPTH", 6), SetConstant("train.py", "HEAD_DIM", 128))


def test_the_first_table_with_an_id_column_is_the_experiment() -> None:
    assert parse(f"| a | b |\n|-|-|\n| 1 | 2 |\n\n{TABLE}\n| ID | result |\n|-|-|\n| 9Z | 3 |").order == (
        "1A",
        "1B",
        "1C",
        "1D",
    )


# --- properties -------------------------------------------------------------------------------------------

ids = st.from_regex(r"[1-9][A-F][1-9]?", fullmatch=True)
values: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "DEPTH": st.integers(-(10**9), 10**9),
        "LR": st.floats(allow_nan=False, allow_infinity=False),
        "COMPILE": st.booleans(),
        "WINDOW": st.from_regex(r"[SL]{1,8}", fullmatch=True),
        "Priority": st.sampled_from(["HIGH", "Medium", "low", "P0", ""]),
        "Rationale": st.from_regex(r"[a-zé ,.|—]{0,20}", fullmatch=True).map(lambda text: " ".join(text.split())),
    }
)
RANK = {"P0": 0, "HIGH": 1, "Medium": 2, "low": 3, "": 4}


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, tuple[Variant, ...]]:
    """A table of random rows, column order and layout, and the variants it must give."""
    names = draw(st.lists(ids, min_size=1, max_size=6, unique=True))
    rows = [draw(values) for _ in names]
    columns = draw(st.permutations(["ID", *rows[0]]))
    texts = [columns, [draw(st.sampled_from(["---", ":-", "-:", ":---:"])) for _ in columns]]
    texts += [
        [_shown(draw, name if column == "ID" else cells[column]) for column in columns]
        for name, cells in zip(names, rows, strict=True)
    ]
    pad, end = draw(st.sampled_from(["", " ", "   "])), draw(st.sampled_from(["\n", "\r\n", "  \n"]))
    lines = ["|" + "|".join(f"{pad}{text}{pad}" for text in line) + "|" for line in texts]
    before = draw(st.integers(0, 3))
    variants = [
        Variant(
            name,
            tuple(SetConstant("train.py", column, cells[column]) for column in columns if column in CONSTANTS),
            why=cells["Rationale"],
            where=f"i.md:{before + 3 + at}",
        )
        for at, (name, cells) in enumerate(zip(names, rows, strict=True))
    ]
    ranks = {name: RANK[cells["Priority"]] for name, cells in zip(names, rows, strict=True)}
    return end * before + end.join(lines), tuple(sorted(variants, key=lambda variant: ranks[variant.name]))


def _shown(draw: st.DrawFn, value: object) -> str:
    text = str(value).replace("|", "\\|")
    return draw(
        st.sampled_from([text, f"**{text}**" if text.isalnum() else text, f"`{text}`" if text.isalnum() else text])
    )


@settings(max_examples=150, deadline=None)
@given(tables())
def test_a_table_of_any_layout_gives_its_variants(case: tuple[str, tuple[Variant, ...]]) -> None:
    body, variants = case
    assert parse(body).variants == variants
