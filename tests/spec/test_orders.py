"""Which variants run and in which order, as the prose says: the forms, and what is like them and refused."""

import pytest

from tests.spec.test_parser import TABLE, issue, parse, refusal


def order_of(execution: str, heading: str = "## Execution") -> str:
    return " ".join(parse(f"{TABLE}\n{heading}\n\n{execution}\n").order)


@pytest.mark.parametrize(
    ("execution", "order"),
    [
        ("Run 1D and 1C first (highest expected value), then 1A, then 1B.", "1D 1C 1A 1B"),
        ("Run 1d, then 1C", "1D 1C 1A 1B"),
        ("Run **1D** and\n`1C` first", "1D 1C 1A 1B"),
        ("1D -> 1B", "1D 1B 1A 1C"),
        ("1D/1B first", "1D 1B 1A 1C"),
        ("1. 1D\n2. 1B", "1D 1B 1A 1C"),
        ("Run 1B last.", "1A 1C 1D 1B"),
        ("1B last, 1D first", "1D 1A 1C 1B"),
        ("Run 1D first and 1A last", "1D 1B 1C 1A"),
        ("Last, run 1A. First, run 1D.", "1D 1B 1C 1A"),
        ("Run 1A and 1B, but 1D first.", "1D 1A 1B 1C"),
        ("Run 1A. The first is 1D, the last one 1B.", "1D 1A 1C 1B"),
        ("Run 1B, 1A. Run 1B last.", "1A 1C 1D 1B"),
        ("1D runs first. If 1D wins, 1A is moot; 1C next.", "1D 1C 1A 1B"),
        ("First: 1C (1B params).", "1C 1A 1B 1D"),
        ("Each run is 5 minutes on 1x H100, 90s to compile.", "1A 1B 1C 1D"),
        ("Now <!-- Run 1Z first --> run 1D first.", "1D 1A 1B 1C"),
        ("", "1A 1B 1C 1D"),
    ],
)
def test_the_execution_section_orders(execution: str, order: str) -> None:
    assert order_of(execution) == order


@pytest.mark.parametrize(
    ("heading", "order"),
    [
        ("## Run order", "1D 1A 1B 1C"),
        ("# Execution plan", "1D 1A 1B 1C"),
        ("## Execution\n\n### Monday", "1D 1A 1B 1C"),
        ("Order\n-----", "1D 1A 1B 1C"),
        ("## Notes", "1D 1A 1B 1C"),
        ("# The order of things\n\n## Notes", "1D 1A 1B 1C"),
    ],
)
def test_an_imperative_orders_wherever_it_stands(heading: str, order: str) -> None:
    assert order_of("Run 1D first.", heading) == order


PRIORITIES = "\n".join(
    [
        *("| ID | DEPTH | Priority |", "|-|-|-|", "| a1 | 1 | low |", "| a2 | 2 | |", "| a3 | 3 | P1 |"),
        *("| a4 | 4 | Medium |", "| a5 | 5 | HIGH |", "| a6 | 6 | p0 |", ""),
    ]
)


def test_priority_orders_then_the_table() -> None:
    assert parse(PRIORITIES).order == ("a6", "a3", "a5", "a4", "a1", "a2")


def test_the_execution_section_outranks_priority_and_the_rest_follows_by_priority() -> None:
    assert parse(PRIORITIES + "\n## Execution\n\nRun a2, then a1; a6 last.").order == (
        "a2",
        "a1",
        "a3",
        "a5",
        "a4",
        "a6",
    )


@pytest.mark.parametrize(
    ("execution", "problem", "where", "next_step"),
    [
        ("Run 1D\nand 1Z first.", "1Z is no variant", "i.md:11", "the IDs are 1A, 1B, 1C, 1D"),
        ("Run 1z first.", "1z is no variant", "i.md:10", "the IDs are 1A, 1B, 1C, 1D"),
        ("If 2A wins, stop.", "2A is no variant", "i.md:10", "the IDs are"),
        ("Run 1D-1B first.", "is in no form that is read", "i.md:10", "Run 1D and 1C first, then 1A"),
        ("First the best: 1C.", "is in no form that is read", "i.md:10", "order: [1D, 1C]"),
        ("Run everything but the wide one.", "names no variant", "i.md:10", "skip: [1B]"),
        ("Run 1A before 1B.\nRun 1B before 1A.", "cannot be true with the other orders", "i.md:10", "order: [1D, 1C]"),
        ("Run 1B to 1Z.", "1Z is no variant", "i.md:10", "the IDs are"),
    ],
)
def test_an_order_that_cannot_be_followed_is_refused(execution: str, problem: str, where: str, next_step: str) -> None:
    error = refusal(issue(f"{TABLE}\n## Execution\n\n{execution}\n"))
    assert problem in error.problem
    assert error.where == where
    assert next_step in error.next_step


