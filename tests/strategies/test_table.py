"""The table strategy is the gate's own schedule and judgement."""

from agent.core.experiment import BASELINE, GateRules
from agent.core.trials import Question
from agent.gate.history import Measurement
from agent.gate.schedule import next_runs, plan_size
from agent.gate.verdict import judge
from agent.strategies import table
from agent.strategies.strategy import CampaignState

QUESTION = Question(issue=3, seeds=(0, 1, 2), base={})
RULES = GateRules(seeds=(0, 1, 2), min_gain=0.001)
ORDER = ("1D", "1C")
BASE = [Measurement(BASELINE, seed, "baseline", 1.0 + seed / 1000) for seed in range(3)]


def _state(*measurements: Measurement) -> CampaignState:
    return CampaignState(question=QUESTION, rules=RULES, order=ORDER, measurements=(*BASE, *measurements))


def test_the_next_runs_are_those_that_the_gate_asks_for_in_the_order_of_the_issue() -> None:
    step = table.next_step(_state())
    assert [one.variant for one in step.runs] == ["1D", "1C"]
    assert list(step.runs) == next_runs(RULES, ORDER, BASE)
    assert not step.candidates


def test_where_the_gate_can_speak_the_step_is_empty_and_the_conclusion_is_its_result() -> None:
    state = _state(Measurement("1D", 0, "screen", 1.1), Measurement("1C", 0, "screen", 1.2))
    assert table.next_step(state).runs == ()
    conclusion = table.conclude(state)
    assert conclusion.result == judge(RULES, ORDER, state.measurements)
    assert conclusion.findings is None


def test_the_size_is_that_of_the_gates_plan() -> None:
    assert table.size(QUESTION, RULES, 2) == plan_size(RULES, 2) == 11
