"""prose.py: budgets, orders and outcomes as people write them, and what is refused rather than guessed."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.errors import BadInput
from agent.core.experiment import Budget, Outcome
from agent.spec.amounts import parse_budget
from tests.spec.test_parser import TABLE, issue, parse, refusal


def order_of(execution: str, heading: str = "## Execution") -> str:
    return " ".join(parse(f"{TABLE}\n{heading}\n\n{execution}\n").order)


# --- order ------------------------------------------------------------------------------------------------


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
        ("Run 1B, 1A. In any case run 1B last.", "1A 1C 1D 1B"),
        ("1D runs first. If 1D wins, 1A is moot; 1C next.", "1D 1C 1A 1B"),
        ("First the best: 1C (1B params, 5M tokens).", "1C 1A 1B 1D"),
        ("Each run is 5 minutes on 1x H100, 90s to compile.", "1A 1B 1C 1D"),
        ("Now <!-- Run 1Z first --> run 1D.", "1D 1A 1B 1C"),
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
        ("## Notes", "1A 1B 1C 1D"),
        ("# The order of things\n\n## Notes", "1A 1B 1C 1D"),
    ],
)
def test_only_an_execution_section_orders(heading: str, order: str) -> None:
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
        ("Run 1B after 1D.", "no order can be read from 'Run 1B after 1D.'", "i.md:10", "Run 1D and 1C first, then 1A"),
        ("Skip 1B.", "no order can be read from 'Skip 1B.'", "i.md:10", "taken out of the table"),
        ("Run 1B-1D first.", "no order can be read", "i.md:10", "write it as"),
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
        ("wide deep", "Run deep first: it is a first try at depth, wide-ranging.", "deep wide"),
        ("E1 E2", "Run E2 first, on an H100 or an A100.", "E2 E1"),
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


# --- budgets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("20", Budget("seconds", 20)),
        ("20s", Budget("seconds", 20)),
        (" 0.5 s ", Budget("seconds", 0.5)),
        ("5 minutes", Budget("seconds", 300)),
        ("5m", Budget("seconds", 300)),
        ("5-minute", Budget("seconds", 300)),
        ("1h30m", Budget("seconds", 5400)),
        ("1 hour and 30 min", Budget("seconds", 5400)),
        ("500steps", Budget("steps", 500)),
        ("1,000 steps", Budget("steps", 1000)),
        ("10k steps", Budget("steps", 10_000)),
        ("5Mtok", Budget("tokens", 5e6)),
        ("1.5Mtok", Budget("tokens", 1.5e6)),
        ("2 million tokens", Budget("tokens", 2e6)),
    ],
)
def test_a_budget_is_read(text: str, budget: Budget) -> None:
    assert parse_budget(text) == budget


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "0",
        "-5",
        "nan",
        "inf",
        "0 s",
        "5M",
        "5Ms",
        "5 apples",
        "1.5steps",
        "5 5",
        "9" * 400,
        "1e400",
        "5-10 s",
        "5 s 3 steps",
        "5 \u017f",
        "\u0665 s",
    ],
)
def test_what_is_no_budget_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(BadInput, match="is no budget") as caught:
        parse_budget(text)
    assert "5 minutes, 500steps or 5Mtok" in caught.value.next_step


@given(
    st.builds(Budget, st.just("seconds"), st.integers(1, 10**9).map(lambda n: n / 8))
    | st.builds(Budget, st.sampled_from(["steps", "tokens"]), st.integers(1, 10**9).map(float))
)
def test_the_text_of_a_budget_reads_as_that_budget(budget: Budget) -> None:
    found = parse_budget(str(budget))
    assert found.kind == budget.kind
    assert found.amount == pytest.approx(budget.amount, rel=1e-9)


@pytest.mark.parametrize(
    ("prose", "budget"),
    [
        ("Each run is 5 minutes.", Budget("seconds", 300)),
        ("Run it. Every variant\ngets exactly ten minutes, 1 hour in all.", Budget("seconds", 600)),
        ("**Budget:** 300 s", Budget("seconds", 300)),
        ("90 seconds each", Budget("seconds", 90)),
        ("Train each variant for 500 steps.", Budget("steps", 500)),
        ("- 5M tokens per run", Budget("tokens", 5e6)),
        ("Total budget: 1 hour. Each run takes ~20 s.", Budget("seconds", 20)),
        ("Each run is 5 minutes; so Budget: 300 s.", Budget("seconds", 300)),
        ("Earlier each run was 10 minutes, previously 3 minutes each.", None),
        ("Each run saves every 500 steps. The last 5 minutes count.", None),
        ("```\nEach run is 5 minutes.\n```", None),
        ("The best shape for the 2-minute training budget.", Budget("seconds", 120)),
        ("The best shape for the 2-minute training budget. Each run is 20 s.", Budget("seconds", 20)),
    ],
)
def test_the_prose_states_the_budget_of_a_run(prose: str, budget: Budget | None) -> None:
    assert parse(f"{TABLE}\n## Execution\n\n{prose}\n").budget == budget


@pytest.mark.parametrize(
    ("prose", "problem", "where"),
    [
        (
            "Each run is 5 minutes.\n\nBudget: 20 s",
            "'run is 5 minutes' (i.md:8) and 'Budget: 20 s' (i.md:10)",
            "i.md:10",
        ),
        ("Each run is 5 minutes or\n500 steps each.", "two budgets for a run", "i.md:9"),
        ("Each run is 5-10 minutes.", "'5-10 minutes' is no budget", "i.md:8"),
        ("Each run is 0 minutes.", "'0 minutes' is no budget", "i.md:8"),
    ],
)
def test_budgets_that_contradict_or_say_nothing_are_refused(prose: str, problem: str, where: str) -> None:
    error = refusal(issue(f"{TABLE}\n{prose}\n"))
    assert problem in error.problem
    assert error.where == where


# --- outcomes ---------------------------------------------------------------------------------------------


def test_expected_outcomes_are_read_from_the_start_of_lines_and_other_lines_are_ignored() -> None:
    prose = (
        "- If 1D (wider, or so) wins: **wide**\n  is good\n- if 1C wins, then deep\n- If 1A or 1B win — both\n"
        "- If nothing wins: stop\n- If neither 1A nor 1B wins: stop\n- 1B likely negative\n- Say if 1A wins: no\n"
    )
    assert parse(f"{TABLE}\n## Outcomes\n\n{prose}").outcomes == (
        Outcome("1D", "If 1D (wider, or so) wins: wide is good"),
        Outcome("1C", "if 1C wins, then deep"),
        Outcome("1A", "If 1A or 1B win \u2014 both"),
        Outcome("1B", "If 1A or 1B win \u2014 both"),
    )


def test_an_outcome_of_an_unknown_variant_is_refused() -> None:
    error = refusal(issue(f"{TABLE}\n- If 1A wins: x\n- If 1Z wins: y\n"))
    assert (error.problem, error.where) == ("1Z is no variant", "i.md:9")
    assert error.next_step == "the IDs are 1A, 1B, 1C, 1D"


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30))
def test_no_budget_raises_anything_but_bad_input(text: str) -> None:
    with contextlib.suppress(BadInput):
        assert parse_budget(text).amount > 0
