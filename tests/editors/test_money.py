"""What was spent: settled calls at their price, calls that a crash cut off at their reservation."""

from decimal import Decimal

from agent.core.records import SpendRecord
from agent.editors.spending import spent


def call(name: str, usd: float, *, settled: bool, variant: str = "1A") -> SpendRecord:
    return SpendRecord(
        issue=5,
        call=name,
        variant=variant,
        model="a-model",
        settled=settled,
        usd=usd,
        input_tokens=1,
        output_tokens=1,
        cache_write_tokens=0,
        cache_read_tokens=0,
        at="2026-01-01T00:00:00+00:00",
    )


def test_a_settled_call_costs_what_it_was_and_one_that_was_cut_off_what_it_could_have() -> None:
    records = [call("a", 0.5, settled=False), call("a", 0.02, settled=True), call("b", 0.5, settled=False)]
    assert spent(records) == Decimal("0.52")
    assert spent([]) == 0


def test_a_variants_money_is_its_own() -> None:
    records = [call("a", 0.25, settled=True), call("b", 0.5, settled=True, variant="1B")]
    assert (spent(records, "1A"), spent(records, "1B"), spent(records)) == (0.25, 0.5, 0.75)
