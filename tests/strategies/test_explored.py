"""A strategy that explores: its runs choose a candidate, and fresh seeds judge it."""

from collections.abc import Sequence

import pytest

from agent.core.experiment import BASELINE, GateRules
from agent.core.trials import Candidate, ExploreRun, Findings, Question, Step, Trial
from agent.gate.history import Measurement
from agent.gate.schedule import plan_size
from agent.strategies.effects import best_of
from agent.strategies.explored import Explored
from agent.strategies.strategy import CampaignState
from agent.strategies.trials import read_trials

A, B = Candidate(name="A", sets={"DEPTH": 2}), Candidate(name="B", sets={"DEPTH": 4})
QUESTION = Question(issue=3, seeds=(0, 1), base={"DEPTH": 1}, variants=(A,))
RULES = GateRules(seeds=(0, 1, 2), min_gain=0.001)


class Once:
    """Adds B to the issue's A, and runs each once on the first seed."""

    def next_step(self, question: Question, trials: Sequence[Trial]) -> Step:
        if len(trials) == 1:
            return Step((B,))
        missing = [one.name for one in trials if not one.values and not one.failure]
        return Step(runs=tuple(ExploreRun(name, question.seeds[0]) for name in missing))

    def best(self, question: Question, trials: Sequence[Trial]) -> str | None:  # noqa: ARG002 (the Protocol's)
        return best_of(trials)

    def conclude(self, question: Question, trials: Sequence[Trial]) -> Findings:  # noqa: ARG002 (the Protocol's)
        return Findings(f"{len(trials)} tried")

    def size(self, question: Question) -> int:  # noqa: ARG002 (the Protocol's)
        return 2


STRATEGY = Explored(Once())


def _screen(name: str, value: float | None, seed: int | None = 0) -> Measurement:
    return Measurement(name, seed, "screen", value, failure="" if value else "crash")


def _state(
    *explored: Measurement,
    rules: GateRules = RULES,
    later: Sequence[Measurement] = (),
    refused: str = "",
    added: bool = True,
) -> CampaignState:
    return CampaignState(
        question=QUESTION,
        rules=rules,
        order=("A", "B") if added else ("A",),
        measurements=(*explored, *later),
        explored=explored,
        candidates=(B,) if added else (),
        refused={refused: "no such shape"} if refused else {},
    )


def test_new_candidates_come_first_then_their_runs_as_screening_runs() -> None:
    assert STRATEGY.next_step(_state(added=False)).candidates == (B,)
    runs = STRATEGY.next_step(_state()).runs
    assert [(one.variant, one.seed, one.role) for one in runs] == [("A", 0, "screen"), ("B", 0, "screen")]


def test_after_the_exploration_the_gate_measures_the_baseline_and_confirms_the_best_on_seeds_that_nobody_used() -> None:
    explored = (_screen("A", 0.9), _screen("B", 0.8))
    base = [Measurement(BASELINE, seed, "baseline", 1.0 + seed / 1000) for seed in range(3)]
    first = STRATEGY.next_step(_state(*explored)).runs
    assert [(one.variant, one.role) for one in first] == [(BASELINE, "baseline")] * 2
    then = STRATEGY.next_step(_state(*explored, later=base)).runs
    assert [(one.variant, one.role) for one in then] == [("B", "confirm")]
    assert then[0].seed == 1, "B has not run on this seed, and the baseline has"


def test_the_verdict_rests_on_the_confirmations_and_names_what_else_was_explored() -> None:
    later = [Measurement(BASELINE, seed, "baseline", 1.0 + seed / 1000) for seed in range(3)]
    later += [Measurement("B", seed, "confirm", 0.95 + seed / 1000) for seed in (3, 4, 5)]
    conclusion = STRATEGY.conclude(_state(_screen("A", 0.9), _screen("B", 0.1), later=later))
    assert conclusion.result.verdict.variant == "B"
    assert conclusion.result.verdict.decision == "keep"
    assert conclusion.result.verdict.mean == pytest.approx(0.954)
    assert {one.variant: one.decision for one in conclusion.result.variants} == {"A": "measured", "B": "keep"}
    assert conclusion.findings == Findings("2 tried")


def test_where_the_issue_only_wants_a_report_no_baseline_runs_and_nothing_is_kept() -> None:
    state = _state(_screen("A", 0.9), _screen("B", 0.8), rules=GateRules(kind="report", seeds=(0, 1)))
    assert STRATEGY.next_step(state).runs == ()
    verdict = STRATEGY.conclude(state).result.verdict
    assert (verdict.variant, verdict.decision, verdict.mean, verdict.reason) == ("B", "measured", 0.8, "2 tried")


def test_a_candidate_that_cannot_run_is_a_failed_trial_with_the_reason() -> None:
    [_, refused] = read_trials(_state(_screen("A", 0.9), refused="B"))
    assert (refused.failure, dict(refused.values)) == ("no such shape", {})
    assert [one.variant for one in STRATEGY.next_step(_state(_screen("A", 0.9), refused="B")).runs] == [BASELINE] * 2


def test_what_the_audit_refuses_is_not_the_best_and_the_exploration_stays_as_it_was() -> None:
    audit = Measurement("B", None, "confirm", None, failure="it failed its audit")
    state = _state(_screen("A", 0.9), _screen("B", 0.8), later=[audit])
    assert not read_trials(state)[1].failure
    base = [Measurement(BASELINE, seed, "baseline", 1.0 + seed / 1000) for seed in range(3)]
    runs = STRATEGY.next_step(_state(_screen("A", 0.9), _screen("B", 0.8), later=[*base, audit])).runs
    assert {one.variant for one in runs} == {"A"}


def test_nothing_with_a_value_is_a_failed_verdict() -> None:
    state = _state(_screen("A", None), _screen("B", None))
    assert STRATEGY.next_step(state).runs == ()
    verdict = STRATEGY.conclude(state).result.verdict
    assert (verdict.variant, verdict.decision) == (None, "failed")


def test_more_of_the_metric_is_better_where_the_track_says_so() -> None:
    rules = GateRules(kind="report", seeds=(0, 1), goal="max")
    verdict = STRATEGY.conclude(_state(_screen("A", 0.9), _screen("B", 0.8), rules=rules)).result.verdict
    assert (verdict.variant, verdict.mean) == ("A", 0.9)


def test_the_size_has_the_gates_runs_where_the_best_is_confirmed() -> None:
    assert STRATEGY.size(QUESTION, RULES, 1) == 2 + plan_size(RULES, 1)
    assert STRATEGY.size(QUESTION, GateRules(kind="report"), 1) == 2
