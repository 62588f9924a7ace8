"""A search from its first step to its findings, with an objective in place of runs."""

import math
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.errors import BadInput
from agent.core.experiment import BASELINE, Choice, Constant, Range, SearchOptions
from agent.core.trials import Candidate, Exploration, Question, Step, Trial
from agent.strategies import sampler, search

Sets = Mapping[str, Constant]
SPACE = {"LR": Range(1e-4, 1, log=True), "WIDTH": Range(128, 1024, step=64), "DROP": Range(0, 0.6)}
QUESTION = Question(issue=13, seeds=(1, 2, 3), base={}, space=SPACE, search=SearchOptions(trials=14, batch=3))
BASE = {"LR": 0.1, "WIDTH": 512, "DROP": 0.0, "OTHER": 1}


def loss(sets: Sets, seed: int = 0, noise: float = 0.0) -> float:
    """A bowl whose lowest point is LR 0.01, WIDTH 384, DROP 0.2, at 0."""
    scatter = random.Random(f"{sorted((name, sets[name]) for name in SPACE)}{seed}").gauss(0, noise)
    at = (math.log10(sets["LR"]) + 2) ** 2 + 0.1 * (sets["WIDTH"] / 128 - 3) ** 2 + 5 * (sets["DROP"] - 0.2) ** 2
    return at + scatter


def noisy(sets: Sets, seed: int) -> float:
    return loss(sets, seed, 0.05)


Objective = Callable[[Sets, int], float | str]


class Campaign:
    """Carries out steps as the engine does: candidates are put on record, then each run. It may be killed anywhere."""

    def __init__(self, question: Question, objective: Objective = noisy, *, kill_after: int = 10**9) -> None:
        self.question, self.objective, self.left = question, objective, kill_after
        self.trials = [Trial(candidate=one) for one in question.variants]
        self.steps: list[Step] = []

    def run(self) -> "Campaign":
        while self.left > 0 and (step := search.next_step(self.question, self.trials)) != Step():
            self.steps.append(step)
            assert len(self.steps) < 120, "it never ends"
            self._carry_out(step)
        return self

    def _carry_out(self, step: Step) -> None:
        for one in step.candidates:
            if self._spend():
                self.trials.append(Trial(candidate=one))
        for run in step.runs:
            if self._spend():
                self._run(run.name, run.seed)

    def _spend(self) -> bool:
        self.left -= 1
        return self.left >= 0

    def _run(self, name: str, seed: int) -> None:
        place = next(n for n, one in enumerate(self.trials) if one.name == name)
        trial = self.trials[place]
        result = self.objective({**self.question.base, **trial.candidate.sets}, seed)
        if isinstance(result, str):
            self.trials[place] = replace(trial, failure=result, refused=result.startswith("refused"))
        else:
            self.trials[place] = replace(trial, values={**trial.values, seed: result})


def ask(**options: object) -> Question:
    return replace(QUESTION, search=replace(QUESTION.search, **options))


def test_it_is_an_exploration() -> None:
    strategy: Exploration = search
    assert strategy.next_step(QUESTION, []).candidates


def test_the_same_trials_give_the_same_next_candidates() -> None:
    first, other = Campaign(QUESTION).run(), Campaign(QUESTION).run()
    assert first.steps == other.steps
    assert [one.candidate.sets for one in Campaign(replace(QUESTION, issue=14)).run().trials] != [
        one.candidate.sets for one in first.trials
    ]


@pytest.mark.parametrize("batch", [1, 4])
def test_a_campaign_killed_anywhere_has_the_trials_of_one_that_was_not(batch: int) -> None:
    question = replace(ask(trials=9, batch=batch), seeds=(1, 2), base=BASE)
    objective = crashing(refusing(noisy, above=800), above=0.5)
    whole = Campaign(question, objective).run()
    assert {bool(one.failure) for one in whole.trials} == {True, False}
    for killed in range(1, len(whole.trials) * 2, 3):
        cut = Campaign(question, objective, kill_after=killed).run()
        cut.left = 10**9
        assert cut.run().trials == whole.trials


@pytest.mark.parametrize("name", ["tpe", "random"])
def test_no_candidate_is_proposed_twice_and_names_count_up(name: str) -> None:
    trials = Campaign(ask(trials=25, batch=4, sampler=name)).run().trials
    assert [one.name for one in trials] == [f"t{n:03d}" for n in range(1, 26)]
    assert len({tuple(one.candidate.sets.items()) for one in trials}) == 25


def test_a_batch_under_way_is_filled_without_a_look_at_its_values() -> None:
    done = Campaign(ask(trials=12)).run().trials
    cut = [
        replace(done[9], values={}),
        replace(done[9], values={1: -9.0}),
        replace(done[9], values={}, failure="crash"),
    ]
    steps = [search.next_step(ask(trials=12), [*done[:9], one]) for one in cut]
    assert [step.candidates for step in steps] == [tuple(one.candidate for one in done[10:])] * 3


