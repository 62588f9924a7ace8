"""What was spent on models, from the ledger's records. Pure."""

from collections.abc import Sequence

from agent.core import SpendRecord


def spent(records: Sequence[SpendRecord], variant: str | None = None) -> float:
    """Dollars for a variant, or in all: what each call was settled at, or its reservation where it never was."""
    last = {one.call: one for one in records if variant in (None, one.variant)}
    return sum(one.usd for one in last.values())
