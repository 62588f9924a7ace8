"""The verdicts that need no test."""

from agent.core.experiment import BASELINE, GateRules
from agent.gate.history import Measurement, read_history
from agent.gate.results import chance_of_false_winner, nobody, without_baseline

LOWEST = GateRules(kind="lowest")


def test_the_chance_of_a_false_winner_is_that_of_a_race_among_equals() -> None:
    assert [chance_of_false_winner(variants) for variants in (1, 4, 20)] == [1 / 2, 4 / 5, 20 / 21]


def test_without_a_baseline_everything_failed() -> None:
    result = without_baseline(read_history(LOWEST, ("a",), [Measurement(BASELINE, 0, "baseline", None)]))
    assert [one.decision for one in (result.verdict, *result.variants)] == ["failed", "failed"]


def test_where_nobody_leads_the_chance_stands_beside_it_with_the_gate_lowest_only() -> None:
    seen = [Measurement(BASELINE, 0, "baseline", 1.0), Measurement("a", 0, "screen", 2.0)]
    assert "of the time" in nobody(read_history(LOWEST, ("a",), seen)).reason
    assert "of the time" not in nobody(read_history(GateRules(kind="fixed", baseline_runs=1), ("a",), seen)).reason
