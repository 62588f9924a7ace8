"""spec.py: the first user's issue as it is, one row for each error, and tables of every layout."""

import contextlib
import hashlib
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.errors import BadInput
from agent.core.experiment import Budget, Issue, Outcome, SetConstant, Spec, StatedValue, Track, Variant
from agent.spec import parser

ROOT = Path(__file__).parents[2]
SOURCE = "experiments/issues/0003-depth-vs-width.md"
TRACK = Track("main", "train.py", "val_bpb", "min", 300.0, ("train.py",), (0,), 0.0)
CONSTANTS: dict[str, object] = {
    "DEPTH": 8,
    "ASPECT_RATIO": 64,
    "HEAD_DIM": 128,
    "LR": 0.04,
    "COMPILE": True,
    "WINDOW": "SSSL",
    "BETAS": (0.9, 0.95),
}
TABLE = "| ID | DEPTH |\n|---|---|\n| 1A | 6 |\n| 1B | 7 |\n| 1C | 9 |\n| 1D | 10 |\n"  # rows on lines 3 to 6


def issue_3() -> Issue:
    header, body = (ROOT / SOURCE).read_text(encoding="utf-8").removeprefix("---\n").split("\n---\n", 1)
    told = yaml.safe_load(header)
    first = header.count("\n") + 4
    return Issue(3, told["title"], body, tuple(told["labels"]), state=told["state"], source=SOURCE, first_line=first)


def issue(body: str, *labels: str) -> Issue:
    return Issue(7, "a title", body, ("experiment", *labels), source="i.md")


def parse(body: str, *labels: str) -> Spec:
    return parser.parse(issue(body, *labels), TRACK, CONSTANTS)


def refusal(asked: Issue) -> BadInput:
    with pytest.raises(BadInput) as caught:
        parser.parse(asked, TRACK, CONSTANTS)
    return caught.value


# --- the first user's issue -------------------------------------------------------------------------------


def test_issue_3_is_read_as_it_is() -> None:
    found = parser.parse(issue_3(), TRACK, CONSTANTS)
    assert found.order == ("1D", "1C", "1A", "1B")
    assert found.budget == Budget("seconds", 300)
    assert found.cap_s == 3600
    assert (found.track, found.strategy, found.gate, found.seeds) == ("main", "table", None, None)
    assert found.outcomes == (
        Outcome("1D", "If 1D (wider) wins: model is width-starved, bias toward wider shapes"),
        Outcome("1C", "If 1C (deeper) wins: depth matters, GQA reinvestment becomes attractive"),
    )
    assert found.body_sha256 == hashlib.sha256(issue_3().body.encode()).hexdigest()


def test_issue_3_gives_each_row_its_constants_its_stated_shape_and_its_line() -> None:
    shapes = {"1D": (8, 96, 768, 6), "1C": (10, 64, 640, 5), "1A": (6, 128, 768, 6), "1B": (12, 32, 384, 3)}
    lines = (ROOT / SOURCE).read_text(encoding="utf-8").split("\n")
    for variant in parser.parse(issue_3(), TRACK, CONSTANTS).variants:
        depth, aspect, width, heads = shapes[variant.name]
        where = f"{SOURCE}:{next(n for n, line in enumerate(lines, 1) if line.startswith(f'| {variant.name} |'))}"
        edits = SetConstant("train.py", "DEPTH", depth), SetConstant("train.py", "ASPECT_RATIO", aspect)
        stated = StatedValue("model_dim", width, where), StatedValue("n_head", heads, where)
        assert (variant.edits, variant.stated, variant.where) == (edits, stated, where)
    assert variant.why == "Deeper, narrower — tests depth compensation"


def test_windows_line_ends_change_nothing() -> None:
    crlf = replace(issue_3(), body=issue_3().body.replace("\n", "\r\n"))
    assert replace(parser.parse(crlf, TRACK, CONSTANTS), issue=issue_3()) == parser.parse(issue_3(), TRACK, CONSTANTS)


# --- labels -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "state", "problem", "next_step"),
    [
        (("bug", "size: S"), "open", "no label experiment", "the labels there are: bug, size: S"),
        ((), "open", "no label experiment", "the labels there are: none"),
        (("experiment",), "closed", "issue 7 is closed", "reopen it"),
        (("experiment", "size: XL"), "open", "unknown size: XL", "size: S (1 hour), size: M (4 hours)"),
        (("experiment", "size:"), "open", "unknown size: ", "size: S"),
        (("experiment", "size"), "open", "unknown size: ", "size: S"),
        (("experiment", "size: S", "size: M"), "open", "M and S", "give one of"),
    ],
)
def test_a_label_that_forbids_the_run_is_named(
    labels: tuple[str, ...], state: str, problem: str, next_step: str
) -> None:
    error = refusal(Issue(7, "t", TABLE, labels, state=state, source="i.md"))
    assert problem in error.problem
    assert next_step in error.next_step
    assert error.where == "i.md"


