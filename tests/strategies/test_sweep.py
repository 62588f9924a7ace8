"""A sweep and a grid: what runs next, what is best, what the report says."""

import pytest

from agent.core.experiment import BASELINE
from agent.core.trials import Candidate, ExploreRun, Question, Trial
from agent.strategies import sweep
from tests.strategies.test_factors import SEEDS, SWEEP, grid, question, trial

BASE = Candidate(name=BASELINE, sets={}, origin="base")


def measured() -> list[Trial]:
    rows = [
        (BASELINE, (2.00, 2.01, 2.02), 6.3), ("D12", (1.99, 2.00, 2.01), 9.5), ("D2", (2.12, 2.13, 2.14), 1.6),
        ("W128", (2.21, 2.22, 2.23), 1.7), ("gelu", (2.0, 2.005, 2.01), 6.3),
    ]  # fmt: skip
    return [
        trial(name, SWEEP.get(name, {}), *values, num_params_M=millions, step_seconds=millions / 100, valid_words=0.9)
        for name, values, millions in rows
    ]


def test_the_base_is_a_candidate_where_no_variant_is_like_it_and_then_runs_with_the_others() -> None:
    first = sweep.next_step(question(SWEEP), [])
    assert first.candidates == (BASE,)
    second = sweep.next_step(
        question(SWEEP), [*(Trial(candidate=one) for one in question(SWEEP).variants), Trial(candidate=BASE)]
    )
    assert second.candidates == ()
    assert second.runs[:5] == tuple(ExploreRun(name, 1) for name in [*SWEEP, BASELINE])
    assert len(second.runs) == 5 * len(SEEDS)


def test_a_sweep_ends_when_all_have_run_and_what_failed_runs_no_more() -> None:
    trials = measured()
    assert sweep.next_step(question(SWEEP), trials).runs == ()
    trials[2] = Trial(candidate=trials[2].candidate, failure="oom")
    assert sweep.next_step(question(SWEEP), trials).runs == ()


def test_one_combination_runs_once() -> None:
    twice = {**SWEEP, "D8": {"DEPTH": 8}, "W256": {"WIDTH": 256}}
    step = sweep.next_step(question(twice), [])
    assert step.candidates == ()
    assert "W256" not in {run.name for run in step.runs}


def test_the_best_is_a_variant_that_is_lower_than_the_base() -> None:
    trials = measured()
    assert sweep.best(question(SWEEP), trials) == "D12"
    trials[0] = trial(BASELINE, {}, 1.0)
    assert sweep.best(question(SWEEP), trials) is None
    assert sweep.best(question(SWEEP), trials[1:]) == "D12"
    assert sweep.best(question(SWEEP), []) is None


def test_the_report_orders_factors_by_spread() -> None:
    findings = sweep.conclude(question(SWEEP), measured())
    assert findings.headline == "spread a factor, the largest first: WIDTH 0.2100, DEPTH 0.1300, ACT 0.0050"
    effects = {effect.name: effect for effect in findings.effects}
    assert effects["spread of DEPTH"].gain == pytest.approx(0.13)
    assert effects["D2"].gain == pytest.approx(-0.12)
    low, high = effects["spread of ACT"].interval or (1, 1)
    assert low == 0 < 0.005 < high
    assert any("Tukey" in note for note in findings.notes)


def test_a_failed_level_is_named_and_without_replicates_there_is_no_interval() -> None:
    trials = [trial(BASELINE, {}, 2.0), Trial(candidate=Candidate(name="D2", sets={"DEPTH": 2}), failure="oom")]
    trials.append(trial("D12", {"DEPTH": 12}, 1.9))
    findings = sweep.conclude(question(SWEEP), trials)
    assert "D2 failed: oom" in findings.notes
    assert any("noise is unknown" in note for note in findings.notes)
    assert findings.effects[0].interval is None


def test_nothing_has_run() -> None:
    assert sweep.conclude(question(SWEEP), []).headline == "no variant has a value"


def test_a_grid_says_how_many_pairs_deviate() -> None:
    design = grid(2.2, 2.0, 2.0, 1.9)
    asked = Question(issue=1, seeds=SEEDS, base=design.base, variants=tuple(one.candidate for one in design.trials))
    findings = sweep.conclude(asked, design.trials)
    assert findings.headline.endswith("; 1 of 1 pairs deviate from the sum of their factors")
    assert [table.title for table in findings.tables] == ["Spread by factor", "Levels", "Pairs"]
    assert findings.effects[-1].name == "G2 beyond the sum"
