"""What is to run next: the rest of an answer stays needed, whatever its first run says."""

from random import Random

import pytest

from agent.core.experiment import GateRules
from agent.gate.history import Measurement
from agent.gate.schedule import ScheduledRun, next_runs, plan_size

ORDER = ("1A", "1B", "1C", "1D", "1E")
RULES = GateRules(kind="fixed", seeds=(7, 8, 9), baseline_runs=3, confirm_runs=3, remeasure_every=2)


@pytest.mark.parametrize(
    "rules", [RULES, GateRules(kind="lowest", seeds=(7,)), GateRules(kind="fixed", remeasure_every=1), GateRules()]
)
@pytest.mark.parametrize("seed", range(20))
def test_after_a_run_that_ended_well_the_rest_of_the_answer_is_the_next_answer(rules: GateRules, seed: int) -> None:
    random, measurements = Random(seed), list[Measurement]()
    answer, rest = next_runs(rules, ORDER, []), list[ScheduledRun]()
    while answer:
        if rest:
            assert answer == rest
        first, *rest = answer
        measurements.append(Measurement(first.variant, first.seed, first.role, random.gauss(0, 1)))
        answer = next_runs(rules, ORDER, measurements)
    assert rest == []
    assert len(measurements) <= plan_size(rules, len(ORDER))
