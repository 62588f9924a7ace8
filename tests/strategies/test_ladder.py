"""A ladder: what runs next, and what each rung is worth."""

import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.experiment import Constant
from agent.core.trials import Candidate, ExploreRun, Question, Trial
from agent.strategies import ladder

SEEDS = (1, 2, 3)
RUNGS: Mapping[str, Mapping[str, Constant]] = {
    "base": {},
    "heads": {"HEADS": 2},
    "deep": {"HEADS": 2, "DEPTH": 4},
    "plain": {"DEPTH": 4},
}
QUESTION = Question(
    issue=20,
    seeds=SEEDS,
    base={"HEADS": 1, "DEPTH": 1},
    variants=tuple(Candidate(name=name, sets=sets) for name, sets in RUNGS.items()),
)


def trial(name: str, *values: float, failure: str = "", **metrics: float) -> Trial:
    candidate = next(one for one in QUESTION.variants if one.name == name)
    return Trial(candidate=candidate, values=dict(zip(SEEDS, values, strict=False)), failure=failure, metrics=metrics)


def sound() -> list[Trial]:
    return [
        trial("base", 2.35, 2.34, 2.36, num_params_M=0.002908),
        trial("heads", 2.24, 2.25, 2.26, num_params_M=0.005948),
        trial("deep", 2.00, 2.02, 2.01, num_params_M=0.018332),
        trial("plain", 2.10, 2.09, 2.11),
    ]


def test_all_rungs_run_on_one_seed_before_any_runs_on_the_next() -> None:
    runs = ladder.next_step(QUESTION, []).runs
    assert runs[:5] == (*(ExploreRun(name, 1) for name in RUNGS), ExploreRun("base", 2))
    assert len(set(runs)) == len(RUNGS) * len(SEEDS)


@given(st.data())
def test_what_ran_or_failed_runs_no_more_and_the_ladder_ends(data: st.DataObject) -> None:
    """Whatever order the runs of a step end in, the next step has exactly those that are missing."""
    failed = data.draw(st.sets(st.sampled_from(list(RUNGS))))
    ran = {name: data.draw(st.sets(st.sampled_from(SEEDS))) for name in RUNGS}
    trials = [
        Trial(candidate=one, values=dict.fromkeys(ran[one.name], 2.0), failure="oom" if one.name in failed else "")
        for one in QUESTION.variants
    ]
    missing = {(name, seed) for name in RUNGS for seed in SEEDS if name not in failed and seed not in ran[name]}
    step = ladder.next_step(QUESTION, trials)
    assert {(run.name, run.seed) for run in step.runs} == missing
    assert step.candidates == ()


def test_a_rung_has_its_own_effect_and_the_cumulative_one() -> None:
    findings = ladder.conclude(QUESTION, sound())
    effects = {effect.name: effect for effect in findings.effects}
    assert effects["heads"].gain == pytest.approx(0.10)
    assert effects["deep"].gain == pytest.approx(0.24)
    assert effects["plain"].gain == pytest.approx(-0.09)
    assert effects["base to plain"].gain == pytest.approx(0.25)
    assert list(effects) == ["heads", "deep", "plain", "base to deep", "base to plain"]  # the first has one effect
    low, high = effects["deep"].interval or (0, 0)
    assert high - low == pytest.approx(2 * 1.8595 * 0.01 * (2 / 3) ** 0.5, rel=1e-3)  # t of 8 degrees of freedom
    assert "from base, 2.3500, to deep, 2.0100; the largest step is deep, +0.2400 (+0.2248 to +0.2552)" in (
        findings.headline
    )


def test_the_table_shows_what_a_rung_adds_and_takes_away() -> None:
    [table] = ladder.conclude(QUESTION, sound()).tables
    assert [row[:3] for row in table.rows] == [
        ("base", "–", "2,908"), ("heads", "HEADS=2", "5,948"), ("deep", "DEPTH=4", "18,332"), ("plain", "HEADS=1", "–"),
    ]  # fmt: skip
    assert table.rows[0][3:] == ("2.3500 ± 0.0107", "–", "–", "–", "–", "3")
    assert all(len(row) == len(table.head) for row in table.rows)


def test_the_loss_on_what_was_trained_on_is_a_column_where_runs_report_it() -> None:
    [table] = ladder.conclude(QUESTION, [trial("base", 2.3, train_nats=2.25), trial("heads", 2.2)]).tables
    assert table.head[-1] == "train_nats"
    assert [row[-1] for row in table.rows] == ["2.2500", "–", "–", "–"]


def test_a_failed_rung_is_named_and_the_next_is_compared_with_the_last_sound_one() -> None:
    trials = sound()
    trials[1] = trial("heads", 2.2, failure="out of memory")
    findings = ladder.conclude(QUESTION, trials)
    effects = {effect.name: effect for effect in findings.effects}
    assert "heads" not in effects
    assert effects["deep"].gain == pytest.approx(0.34)
    assert "heads failed: out of memory" in findings.notes
    assert "deep is compared with base, because heads failed" in findings.notes
    assert findings.tables[0].rows[1][3] == "failed"
    assert findings.tables[0].rows[2][1] == "HEADS=2 DEPTH=4"


def test_the_best_rung_has_the_lowest_mean_and_did_not_fail() -> None:
    assert ladder.best(QUESTION, sound()) == "deep"
    assert ladder.best(QUESTION, [*sound()[:2], trial("deep", 1.0, failure="nan")]) == "heads"
    assert ladder.best(QUESTION, []) is None


def test_without_replicates_there_is_no_interval_and_without_values_no_effect() -> None:
    findings = ladder.conclude(QUESTION, [trial("base", 2.3), trial("heads", 2.2)])
    assert [(effect.name, effect.interval) for effect in findings.effects] == [("heads", None)]
    assert any("noise is unknown" in note for note in findings.notes)
    assert ladder.conclude(QUESTION, []).headline == "no rung has a value"


def test_nine_intervals_of_ten_hold_the_true_effect() -> None:
    rng, held = random.Random(7), 0
    for _ in range(400):
        trials = [trial(name, *(rng.gauss(2.0, 0.01) for _ in SEEDS)) for name in RUNGS]
        [effect] = [one for one in ladder.conclude(QUESTION, trials).effects if one.name == "deep"]
        low, high = effect.interval or (0, 0)
        held += low <= 0 <= high
    assert 0.87 < held / 400 < 0.93