@pytest.mark.parametrize(
    ("labels", "cap"),
    [((), None), (("size: S",), 3600), (("size:m",), 14400), (("Size: L", "priority: low"), 43200)],
)
def test_the_size_label_caps_the_experiment(labels: tuple[str, ...], cap: float | None) -> None:
    assert parse(TABLE, *labels).cap_s == cap


# --- the table --------------------------------------------------------------------------------------------


def row(
    cells: str, header: str = "ID | DEPTH | ASPECT_RATIO | LR | COMPILE | WINDOW | BETAS | model_dim | Priority"
) -> str:
    return f"Text.\n\n| {header} |\n{'|---' * (header.count('|') + 1)}|\n{cells}\n"


BAD_TABLES = [
    ("", "no table of experiments", "i.md", "| ID | DEPTH | ASPECT_RATIO | Priority | Rationale |\n"),
    ("```\n" + TABLE + "```", "no table of experiments", "i.md", "  | 1A | 8 | 64 | HIGH | why |"),
    ("<!--\n" + TABLE + "-->", "no table of experiments", "i.md", "|---|---|---|---|---|"),
    ("<div>\n" + TABLE + "</div>", "no table of experiments", "i.md", "a table looks like this"),
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
    ("| ID | Depth |\n|-|-|\n| 1A | 6 |", "train.py has no constant Depth", "i.md:1", "did you mean DEPTH?"),
    (
        "| ID | QQ |\n|-|-|\n| 1A | 6 |",
        "train.py has no constant QQ",
        "i.md:1",
        "its constants: DEPTH, ASPECT_RATIO, HEAD",
    ),
    ("| ID | DEPTH | Aspect ratio |\n|-|-|-|\n| 1A | 6 | 1 |", "Aspect ratio", "i.md:1", "did you mean ASPECT_RATIO?"),
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
    (row("| 1A | 1,0 |"), "column DEPTH: '1,0' is not", "i.md:5", "a whole number"),
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
    (row("| 1A | - | - | - | - | - | 1 |"), "column BETAS sets a tuple", "i.md:5", "int, float, str and bool"),
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
            "baseline",
            "Baseline",
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
    ("cell", "value"), [("-3", -3), ("\N{MINUS SIGN}3", -3), ("+3", 3), ("524_288", 524288), ("10^2", 100), (" 7 ", 7)]
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
    assert [(stated.column, stated.value) for stated in variant.stated] == [("n_head", 6), ("head_dim", 128)]


def test_the_first_table_with_an_id_column_is_the_experiment() -> None:
    assert parse(f"| a | b |\n|-|-|\n| 1 | 2 |\n\n{TABLE}\n| ID | result |\n|-|-|\n| 9Z | 3 |").order == (
        "1A",
        "1B",
        "1C",
        "1D",
    )


# --- the yaml block ---------------------------------------------------------------------------------------


def block(text: str) -> str:
    return f"{TABLE}\n```yaml\n# autoresearch\n{text}\n```\n"  # the first line of `text` is line 10


def test_the_block_sets_and_outranks_the_prose() -> None:
    told = "track: main\nstrategy: sweep\nbudget: 500steps\nseeds: [3, 1]\ngate: lowest"
    found = parse(block(told) + "\nEach run is 5 minutes. Budget: 20 s")
    assert (found.track, found.strategy, found.seeds, found.gate) == ("main", "sweep", (3, 1), "lowest")
    assert found.budget == Budget("steps", 500)


@pytest.mark.parametrize("told", ["budget: 300", "budget: 5 minutes", "budget: 300.0", "", "gate: null\nbudget: 300 s"])
def test_the_block_may_say_little(told: str) -> None:
    assert parse(block(told)).budget in (Budget("seconds", 300), None)


BAD_BLOCKS = [
    ("seeds: [1]\nsede: 3", "unknown key 'sede'", "i.md:11", "keys: track, strategy"),
    ("gate: best", "gate: Input should be 'confirmed' or 'lowest'", "i.md:10", "gate (confirmed, lowest)"),
    ("\nbudget: 5 apples", "budget: '5 apples' is no budget", "i.md:11", "500steps"),
    ("budget: -1", "budget: '-1' is no budget", "i.md:10", "5Mtok"),
    ("budget: .nan", "budget: 'nan' is no budget", "i.md:10", "5Mtok"),
    ("budget: true", "budget: ", "i.md:10", "5Mtok"),
    ("budget: [1]", "budget: ", "i.md:10", "5Mtok"),
    ("seeds: 3", "seeds: Input should be a valid list", "i.md:10", "seeds ([0, 1])"),
    ("seeds: [1, 1]", "seeds: a seed is given twice", "i.md:10", "seeds"),
    ("seeds: [-1]", "seeds: Input should be greater than or equal to 0", "i.md:10", "seeds"),
    ("seeds: [1.5]", "seeds: Input should be a valid integer", "i.md:10", "seeds"),
    ("seeds: []", "seeds: List should have at least 1 item", "i.md:10", "seeds"),
    ("track: 3", "track: Input should be a valid string", "i.md:10", "track"),
    ("gate: lowest\ngate: confirmed", "key 'gate' is given twice", "i.md:11", "keep one"),
    ("seeds: [1\ngate: lowest", "the block is no YAML", "i.md:11", "keys: track"),
    ("seeds: !!int ''", "the block is no YAML", "i.md:9", "keys: track"),
    ("- a", "the block: Input should be a valid dictionary", "i.md:9", "keys: track"),
    ("track: names", "the issue is for track names, not main", "i.md", "load track names"),
]


@pytest.mark.parametrize(("told", "problem", "where", "next_step"), BAD_BLOCKS)
def test_a_bad_block_is_refused_with_the_line_and_the_key(told: str, problem: str, where: str, next_step: str) -> None:
    error = refusal(issue(block(told)))
    assert problem in error.problem
    assert error.where == where
    assert next_step in error.next_step


def test_a_second_block_is_refused() -> None:
    error = refusal(issue(block("") + "\n" + block("").removeprefix(TABLE)))
    assert (error.problem, error.where) == ("a second autoresearch block", "i.md:14")


def test_a_yaml_block_of_something_else_is_not_read() -> None:
    assert parse(f"{TABLE}\n```yaml\nsede: 3\n```\n").strategy == "table"


def test_prose_without_any_table_is_for_an_editor() -> None:
    found = parse("Replace the MLP by SwiGLU; try two widths.")
    assert (found.strategy, found.variants, found.proposals) == ("freeform", (), 3)
    assert parse("Try it.\n\n```yaml\n# autoresearch\nvariants: 2\n```\n").proposals == 2
    assert parse(TABLE).proposals == 0


def test_another_strategy_needs_no_table() -> None:
    found = parse(
        "Make it better.\n\n```yaml\n# autoresearch\nstrategy: freeform\n```\n\n## Execution\n\nRun 1A first."
    )
    assert (found.strategy, found.variants) == ("freeform", ())


def test_the_track_an_issue_names_can_be_had_before_it_is_parsed() -> None:
    assert parser.named_track(issue(block("track: names"))) == "names"
    assert parser.named_track(issue(TABLE)) is None


# --- properties -------------------------------------------------------------------------------------------

ids = st.from_regex(r"[1-9][A-F][1-9]?", fullmatch=True)
values = st.fixed_dictionaries(
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


WORDS = [
    "1A",
    "1Z",
    "|",
    "\n",
    "\n\n",
    "|---|---|",
    "| ID | DEPTH |",
    "# Execution\n",
    "first",
    "la\u017ft",
    "last",
    "5 minutes",
    "Each run is",
    "If ",
    " wins",
    ":",
    "```yaml\n# autoresearch\n",
    "```",
    "<!--",
    "-->",
    "**",
    "`",
    "budget: ",
    "{",
    "&a [*a]",
    "\r",
    "\t",
    "0",
    "ID",
    "—",
    "!!int ''\n",
    "thou\u017fand steps",
]


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(WORDS), max_size=40).map("".join)))
def test_no_text_raises_anything_but_bad_input(body: str) -> None:
    for text in (body, f"{TABLE}\n# Execution\n\n{body}\n", block(body)):
        with contextlib.suppress(BadInput):
            parse(text)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_to_issue_3_raises_anything_but_bad_input(data: st.DataObject) -> None:
    whole = issue_3()
    begin = data.draw(st.integers(0, len(whole.body)))
    end = data.draw(st.integers(begin, min(len(whole.body), begin + 60)))
    put = data.draw(st.one_of(st.text(max_size=20), st.sampled_from(WORDS)))
    labels = data.draw(st.lists(st.text(max_size=8), max_size=2))
    damaged = replace(whole, body=whole.body[:begin] + put + whole.body[end:], labels=(*whole.labels, *labels))
    with contextlib.suppress(BadInput):
        parser.parse(damaged, TRACK, CONSTANTS)


@pytest.mark.parametrize(
    "unit", ["|", "a | ", "if 1A wins ", "111,", "5 ", "1A, ", "> ", "- ", "If ", "[", "*a ", "| - "]
)
def test_a_long_page_of_one_word_does_not_hang_the_reader(unit: str) -> None:
    start = time.perf_counter()
    with contextlib.suppress(BadInput):
        parse(f"{TABLE}\n# Execution\n\n{unit * (60_000 // len(unit))}\n")
    assert time.perf_counter() - start < 10
