"""The next generation: who is born in what event, who runs once more, what ends it."""

from collections import Counter
from functools import cache

import pytest

from agent.core.trials import Candidate, ExploreRun, Trial
from agent.strategies import evolve
from agent.strategies.breeding import CATACLYSM, CHAMPIONSHIP, event_after, next_plan
from agent.strategies.population import Plan, State, start
from tests.support.landscape import Lab, question, smooth


@cache
def stagnant() -> Lab:
    """An evolution in which nothing improves, so that every event comes."""
    return Lab(question(generations=9), lambda *_: 2.0).finish()


def after(generations: int) -> State:
    """The state of that evolution after so many generations."""
    early = [one for one in stagnant().trials.values() if one.candidate.generation <= generations]
    return evolve.evolution(stagnant().question, early)


def origins(plan: Plan) -> Counter[str]:
    return Counter(one.origin for one in plan.born)


@pytest.mark.parametrize(
    ("stagnant", "event"),
    [(0, ""), (1, ""), (2, CHAMPIONSHIP), (3, ""), (4, CATACLYSM), (5, ""), (6, CHAMPIONSHIP), (8, CATACLYSM)],
)
def test_stagnation_brings_a_championship_then_a_cataclysm(stagnant: int, event: str) -> None:
    assert event_after(stagnant) == event


def test_the_first_generation_is_random() -> None:
    plan = next_plan(start(question()))
    assert origins(plan) == {"random": 8}
    assert (plan.elite, plan.replicates) == (None, ())


def test_an_ordinary_generation_crosses_and_mutates() -> None:
    plan = next_plan(after(1))
    assert plan.event == ""
    assert origins(plan) == {"cross": 2, "mutant": 2, "hyper": 1, "immigrant": 2}
    parents = {one.origin: len(one.parents) for one in plan.born}
    assert parents == {"cross": 2, "mutant": 1, "hyper": 1, "immigrant": 0}


def test_a_championship_crosses_the_top_three_tunes_and_grows_and_evaluates_the_elite_once_more() -> None:
    state = after(3)
    plan = next_plan(state)
    assert plan.event == CHAMPIONSHIP
    assert origins(plan) == {"champion": 3, "tuned": 1, "grown": 1, "immigrant": 2}
    top = state.bred.ranked[:3]
    champions = [set(one.parents) for one in plan.born if one.origin == "champion"]
    assert all(one <= set(top) and len(one) == 2 for one in champions)
    assert len({frozenset(one) for one in champions}) == 3
    (bigger,) = (one for one in plan.born if one.origin == "grown")
    assert bigger.parents == (top[0],)
    assert plan.replicates[0].name == plan.elite == top[0]


def test_a_championship_evaluates_an_elite_that_has_had_its_runs() -> None:
    state = after(7)
    assert len(state.bred.trials[state.bred.best or ""].values) >= 4
    plan = next_plan(state)
    assert plan.event == CHAMPIONSHIP
    assert [run.name for run in plan.replicates] == [state.bred.best]
    assert next_plan(after(8)).replicates == ()


def test_a_cataclysm_is_a_wide_random_population_beside_the_elite() -> None:
    plan = next_plan(after(5))
    assert plan.event == CATACLYSM
    assert origins(plan) == {"cataclysm": 7}
    assert plan.elite == after(5).bred.best
    assert len({one.sets["train.LAYERS"] for one in plan.born}) >= 6


def test_the_top_three_run_on_their_next_seed() -> None:
    plan = next_plan(after(1))
    top = after(1).bred.ranked[:3]
    assert plan.replicates == tuple(ExploreRun(name, 43) for name in top)
    assert [run.seed for run in plan.drawn_replicates] == [43] * 3


@pytest.mark.parametrize("population", [1, 2, 3, 5])
def test_a_small_population_evolves_too(population: int) -> None:
    lab = Lab(question(generations=4, population=population), smooth()).finish()
    state = evolve.evolution(lab.question, list(lab.trials.values()))
    assert all(len(one.members) == population for one in state.generations)


def test_after_the_last_generation_the_best_meet_on_seeds_that_neither_has_run_on() -> None:
    state = after(9)
    assert len(state.generations) == 9
    plan = next_plan(evolve.evolution(stagnant().question, list(stagnant().trials.values())))
    assert plan is None
    final = evolve.evolution(stagnant().question, list(stagnant().trials.values())).final
    runs = [[run for run in stagnant().ran if run.name == name] for name in (final.bred, final.drawn)]
    for own in runs:
        assert [run.seed for run in own][-3:] == list(final.seeds)
        assert len({run.seed for run in own}) == len(own)


def test_parents_are_sound_ones_of_the_last_generation_or_else_of_any() -> None:
    a, b = Candidate(name="a", sets={"train.EMB": 8}), Candidate(name="b", sets={"train.EMB": 16})
    trials = {"a": Trial(candidate=a, values={42: 2.0}), "b": Trial(candidate=b, failure="it crashed")}
    state = start(question()).after(Plan(number=1, born=(a,)), trials).after(Plan(number=2, born=(b,)), trials)
    assert {name for one in next_plan(state).born for name in one.parents} == {"a"}


def test_names_of_the_issue_are_left_alone() -> None:
    listed = Candidate(name="g01-2", sets={"train.EMB": 24})
    plan = next_plan(start(question(variants=(listed,), population=4)))
    assert [one.name for one in plan.born] == ["g01-2", "g01-1", "g01-3", "g01-4"]
