"""What the prose says of time: a budget, a cap, an aside, or a sentence that is refused with its line."""

import time

import pytest

from agent.core.errors import BadInput
from agent.core.experiment import Budget
from tests.spec.test_parser import TABLE, issue, parse, refusal


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
            "'Each run is 5 minutes' (i.md:8) and 'Budget: 20 s' (i.md:10)",
            "i.md:10",
        ),
        ("Each run is 5 minutes or\n500 steps each.", "is in no form that is read", "i.md:8"),
        ("Each run is 5-10 minutes.", "'5-10 minutes' is no budget", "i.md:8"),
        ("Each run is 0 minutes.", "'0 minutes' is no budget", "i.md:8"),
    ],
)
def test_budgets_that_contradict_or_say_nothing_are_refused(prose: str, problem: str, where: str) -> None:
    error = refusal(issue(f"{TABLE}\n{prose}\n"))
    assert problem in error.problem
    assert error.where == where


def test_what_was_describes_where_it_is_background_and_is_refused_where_it_is_an_instruction() -> None:
    text = "Earlier each run was 10 minutes, previously 3 minutes each."
    assert parse(f"{TABLE}\n## Background\n\n{text}\n").budget is None
    assert "budget: 10 minutes" in refusal(issue(f"{TABLE}\n## Execution\n\n{text}\n")).next_step


@pytest.mark.parametrize(
    ("text", "cap"),
    [("At most 2 hours in all.", 7200), ("Total: 3 hours", 10_800), ("The campaign takes at most 90 minutes.", 5400)],
)
def test_the_time_of_all_runs_is_a_cap(text: str, cap: float) -> None:
    assert parse(f"{TABLE}\n## Execution\n\n{text}\n").cap_s == cap
    assert "all runs together" in next(
        one.means for one in parse(f"{TABLE}\n{text}").read_as if "together" in one.means
    )


def test_a_cap_is_no_number_of_steps() -> None:
    assert "capped in time" in refusal(issue(f"{TABLE}\n500 steps in total\n")).problem


@pytest.mark.parametrize(
    "text", ["each run is ", "5 minutes ", "a budget of about ", "Budget: 5 min per run and ", "1,"]
)
def test_a_long_text_takes_no_long_time(text: str) -> None:
    start = time.process_time()
    for body in (text * 4000, f"## Execution\n\n{text * 4000}5 minutes"):
        try:
            parse(f"{TABLE}\n{body}")
        except BadInput:
            continue
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "text",
    ["Budget: 300", "Budget: $20",
     "Runtime: 5 minutes", "Each run is an hour.", "Each run is half an hour.", "Stop after 2 hours.",
     "Don't spend more than 2 hours.", "No more than 2 GPU hours.",
     "Finish within 2 hours.", "Each run is 1.000 steps."],
)  # fmt: skip
def test_what_may_limit_time_is_refused_wherever_it_stands_but_in_the_past(text: str) -> None:
    assert "budget" in str(refusal(issue(f"{TABLE}\n{text}\n")))


@pytest.mark.parametrize(
    "text",
    [
        "The last run took 5 minutes.",
        "Windows of at most 64 tokens.",
        "Evaluate every 5 minutes.",
        "Rehearsed on mini with --budget 30.",
        "It measured -0.0009 over three quarters of the budget and -0.0006 later.",
    ],
)
def test_a_time_that_limits_nothing_describes(text: str) -> None:
    spec = parse(f"{TABLE}\n{text}\n")
    assert (spec.budget, spec.cap_s) == (None, None)
