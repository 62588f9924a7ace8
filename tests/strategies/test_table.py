"""The table strategy: every variant once, in the spec's order."""

from dataclasses import replace

from agent.core.experiment import Issue, Spec, Variant
from agent.strategies.table import propose
from tests.store.test_ledger import RUN

SPEC = Spec(
    Issue(3, "t", ""),
    "main",
    "table",
    tuple(Variant(name, ()) for name in ("1D", "1C", "1A")),
    None,
    None,
    None,
    (),
    "",
)


def test_all_variants_are_proposed_in_order() -> None:
    assert [variant.name for variant in propose(SPEC, "b", [])] == ["1D", "1C", "1A"]


def test_what_has_run_is_not_proposed_again() -> None:
    done = [replace(RUN, variant=name) for name in ("1D", "1A")]
    assert [variant.name for variant in propose(SPEC, "b", done)] == ["1C"]
    assert propose(SPEC, "b", [*done, replace(RUN, variant="1C")]) == []
