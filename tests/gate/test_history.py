"""Which runs count, decided in one place."""

from dataclasses import replace

import pytest

from agent.core.experiment import BASELINE
from agent.gate.history import decision_runs
from tests.store.test_ledger import RUN

SCREEN, CONFIRM = RUN, replace(RUN, role="confirm", seed=1)
FAILED, SLOWED = replace(CONFIRM, status="crash", metric=None), replace(CONFIRM, status="contended")


@pytest.mark.parametrize(
    ("variant", "runs", "expected"),
    [
        ("1A", [SCREEN], [SCREEN]),
        ("1A", [SCREEN, CONFIRM], [CONFIRM]),
        ("1A", [SCREEN, FAILED, SLOWED], [SCREEN]),
        ("1A", [FAILED], []),
        (BASELINE, [SCREEN], []),
        (BASELINE, [SCREEN, CONFIRM], [CONFIRM]),
    ],
)
def test_a_screening_run_counts_where_a_variant_has_no_other_and_never_for_the_baseline(
    variant: str, runs: list[object], expected: list[object]
) -> None:
    assert decision_runs(variant, runs) == expected  # type: ignore[arg-type]
