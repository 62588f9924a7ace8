"""What was spent on models, from the ledger's records. Pure."""

from collections.abc import Sequence
from decimal import Decimal

from agent.records import SpendRecord


def spent(records: Sequence[SpendRecord], variant: str | None = None) -> Decimal:
    """Dollars for a variant, or in all: what each call was settled at, or its reservation where it never was."""
    last = {one.call: one for one in records if variant in (None, one.variant)}
    return sum((Decimal(str(one.usd)) for one in last.values()), Decimal(0))
