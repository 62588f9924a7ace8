"""Which runs count, decided in one place."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from agent.core.experiment import BASELINE, GateRules
from agent.core.records import RunRecord
from agent.gate.history import Measurement, decision_runs, read_history
from tests.store.test_ledger import RUN

RULES = GateRules()
BASE = [replace(RUN, variant=BASELINE, role="baseline", seed=seed, metric=2.0) for seed in (0, 1, 2)]
SCREEN, CONFIRM = replace(RUN, variant="1A", role="screen", seed=0), replace(RUN, variant="1A", role="confirm", seed=3)
FAILED, SLOWED = replace(CONFIRM, status="crash", metric=None), replace(CONFIRM, status="contended", metric=None)
CHOSEN = replace(SCREEN, seed=5)  # an earlier campaign's, whose screening seed was another
OTHERS = replace(BASE[0], role="screen", seed=7)  # the baseline's, from when it was a variant


def deciding(variant: str, runs: Sequence[RunRecord], rules: GateRules = RULES) -> list[RunRecord]:
    """The runs of a variant that decide, in a campaign whose baseline is complete."""
    measurements = [
        Measurement(one.variant, one.seed, one.role, one.metric, one.status == "contended")  # type: ignore[arg-type]
        for one in (*BASE, *runs)
    ]
    own = [one for one in (*BASE, *runs) if one.variant == variant]
    return decision_runs(read_history(rules, ("1A",), measurements), variant, own)


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([SCREEN], [SCREEN]),
        ([SCREEN, CONFIRM], [CONFIRM]),
        ([CONFIRM, SCREEN], [CONFIRM]),
        ([SCREEN, FAILED], [SCREEN]),
        ([SCREEN, SLOWED], [SCREEN]),
        ([SCREEN, SLOWED, CONFIRM], [CONFIRM]),
        ([SCREEN, replace(CONFIRM, metric=1.0), CONFIRM], [CONFIRM]),
        ([CHOSEN], []),
        ([FAILED], []),
    ],
)
def test_a_screening_run_counts_where_a_variant_has_no_other(runs: list[RunRecord], expected: list[RunRecord]) -> None:
    assert deciding("1A", runs) == expected


def test_all_runs_of_the_baseline_count_but_one_that_it_was_chosen_for() -> None:
    assert deciding(BASELINE, [OTHERS]) == BASE


def test_lowest_looks_at_the_screening_seed_alone() -> None:
    rules = GateRules(kind="lowest")
    assert deciding("1A", [SCREEN, CONFIRM], rules) == [SCREEN]
    assert deciding(BASELINE, [], rules) == BASE[:1]
