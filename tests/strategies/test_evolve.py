"""Evolution: the same whatever interrupts it, fair beside random search, hard to fool by luck, and it always ends."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.experiment import Choice, Constant, Range
from agent.core.trials import Candidate, Exploration, Question, Step
from agent.core.values import is_name
from agent.gate.stats import mean
from agent.strategies import evolve
from tests.support.landscape import BASE, Lab, noise, question, smooth

STRATEGY: Exploration = evolve
ORIGINS = {
    *("random", "elite", "mutant", "cross", "hyper", "immigrant", "re-eval", "cataclysm", "grown", "champion", "tuned"),
    "random search",
}


def stagnant(generations: int = 8, **options: object) -> Lab:
    """An evolution whose first organism stays the best."""
    return Lab(question(generations=generations, **options), lambda *_: 2.0).finish()


def crashes(sets: Mapping[str, Constant], seed: int) -> float | str:
    """Fails for every fourth shape or so, some of them only on the second seed."""
    doom = Random(f"{sorted(sets.items())}").random()
    if doom < 0.15 or (doom < 0.3 and seed == 43):
        return "it crashed"
    return smooth(0.05)(sets, seed)


def without_order(lab: Lab) -> object:
    """What a lab has on record, in no order."""
    return {name: (one.candidate, dict(sorted(one.values.items()))) for name, one in sorted(lab.trials.items())}


def test_the_same_issue_gives_the_same_lineage_and_another_issue_another() -> None:
    one, same = (Lab(question(generations=4), smooth()).finish() for _ in range(2))
    assert list(one.trials.values()) == list(same.trials.values())
    other = Lab(question(generations=4, issue=22), smooth()).finish()
    assert [each.candidate.sets for each in other.trials.values()] != [
        each.candidate.sets for each in one.trials.values()
    ]


@cache
def uninterrupted() -> Lab:
    return Lab(question(generations=4, population=5, blacklist_above=2.3, parsimony=0.02), crashes).finish()


@given(seed=st.integers(0, 2**32))
@settings(max_examples=6, deadline=None)
def test_stopped_anywhere_it_goes_on_to_the_same_lineage(seed: int) -> None:
    lab = Lab(uninterrupted().question, crashes).finish_interrupted(Random(seed))
    for name, one in uninterrupted().trials.items():
        assert lab.trials[name].candidate == one.candidate
        assert lab.trials[name].failure == one.failure
        assert one.failure or lab.trials[name].values == one.values
    assert lab.trials.keys() == uninterrupted().trials.keys()
    trials = [list(each.trials.values()) for each in (lab, uninterrupted())]
    Random(seed).shuffle(trials[0])
    conclusions = [evolve.conclude(lab.question, each) for each in trials]
    assert conclusions[0] == conclusions[1]
    assert evolve.lineage(lab.question, trials[0]) == evolve.lineage(lab.question, trials[1])


def test_in_mid_generation_only_what_is_missing_is_needed() -> None:
    lab = Lab(question(), smooth())
    first = lab.step()
    for candidate in first.candidates[:10]:
        lab.record(candidate)
    for run in first.runs[3:7]:
        lab.run(run)
    assert lab.step() == Step(first.candidates[10:], first.runs[:3] + first.runs[7:])


def test_names_are_unique_and_may_be_branches() -> None:
    names = [one.name for step in uninterrupted().steps for one in step.candidates]
    assert len(names) == len(set(names))
    assert all(map(is_name, names))
    assert {"g01-1", "r01-5", "g04-1"} <= set(names)


def test_no_two_candidates_have_the_same_genome() -> None:
    sets = [tuple(one.candidate.sets.items()) for one in uninterrupted().trials.values()]
    assert len(sets) == len(set(sets))


def test_every_origin_appears_where_nothing_improves() -> None:
    lab = stagnant()
    rows = evolve.lineage(lab.question, list(lab.trials.values()))
    assert {row.origin for row in rows} == ORIGINS
    events = [one.event for one in evolve.evolution(lab.question, list(lab.trials.values())).generations]
    assert events == ["", "", "", "championship", "", "cataclysm", "", "championship"]


def test_a_generation_has_the_elite_two_immigrants_and_eight_places() -> None:
    lab = Lab(question(generations=3), smooth()).finish()
    rows = [row for row in evolve.lineage(lab.question, list(lab.trials.values())) if row.generation == 2]
    origins = [row.origin for row in rows if row.origin != "random search"]
    assert origins == ["elite", "cross", "mutant", "cross", "mutant", "hyper", "immigrant", "immigrant"]


def test_random_search_has_as_many_runs_in_every_generation() -> None:
    for lab in (uninterrupted(), stagnant()):
        for step in lab.steps:
            sides = [run.name[0] for run in step.runs]
            assert sides.count("g") == sides.count("r")
        for one in evolve.evolution(lab.question, list(lab.trials.values())).generations:
            assert one.runs == one.random_runs


def test_both_run_in_one_step() -> None:
    lab = Lab(question(), smooth())
    origins = [one.origin for one in lab.step().candidates]
    assert origins == ["random"] * 8 + ["random search"] * 8
    assert {run.seed for run in lab.step().runs} == {42}


def test_evolution_beats_random_search_on_a_smooth_objective() -> None:
    wins = 0
    for issue in range(3):
        lab = Lab(question(generations=10, issue=issue), smooth(0.02)).finish()
        findings = evolve.conclude(lab.question, list(lab.trials.values()))
        interval = findings.effects[0].interval
        wins += bool(interval and interval[0] > 0)
        assert "Evolution beat random search by" in findings.headline or not (interval and interval[0] > 0)
    assert wins == 3


def test_on_pure_noise_it_does_not_claim_to_beat_random_search() -> None:
    claims = 0
    for issue in range(10):
        pure = Lab(question(generations=2, issue=issue), lambda sets, seed: 2 + noise(sets, seed, 0.3)).finish()
        (effect,) = evolve.conclude(pure.question, list(pure.trials.values())).effects
        claims += effect.interval is not None and effect.interval[0] > 0
    assert claims <= 2


def test_the_comparison_counts_fresh_runs_only() -> None:
    lab = Lab(question(generations=3), smooth(0.05)).finish()
    state = evolve.evolution(lab.question, list(lab.trials.values()))
    (effect,) = evolve.conclude(lab.question, list(lab.trials.values())).effects
    bred, drawn = state.bred_trials[state.final.bred], state.drawn_trials[state.final.drawn]
    before = lab.steps[-2]
    assert {run.seed for run in before.runs} == set(state.final.seeds)
    assert effect.n == len(state.final.seeds) == 3
    means = [mean([one.values[seed] for seed in state.final.seeds]) for one in (bred, drawn)]
    assert effect.gain == pytest.approx(means[1] - means[0])


def test_the_comparison_has_the_penalty() -> None:
    lab = Lab(question(generations=2, parsimony=0.5), smooth(0.05)).finish()
    final = evolve.evolution(lab.question, list(lab.trials.values())).final
    (effect,) = evolve.conclude(lab.question, list(lab.trials.values())).effects
    costs = []
    for one in (lab.trials[final.bred], lab.trials[final.drawn]):
        work = one.metrics["num_params_M"] * 1e6 * one.metrics["num_steps"]
        costs.append(mean([one.values[seed] for seed in final.seeds]) + 0.5 * math.log(work))
    assert effect.gain == pytest.approx(costs[1] - costs[0])


def lucky(sets: Mapping[str, Constant], seed: int) -> float | str:
    """One organism of the first generation is the best of it on the first seed, and poor on all others."""
    if sets == lucky_sets():
        return 1.4 if seed == 42 else 2.2
    return smooth(0.2)(sets, seed)


@cache
def lucky_sets() -> Mapping[str, Constant]:
    return Lab(question(), smooth()).step().candidates[3].sets


def test_a_lucky_score_of_the_elite_is_corrected_by_replication() -> None:
    lab = Lab(question(generations=6), lucky).finish()
    trials = list(lab.trials.values())
    rows = [row for row in evolve.lineage(lab.question, trials) if row.name == "g01-4"]
    assert [row.origin for row in rows[:2]] == ["random", "elite"]
    assert rows[0].fitness == 1.4
    assert rows[1].fitness > 1.75
    assert evolve.best(lab.question, trials) != "g01-4"


def test_a_species_with_two_losses_bears_no_more() -> None:
    space = {"train.EMB": Choice((4, 24)), "train.LR": Range(1e-3, 1e-1, log=True)}
    asked = question(generations=6, space=space, blacklist_above=2.3)
    lab = Lab(asked, lambda sets, seed: (2.5 if sets["train.EMB"] == 4 else 1.5) + noise(sets, seed, 0.01)).finish()
    assert evolve.evolution(asked, list(lab.trials.values())).blacklist == {(4,)}
    born = [one for one in lab.trials.values() if one.name.startswith("g") and one.candidate.sets["train.EMB"] == 4]
    assert {one.candidate.generation for one in born} == {1}
    assert len(born) >= 2
    free = [one for one in lab.trials.values() if one.name.startswith("r") and one.candidate.sets["train.EMB"] == 4]
    assert len({one.candidate.generation for one in free}) > 2
    (table,) = (one for one in evolve.conclude(asked, list(lab.trials.values())).tables if one.title == "Blacklist")
    assert table.rows[0][0] == "4"


def test_a_blacklist_of_a_space_without_species_stops_nothing() -> None:
    space = {"train.LR": Range(1e-3, 1e-1, log=True)}
    lab = Lab(question(generations=3, space=space, blacklist_above=0.0), smooth()).finish()
    assert any(one.candidate.generation == 3 for one in lab.trials.values())


def test_a_crash_is_a_failed_organism_and_not_the_end() -> None:
    failed = [one for one in uninterrupted().trials.values() if one.failure]
    assert any(one.values for one in failed)
    assert any(not one.values for one in failed)
    assert max(one.candidate.generation for one in uninterrupted().trials.values()) == 4
    assert evolve.best(uninterrupted().question, list(uninterrupted().trials.values())) not in {
        one.name for one in failed
    }


def test_shapes_that_are_refused_cost_no_run_and_the_evolution_goes_on() -> None:
    def refused(sets: Mapping[str, Constant]) -> str:
        return "HEADS does not divide EMB" if sets["train.HEADS"] == 4 else ""

    lab = Lab(question(generations=5), smooth(), broken=refused).finish()
    assert not any(lab.trials[run.name].candidate.sets["train.HEADS"] == 4 for run in lab.ran)
    assert evolve.conclude(lab.question, list(lab.trials.values())).effects


@pytest.mark.parametrize("refused", [True, False])
def test_a_space_with_no_valid_shape_ends_and_says_so(refused: bool) -> None:
    lab = Lab(question(), lambda *_: "no memory", broken=lambda _: "no memory" if refused else "").finish()
    trials = list(lab.trials.values())
    assert len(trials) == 48
    findings = evolve.conclude(lab.question, trials)
    assert findings.headline.startswith("None of 48 candidates has a value; 48 failed. The first: g01-1: no memory.")
    assert evolve.best(lab.question, trials) is None


def test_a_small_space_is_used_up_and_the_evolution_ends() -> None:
    space = {"train.EMB": Choice((4, 8, 16)), "train.HEADS": Choice((1, 2))}
    lab = Lab(question(generations=6, space=space), smooth()).finish()
    assert len(lab.trials) == 6
    assert evolve.best(lab.question, list(lab.trials.values())) is not None


def test_without_a_space_there_is_nothing_to_evolve() -> None:
    asked = Question(issue=1, seeds=(1,), base=BASE)
    assert evolve.next_step(asked, []) == Step()
    assert "no space" in evolve.conclude(asked, []).headline


def test_what_the_issue_lists_is_in_the_first_generation() -> None:
    listed = Candidate(name="1A", sets={"train.EMB": 24, "train.LAYERS": 4})
    lab = Lab(question(generations=2, variants=(listed,)), smooth())
    first = lab.step()
    assert [one.name for one in first.candidates][:3] == ["g01-1", "g01-2", "g01-3"]
    assert len(first.candidates) == 15
    assert first.runs[0].name == "1A"
    lab.finish()
    state = evolve.evolution(lab.question, list(lab.trials.values()))
    assert state.generations[0].members[0] == "1A"


def test_parsimony_prefers_the_smaller_of_two_that_are_as_good() -> None:
    def loss(sets: Mapping[str, Constant], seed: int) -> float:
        return 2.0 + noise(sets, seed, 0.001)

    lab = Lab(question(generations=6, parsimony=0.02), loss).finish()
    trials = list(lab.trials.values())
    winner = lab.trials[evolve.best(lab.question, trials) or ""]
    costs = [one.metrics["num_params_M"] * one.metrics["num_steps"] for one in trials]
    assert winner.metrics["num_params_M"] * winner.metrics["num_steps"] <= sorted(costs)[2]
    assert any("ln(parameters x steps)" in note for note in evolve.conclude(lab.question, trials).notes)


def test_a_penalty_that_cannot_be_known_is_said() -> None:
    lab = Lab(question(generations=2, parsimony=0.02), smooth()).finish()
    trials = [replace(one, metrics={}) for one in lab.trials.values()]
    assert any("No penalty for" in note for note in evolve.conclude(lab.question, trials).notes)


def test_a_loss_that_is_no_number_is_a_failure() -> None:
    lab = Lab(question(generations=2), lambda sets, _: math.nan if sets["train.EMB"] == 4 else 2.0).finish()
    assert lab.trials[evolve.best(lab.question, list(lab.trials.values())) or ""].candidate.sets["train.EMB"] != 4


@pytest.mark.parametrize(
    ("worse", "words"),
    [
        (-1.0, "Evolution beat random search by"),
        (1.0, "Random search beat evolution by"),
        (0.0, "is open: its gain is"),
    ],
)
def test_the_verdict_is_in_words_for_either_side(worse: float, words: str) -> None:
    lab = Lab(question(generations=2), lambda sets, seed: 2.0 + noise(sets, seed, 0.1)).finish()
    final = evolve.evolution(lab.question, list(lab.trials.values())).final
    shifts = dict(zip(final.seeds, (-0.1, 0.0, 0.1), strict=True))
    for name, extra in ((final.bred, worse), (final.drawn, 0.0)):
        one = lab.trials[name]
        moved = {seed: 2.0 + extra + shifts[seed] for seed in final.seeds}
        lab.trials[name] = replace(one, values={**one.values, **moved})
    summary = evolve.conclude(lab.question, list(lab.trials.values())).headline
    assert words in summary
    assert f"{abs(worse):.4f} (90 %: " in summary


def test_before_the_end_it_says_how_far_it_is() -> None:
    lab = Lab(question(generations=5), smooth())
    assert "first generation is not complete" in evolve.conclude(lab.question, []).headline
    for _ in range(2):
        step = lab.step()
        for candidate in step.candidates:
            lab.record(candidate)
        for run in step.runs:
            lab.run(run)
    assert "2 of 5 generations" in evolve.conclude(lab.question, list(lab.trials.values())).headline


def test_a_finalist_that_fails_in_the_final_is_not_the_best() -> None:
    lab = Lab(question(generations=2), smooth())
    while True:
        step = lab.step()
        final = not step.candidates
        for candidate in step.candidates:
            lab.record(candidate)
        for run in step.runs:
            if final and run.name == step.runs[0].name:
                lab.trials[run.name] = replace(lab.trials[run.name], failure="it crashed")
            lab.run(run)
        if final:
            break
    trials = list(lab.trials.values())
    assert lab.step() == Step()
    assert evolve.best(lab.question, trials) == step.runs[-1].name
    assert "cannot be compared" in evolve.conclude(lab.question, trials).headline


def test_where_both_finalists_fail_the_best_is_the_fittest_of_the_others() -> None:
    lab = Lab(question(generations=2), smooth()).finish()
    final = evolve.evolution(lab.question, list(lab.trials.values())).final
    for name in (final.bred, final.drawn):
        kept = {seed: value for seed, value in lab.trials[name].values.items() if seed not in final.seeds}
        lab.trials[name] = replace(lab.trials[name], values=kept, failure="it crashed")
    trials = list(lab.trials.values())
    others = [one for one in trials if not one.failure]
    assert evolve.next_step(lab.question, trials) == Step()
    assert evolve.best(lab.question, trials) == min(others, key=lambda one: mean(one.values.values())).name