@pytest.mark.parametrize(
    ("names", "execution", "order"),
    [
        ("A B C", "Run B first, then A. A run is 5 minutes.", "B A C"),
        ("1 2 5", "Run 2 first. Each run is 5 minutes on 1 GPU.", "2 1 5"),
        ("wide deep", "Run deep first. It is a wide-ranging question.", "deep wide"),
        ("E1 E2", "Run E2 first. An H100 or an A100 will do.", "E2 E1"),
        ("v1.2 v1.10", "v1.10 first. Then the rest.", "v1.10 v1.2"),
        ("1A 1A-wide", "Run 1A-wide, then 1A.", "1A-wide 1A"),
    ],
)
def test_ordinary_words_and_numbers_are_no_ids(names: str, execution: str, order: str) -> None:
    rows = "\n".join(f"| {name} | {at} |" for at, name in enumerate(names.split()))
    assert " ".join(parse(f"| ID | DEPTH |\n|-|-|\n{rows}\n\n## Execution\n\n{execution}").order) == order


@pytest.mark.parametrize(
    ("names", "unknown"), [("A B C", "E"), ("E1 E2", "E7"), ("exp-1 exp-2", "exp-12"), ("a1 b2", "c3")]
)
def test_a_word_of_the_shape_of_the_ids_is_taken_for_one(names: str, unknown: str) -> None:
    rows = "\n".join(f"| {name} | {at} |" for at, name in enumerate(names.split()))
    error = refusal(issue(f"| ID | DEPTH |\n|-|-|\n{rows}\n\n## Execution\n\nRun {unknown} first."))
    assert error.problem == f"{unknown} is no variant"


@pytest.mark.parametrize(
    ("execution", "order"),
    [
        ("Run 1B after 1D.", "1A 1C 1D 1B"),
        ("Skip 1B.", "1A 1C 1D"),
        ("Run 1B-1D first.", "1B 1C 1D 1A"),
        ("Run 1A last, but skip it not.", ""),
        ("Run the rest last, 1C first.", "1C 1A 1B 1D"),
    ],
)
def test_a_sentence_is_read_whole_or_not_at_all(execution: str, order: str) -> None:
    if order:
        assert order_of(execution) == order
    else:
        assert "is in no form that is read" in refusal(issue(f"{TABLE}\n## Execution\n\n{execution}\n")).problem


def test_what_was_is_no_order() -> None:
    assert order_of("Run 1D first was what we did.", "## Background") == "1A 1B 1C 1D"


@pytest.mark.parametrize(
    "text",
    ["1B is redundant, skip it.",
     "We no longer need 1B.", "1B: skip", "1B can be skipped.", "Ignore 1B.", "I already ran 1B.",
     "Let's drop 1B.", "I'd run 1D first.", "We should start with 1D.", "1B depends on 1A.", "Stop if 1A wins.",
     "If 1A fails, do not run 1B.", "Only the first two.", "Run the first two rows only.", "Don't run the last row.",
     "Pick the best two."],
)  # fmt: skip
def test_what_may_steer_is_refused_wherever_it_stands_but_in_the_past(text: str) -> None:
    refusal(issue(f"{TABLE}\n{text}\n"))
    assert order_of(text, "## Background") == "1A 1B 1C 1D"


@pytest.mark.parametrize(
    "text", ["1D is the most promising.", "1A halves the width.", "Compare 1A with 1B.", "Run all variants."]
)
def test_what_describes_is_let_be(text: str) -> None:
    assert order_of(text, "## Notes") == "1A 1B 1C 1D"


def test_a_form_orders_outside_of_execution_too() -> None:
    assert order_of("1D first!", "## Notes") == "1D 1A 1B 1C"
    assert order_of("Do 1D before 1A.", "## Notes") == "1D 1A 1B 1C"


def test_a_variant_that_is_given_a_place_and_left_out_is_refused() -> None:
    error = refusal(issue(f"{TABLE}\n## Execution\n\nSkip 1B. Run 1B first.\n"))
    assert "1B is given a place and left out" in error.problem
