"""How much training a run gets: what is read, what is refused with what is valid."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.errors import BadInput
from agent.core.experiment import Budget
from agent.spec.amounts import parse_budget, read_budget, readable


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
        "5 minutes 5 minutes",
        "30 s 1 h",
        "1.000 steps",
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


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30))
def test_no_budget_raises_anything_but_bad_input(text: str) -> None:
    with contextlib.suppress(BadInput):
        assert parse_budget(text).amount > 0


def test_a_unit_may_be_spelled_out_and_a_number_too() -> None:
    assert read_budget("two minutes") == Budget("seconds", 120)
    assert read_budget("1,5 minutes") is None  # 1.5 to some, 15 to others
    assert [readable(text) for text in ("90 s", "soon")] == [True, False]
