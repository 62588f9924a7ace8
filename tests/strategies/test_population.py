"""What is known after a generation: seeds in order, penalties, losses, whatever order the runs ended in."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.experiment import Choice
from agent.core.trials import Candidate, ExploreRun, Trial
from agent.gate.stats import Noise
from agent.strategies.population import Plan, Pool, is_done, penalty, seed_at, start
from tests.support.landscape import question

A, B, C = (Candidate(name=name, sets={"train.EMB": size}) for name, size in (("A", 4), ("B", 8), ("C", 4)))


def recorded(*trials: Trial) -> dict[str, Trial]:
    return {one.name: one for one in trials}


def test_seeds_are_those_of_the_question_then_the_smallest_others() -> None:
    assert [seed_at(question(seeds=(42, 1)), place) for place in range(6)] == [42, 1, 0, 2, 3, 4]


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"num_params_M": 0.002, "num_steps": 500.0}, 0.02 * math.log(1e6)),
        ({"num_params_M": 0.002}, 0.0),
        ({"num_params_M": 0.0, "num_steps": 500.0}, 0.0),
        ({}, 0.0),
    ],
)
def test_a_penalty_grows_with_parameters_and_steps(metrics: dict[str, float], expected: float) -> None:
    assert penalty(Trial(candidate=A, metrics=metrics), 0.02) == pytest.approx(expected)
    assert penalty(Trial(candidate=A, metrics=metrics), 0.0) == 0.0


def test_a_run_is_done_where_it_has_a_value_or_its_candidate_failed() -> None:
    run = ExploreRun("A", 1)
    assert not is_done(run, {})
    assert not is_done(run, recorded(Trial(candidate=A, values={2: 1.0})))
    assert is_done(run, recorded(Trial(candidate=A, values={1: 1.0})))
    assert is_done(run, recorded(Trial(candidate=A, failure="it crashed")))


def test_a_pool_ranks_by_fitness_then_by_birth_and_leaves_out_what_failed() -> None:
    trials = [Trial(candidate=A, values={1: 2.0}), Trial(candidate=B, values={1: 1.0}), Trial(candidate=C, failure="x")]
    pool = Pool(recorded(*trials), Noise(0.0, 0))
    assert pool.ranked == ("B", "A")
    assert (pool.best, pool.best_fitness, pool.fitness["C"]) == ("B", 1.0, math.inf)
    assert Pool({}, Noise(0.0, 0)).best is None


def test_a_plan_is_closed_with_its_own_runs_only() -> None:
    asked = question(seeds=(7, 8))
    trials = recorded(Trial(candidate=A, values={7: 2.0, 8: 9.0}), Trial(candidate=B, values={7: 1.0}))
    state = start(asked).after(Plan(number=1, born=(A,), drawn=(B,)), trials)
    assert state.bred_trials["A"].values == {7: 2.0}
    assert state.bred.best == "A"
    assert state.generations[0].random_fitness == 1.0


def test_what_fails_later_was_sound_before() -> None:
    asked = question(seeds=(7, 8))
    trials = recorded(Trial(candidate=A, values={7: 2.0}, failure="it crashed"), Trial(candidate=B, values={7: 1.0}))
    first = start(asked).after(Plan(number=1, born=(A,), drawn=(B,)), trials)
    assert (first.bred.best, first.bred_trials["A"].failure) == ("A", "")
    second = first.after(Plan(number=2, elite="A", replicates=(ExploreRun("A", 8),)), trials)
    assert (second.bred.best, second.bred_trials["A"].failure) == (None, "it crashed")


@given(order=st.permutations([7, 8, 0]))
def test_the_order_in_which_runs_ended_is_not_seen(order: list[int]) -> None:
    plan = Plan(number=1, born=(A,), replicates=(ExploreRun("A", 8), ExploreRun("A", 0)))
    trials = recorded(Trial(candidate=A, values={seed: float(seed) for seed in order}))
    assert list(start(question(seeds=(7, 8))).after(plan, trials).bred_trials["A"].values) == [7, 8, 0]


def test_stagnation_counts_generations_whose_newborn_are_not_the_best() -> None:
    trials = recorded(*(Trial(candidate=one, values={42: loss}) for one, loss in ((A, 2.0), (B, 3.0), (C, 1.0))))
    state, counts = start(question()), []
    for number, one in enumerate((A, B, C), 1):
        state = state.after(Plan(number=number, elite=state.bred.best, born=(one,)), trials)
        counts.append(state.generations[-1].stagnant)
    assert counts == [0, 1, 0]
    assert state.generations[1].members == ("A", "B")
    assert [one.species for one in state.generations] == [1, 2, 1]


def test_two_losses_of_a_species_put_it_on_the_blacklist() -> None:
    asked = question(blacklist_above=2.3, space={"train.EMB": Choice((4, 8))})
    trials = recorded(
        Trial(candidate=A, values={42: 2.4}),
        Trial(candidate=B, values={42: 2.4, 43: 2.2}),
        Trial(candidate=C, failure="x"),
    )
    one = start(asked).after(Plan(number=1, born=(A, B), replicates=(ExploreRun("B", 43),)), trials)
    assert one.blacklist == frozenset()
    two = one.after(Plan(number=2, born=(C,)), trials)
    assert two.blacklist == {(4,)}
    assert two.losses[(4,)] == (2.4, math.inf)
