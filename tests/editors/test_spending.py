"""Spending: exact to the cent, reserved before and settled after, never beyond a cap, whole after a crash."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.errors import HarnessError, SpendingCapReached
from agent.core.records import SpendRecord
from agent.editors import models
from agent.editors.models import Settings
from agent.editors.spending import Spending, Usage, check_cap, cost, dollars, spent, worst_case
from tests.store.test_ledger import SPEND


def settings(model: str = "claude-sonnet-5-5", /, **caps: object) -> Settings:
    base = models.read({}, model=model)
    return base.model_copy(update={"caps": base.caps.model_copy(update=caps)})


def spending(limits: Settings, earlier: Sequence[SpendRecord] = ()) -> tuple[Spending, list[SpendRecord]]:
    records = list(earlier)
    return Spending(5, limits, earlier, records.append, now=lambda: "now"), records


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        (Usage(1_000_000, 0, 0, 0), "2"),
        (Usage(0, 1_000_000, 0, 0), "10"),
        (Usage(0, 0, 1_000_000, 0), "2.5"),
        (Usage(0, 0, 0, 1_000_000), "0.2"),
        (Usage(3, 5, 7, 11), "0.0000757"),
        (Usage(1234, 5678, 90_123, 456_789), "0.3759133"),
    ],
)
def test_the_cost_of_a_call_is_exact_with_cached_tokens_at_their_own_price(usage: Usage, usd: str) -> None:
    assert cost(settings().price, usage) == Decimal(usd)


def test_a_prompt_counts_as_long_by_its_cached_tokens_too() -> None:
    price = settings("claude-haiku-5-5").price
    assert cost(price, Usage(50_000, 1_000_000, 0, 50_000)) == Decimal("0.5055")
    assert cost(price, Usage(50_000, 1_000_000, 1, 50_000)) == Decimal("2.527500625")


@given(st.tuples(*[st.integers(0, 10**7)] * 4))
def test_no_use_of_the_reserved_tokens_costs_more_than_was_reserved(tokens: tuple[int, int, int, int]) -> None:
    usage = Usage(*tokens)
    prompt = usage.input_tokens + usage.cache_write_tokens + usage.cache_read_tokens
    for model in settings().prices:
        price = settings(model).price
        assert cost(price, usage) <= cost(price, worst_case(price, prompt, usage.output_tokens))


def test_a_call_is_reserved_in_full_and_settled_with_what_it_used() -> None:
    book, records = spending(settings())
    call = book.reserve("1A", 1000, 100)
    assert (records[0].settled, records[0].usd, records[0].variant) == (False, 0.0035, "1A")
    book.settle(call, Usage(10, 20, 30, 40))
    assert (records[1].settled, records[1].usd, records[1].call) == (True, 0.000303, call)
    assert (book.usd(), book.tokens(), book.usd("1A"), book.usd("1B")) == (
        Decimal("0.000303"),
        100,
        book.usd(),
        Decimal(0),
    )


def test_a_reservation_that_a_crash_left_counts_in_full_and_a_settled_one_as_settled() -> None:
    book, records = spending(settings())
    book.reserve("1A", 1000, 100)
    book.settle(book.reserve("1A", 1000, 100), Usage(1, 1))
    restarted, _ = spending(settings(), records)
    assert restarted.usd() == Decimal("0.0035") + Decimal("0.000012")
    assert restarted.tokens("1A") == 1102


def test_a_call_that_cannot_be_recorded_is_not_begun() -> None:
    def full(_: SpendRecord) -> None:
        raise HarnessError("the disk is full")

    book = Spending(5, settings(), [], full)
    with pytest.raises(HarnessError):
        book.reserve("1A", 1000, 100)
    assert book.usd() == 0


@pytest.mark.parametrize(
    ("cap", "value", "variant", "problem", "way"),
    [
        ("usd_per_campaign", "0.01", "", "the cap of $0.01 per campaign is reached: $0.007 are", "with --max-usd"),
        ("usd_per_variant", "0.005", "1A", "the cap of $0.005 per variant (1A)", "as caps.usd_per_variant"),
        ("tokens_per_campaign", 2000, "", "1,100 tokens are", "as caps.tokens_per_campaign"),
        ("tokens_per_variant", 2000, "1A", "may cost 1,100 tokens", "as caps.tokens_per_variant"),
    ],
)
def test_a_cap_stops_the_call_that_could_exceed_it_and_says_how_to_raise_it(
    cap: str, value: object, variant: str, problem: str, way: str
) -> None:
    book, records = spending(settings(**{cap: Decimal(value) if isinstance(value, str) else value}))
    for _ in range({"usd_per_campaign": 2}.get(cap, 1)):
        book.reserve("1A", 1000, 100)
    with pytest.raises(SpendingCapReached) as stop:
        book.reserve("1A", 1000, 100)
    assert problem in str(stop.value)
    assert way in str(stop.value)
    assert (stop.value.variant, stop.value.exit_code) == (variant, 3)
    assert all(not record.settled for record in records)


def test_one_variants_cap_leaves_the_others_their_own() -> None:
    book, _ = spending(settings(tokens_per_variant=1500))
    book.reserve("1A", 1000, 100)
    book.reserve("1B", 1000, 100)
    book.reserve("", 1000, 100)
    with pytest.raises(SpendingCapReached):
        book.reserve("1A", 1000, 100)


def test_a_cap_is_reached_to_the_last_fraction_and_not_by_a_rounding_error() -> None:
    limits = settings(usd_per_campaign=Decimal("0.3"))
    book, _ = spending(
        limits, [call("x", 0.1, settled=True), call("y", 0.1, settled=True)]
    )  # 0.1 + 0.1 + 0.1 > 0.3 in floats
    book.reserve("", 0, 10_000)
    assert book.usd() == Decimal("0.3")


_CALL = st.tuples(st.sampled_from(["", "1A", "1B"]), st.integers(0, 3000), st.integers(1, 500), st.randoms())


@given(st.lists(_CALL, max_size=40), st.integers(0, 2000), st.integers(0, 900), st.integers(1, 20_000), st.booleans())
def test_no_cap_is_ever_exceeded_whatever_is_called_used_or_crashes(
    calls: list[tuple[str, int, int, Random]], campaign: int, variant: int, tokens: int, restart: bool
) -> None:
    caps = {"usd_per_campaign": Decimal(campaign) / 10**5, "usd_per_variant": Decimal(variant) / 10**5}
    limits = settings(**caps, tokens_per_campaign=tokens, tokens_per_variant=max(1, tokens // 2))
    book, records = spending(limits)
    for name, given_tokens, out, dice in calls:
        try:
            call = book.reserve(name, given_tokens, out)
        except SpendingCapReached:
            continue
        to_cache = dice.randint(0, given_tokens)
        read = dice.randint(0, given_tokens - to_cache)
        if dice.random() < 0.7:
            book.settle(call, Usage(given_tokens - to_cache - read, dice.randint(0, out), to_cache, read))
        elif restart:
            book, records = spending(limits, records)
    assert book.usd() <= limits.caps.usd_per_campaign
    assert book.tokens() <= limits.caps.tokens_per_campaign
    for name in ("1A", "1B"):
        assert book.usd(name) <= limits.caps.usd_per_variant
        assert book.tokens(name) <= limits.caps.tokens_per_variant


@pytest.mark.parametrize(
    ("amount", "shown"), [("0", "$0.00"), ("5", "$5.00"), ("0.019", "$0.02"), ("0.0035", "$0.0035")]
)
def test_an_amount_is_shown_to_the_cent_and_a_smaller_one_as_it_is(amount: str, shown: str) -> None:
    assert dollars(Decimal(amount)) == shown


def test_a_cap_may_be_reached_and_not_exceeded() -> None:
    check_cap("tokens_per_campaign", 100, 60, 40)
    with pytest.raises(SpendingCapReached, match="100 tokens per campaign"):
        check_cap("tokens_per_campaign", 100, 60, 41)


def call(name: str, usd: float, *, settled: bool, variant: str = "1A") -> SpendRecord:
    return replace(SPEND, issue=5, call=name, variant=variant, usd=usd, settled=settled)


def test_a_settled_call_costs_what_it_was_and_one_that_was_cut_off_what_it_could_have() -> None:
    records = [call("a", 0.5, settled=False), call("a", 0.02, settled=True), call("b", 0.5, settled=False)]
    assert spent(records) == Decimal("0.52")
    assert spent([]) == 0


def test_a_variants_money_is_its_own() -> None:
    records = [call("a", 0.25, settled=True), call("b", 0.5, settled=True, variant="1B")]
    assert (spent(records, "1A"), spent(records, "1B"), spent(records)) == (
        Decimal("0.25"),
        Decimal("0.5"),
        Decimal("0.75"),
    )