def test_it_does_better_than_random_search_at_equal_cost() -> None:
    reached: dict[str, float] = {}
    for name in ("tpe", "random"):
        questions = [replace(ask(trials=30, batch=2, sampler=name), issue=n, seeds=(1,)) for n in range(6)]
        campaigns = [Campaign(one, lambda sets, _: loss(sets)).run() for one in questions]
        reached[name] = sum(search.best_so_far(one.question, one.trials)[-1][1] for one in campaigns) / len(campaigns)
    assert reached["tpe"] < 0.6 * reached["random"]


def test_a_finite_space_is_tried_once_and_the_findings_say_so() -> None:
    space = {"A": Choice((1, 2, 3)), "B": Choice((True, False))}
    question = replace(ask(trials=30, batch=4), space=space, seeds=(1,))
    campaign = Campaign(question, lambda sets, _: sets["A"] + sets["B"]).run()
    assert sorted((one.candidate.sets["A"], one.candidate.sets["B"]) for one in campaign.trials) == sorted(
        (a, b) for a in (1, 2, 3) for b in (True, False)
    )
    assert "The space has 6 points, and all were tried." in search.conclude(question, campaign.trials).headline


# --- what is refused and what fails -----------------------------------------------------------------------


def refusing(objective: Objective, above: float) -> Objective:
    return lambda sets, seed: "refused: too large" if sets["WIDTH"] > above else objective(sets, seed)


def crashing(objective: Objective, above: float) -> Objective:
    return lambda sets, seed: "loss is NaN" if sets["LR"] > above else objective(sets, seed)


def test_a_refused_candidate_is_no_trial_and_a_crashed_one_is() -> None:
    question = ask(trials=20, batch=3)
    trials = Campaign(question, crashing(refusing(noisy, above=500), above=0.1)).run().trials
    refused, crashed = (
        [one for one in trials if one.refused],
        [one for one in trials if one.failure and not one.refused],
    )
    assert refused
    assert crashed
    assert len(trials) == 20 + len(refused)
    rows = next(one for one in search.conclude(question, trials).tables if one.title == "Trials without a value").rows
    assert rows[0][:3] == (crashed[0].name, "failed", "loss is NaN")
    assert len(rows) == min(search.ROWS + 1, len(refused) + len(crashed))


def test_the_sampler_keeps_away_from_what_is_refused() -> None:
    trials = Campaign(ask(trials=40), refusing(noisy, above=600)).run().trials
    early, late = trials[:12], trials[-20:]
    assert sum(one.refused for one in late) / 20 < sum(one.refused for one in early) / 12


def test_it_stops_where_preflight_refuses_everything() -> None:
    campaign = Campaign(QUESTION, lambda *_: "refused: 200 GB on a device of 80 GB").run()
    assert search.MAX_REFUSED <= len(campaign.trials) < search.MAX_REFUSED + QUESTION.search.batch
    findings = search.conclude(QUESTION, campaign.trials)
    assert "stopped after 0 of 14 trials: preflight refused" in findings.headline
    assert "200 GB on a device of 80 GB" in findings.headline
    assert search.best(QUESTION, campaign.trials) is None


def test_refusals_that_are_not_in_a_row_do_not_stop_it() -> None:
    answers = iter([*["refused: big"] * 19, 1.0] * 2 + [1.0] * 100)
    campaign = Campaign(replace(ask(trials=5, batch=1), seeds=(1,)), lambda *_: next(answers)).run()
    assert sum(not one.refused for one in campaign.trials) == 5


# --- the base, the replicates, the best -------------------------------------------------------------------


def test_the_base_comes_first_where_it_lies_in_the_space() -> None:
    first = search.next_step(replace(QUESTION, base=BASE), []).candidates
    assert [(one.name, one.origin, one.sets) for one in first] == [(BASELINE, "base", {})]
    outside = search.next_step(replace(QUESTION, base={**BASE, "WIDTH": 500}), []).candidates
    assert [one.origin for one in outside] == ["tpe"] * 3


def test_the_base_is_not_drawn_again_and_is_no_trial() -> None:
    question = replace(ask(trials=2, batch=1), base={"A": 2}, space={"A": Choice((1, 2, 3))}, seeds=(1,))
    trials = Campaign(question, lambda sets, _: float(sets["A"])).run().trials
    assert [one.candidate.sets.get("A") for one in trials] in ([None, 1, 3], [None, 3, 1])
    assert search.best(question, trials) in {one.name for one in trials if one.candidate.sets.get("A") == 1}


def test_the_best_three_and_the_base_run_on_every_seed() -> None:
    question = replace(QUESTION, base=BASE)
    trials = Campaign(question).run().trials
    several = {one.name for one in trials if len(one.values) == 3}
    ranked = sorted(trials[1:], key=lambda one: one.values[1])[:3]
    assert several == {BASELINE, *(one.name for one in ranked)}
    assert all(set(one.values) == {1} for one in trials if one.name not in several)


