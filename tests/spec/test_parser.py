"""Reading an issue: the first user's as it is, labels, the yaml block; no text raises anything but BadInput."""

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
from agent.core.experiment import Budget, Issue, Outcome, SetConstant, Spec, StatedValue, Track
from agent.spec import parser

ROOT = Path(__file__).parents[2]
SOURCE = "experiments/issues/0003-depth-vs-width.md"
TRACK = Track("main", "train.py", "val_bpb", "min", Budget("seconds", 300), ("train.py",), (0,), 0.0)
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


def refusal(wrong: Issue) -> BadInput:
    with pytest.raises(BadInput) as caught:
        parser.parse(wrong, TRACK, CONSTANTS)
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
    ("seeds: [1]\nsede: 3", "unknown key 'sede'", "i.md:11", "did you mean seeds? keys: track, strategy"),
    ("gate: best", "gate: Input should be 'confirmed', 'fixed' or 'lowest'", "i.md:10", "gate: lowest"),
    ("\nbudget: 5 apples", "budget: '5 apples' is no budget", "i.md:11", "budget: 5 minutes"),
    ("budget: -1", "budget: '-1' is no budget", "i.md:10", "budget: 5 minutes"),
    ("budget: .nan", "budget: 'nan' is no budget", "i.md:10", "budget: 5 minutes"),
    ("budget: true", "budget: ", "i.md:10", "budget: 5 minutes"),
    ("budget: [1]", "budget: ", "i.md:10", "budget: 5 minutes"),
    ("seeds: 3", "seeds: Input should be a valid list", "i.md:10", "seeds: [0, 1]"),
    ("seeds: [1, 1]", "seeds: 1 is given twice", "i.md:10", "seeds"),
    ("seeds: [-1]", "seeds.0: Input should be greater than or equal to 0", "i.md:10", "seeds"),
    ("seeds: [1.5]", "seeds.0: Input should be a valid integer", "i.md:10", "seeds"),
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
    start = time.process_time()
    with contextlib.suppress(BadInput):
        parse(f"{TABLE}\n# Execution\n\n{unit * (60_000 // len(unit))}\n")
    assert time.process_time() - start < 10