def test_the_best_is_the_lowest_mean_and_not_the_luckiest_first_run() -> None:
    def lucky(sets: Sets, seed: int) -> float:
        return loss(sets) + (2.0 * (seed != 1) if sets["LR"] < 0.05 else 0.0)

    trials = Campaign(QUESTION, lucky).run().trials
    complete = [one for one in trials if len(one.values) == 3]
    assert search.best(QUESTION, trials) == min(complete, key=lambda one: sum(one.values.values())).name


def test_a_leader_that_fails_on_a_later_seed_makes_room_for_the_next() -> None:
    lowest = min(Campaign(QUESTION).run().trials, key=lambda one: one.values[1])

    def objective(sets: Sets, seed: int) -> float | str:
        return "crash" if seed != 1 and sets == lowest.candidate.sets else noisy(sets, seed)

    trials = Campaign(QUESTION, objective).run().trials
    assert sum(len(one.values) == 3 and not one.failure for one in trials) == 3
    assert search.best(QUESTION, trials) not in {None, lowest.name}


def test_nothing_is_best_where_the_base_is() -> None:
    question = replace(QUESTION, base={"LR": 0.01, "WIDTH": 384, "DROP": 0.2})
    trials = Campaign(question, lambda sets, _: loss(sets)).run().trials
    assert search.best(question, trials) is None
    assert sum(len(one.values) == 3 for one in trials) == 4
    assert "None of 14 trials is better than the base (0.0000)" in search.conclude(question, trials).headline


def test_variants_of_the_issue_run_first_inform_the_sampler_and_do_not_count() -> None:
    good = Candidate(name="t002", sets={"LR": 0.01, "WIDTH": 384, "DROP": 0.2})
    question = replace(ask(trials=5, batch=1), variants=(good,))
    campaign = Campaign(question).run()
    assert campaign.steps[0].runs[0].name == "t002"
    assert not campaign.steps[0].candidates
    assert [one.name for one in campaign.trials] == ["t002", "t003", "t004", "t005", "t006", "t007"]
    assert search.best(question, campaign.trials) == "t002"


def test_a_constant_that_is_a_float_stays_one() -> None:
    question = replace(QUESTION, base={"A": 1.0, "B": 1}, space={"A": Range(1, 9, step=1), "B": Range(1, 9, step=1)})
    for one in search.proposals(question, [], 3):
        assert (type(one.sets["A"]), type(one.sets["B"])) == (float, int)


# --- rounds, findings, bad input --------------------------------------------------------------------------


def test_rounds_take_proposals_that_heed_what_others_tried() -> None:
    other = Trial(candidate=Candidate(name="wider", sets={"WIDTH": 1024, "LR": 0.01, "DROP": 0.2}), values={1: 1.2})
    question = replace(QUESTION, base=BASE)
    first = search.proposals(question, [other], 2)
    assert first == search.proposals(question, [other], 2)
    assert [one.name for one in first] == ["t001", "t002"]
    later = search.proposals(question, [other, *(Trial(candidate=one) for one in first)], 2)
    assert [one.name for one in later] == ["t003", "t004"]
    assert "base" not in {one.origin for one in (*first, *later)}
    small = replace(question, space={"A": Choice((1, 2, 3))}, base={"A": 1})
    assert len(search.proposals(small, [], 5)) == 2


def test_the_findings_give_best_gain_leaders_parameters_and_progress() -> None:
    question = replace(ask(trials=24), base=BASE)
    trials = Campaign(question).run().trials
    findings = search.conclude(question, trials)
    name = search.best(question, trials)
    effect = findings.effects[0]
    low, high = effect.interval or (math.nan, math.nan)
    assert effect.name == name
    assert low < effect.gain < high
    assert findings.headline.startswith(f"{name} is the best of 24 trials (tpe): ")
    assert f"{effect.gain:.4f} better than the base" in findings.headline
    leaders, parameters, progress = findings.tables
    assert len(leaders.rows) == 10
    assert leaders.rows[0][0] == name
    assert {row[0] for row in parameters.rows} == set(SPACE)
    lows = [float(row[2]) for row in progress.rows]
    assert lows == sorted(lows, reverse=True)
    assert lows[-1] == round(min(one.values[1] for one in trials), 4)


def test_findings_of_no_trials_are_no_error() -> None:
    assert search.conclude(QUESTION, []).headline.startswith("None of 0 trials has a value")


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        (replace(QUESTION, space={}), "no constants"),
        (replace(QUESTION, space={"A": Range(2, 1)}), "nothing from 2 to 1"),
        (ask(trials=0), "trials is 0"),
        (ask(batch=0), "batch 0"),
    ],
)
def test_bad_input_is_refused_before_any_run(question: Question, problem: str) -> None:
    for step in (search.check, lambda one: search.next_step(one, []), lambda one: search.proposals(one, [], 1)):
        with pytest.raises(BadInput, match=problem):
            step(question)


def test_a_missing_optuna_is_refused_before_any_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "find_spec", lambda _: None)
    with pytest.raises(BadInput, match="needs optuna"):
        search.next_step(QUESTION, [])


def test_optuna_is_imported_where_a_search_draws_and_not_before() -> None:
    script = (
        "import sys; from agent.strategies import search; sys.exit('optuna' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], check=False).returncode == 0
