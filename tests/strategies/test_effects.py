"""What strategies share: means, gains, cells."""

import math

import pytest

from agent.core.trials import Candidate, Trial
from agent.gate.stats import Noise
from agent.strategies.effects import (
    added,
    best_of,
    gain,
    half_width,
    mean_of,
    noise,
    sets_text,
    shown,
    shown_effect,
    shown_mean,
    shown_parameters,
)


def trial(name: str, *values: float, failure: str = "", **metrics: float) -> Trial:
    candidate = Candidate(name=name, sets={})
    return Trial(candidate=candidate, values=dict(enumerate(values)), failure=failure, metrics=metrics)


def test_what_failed_or_has_no_value_counts_for_nothing() -> None:
    failed = trial("a", 1.0, 3.0, failure="oom")
    assert mean_of(failed) == mean_of(trial("b")) == math.inf
    assert noise([failed]) == Noise(0.0, 0)
    assert best_of([failed, trial("c", 2.0), trial("d", 2.0)]) == "c"
    assert gain("x", failed, trial("c", 2.0), Noise(0.1, 2)) is None


def test_a_gain_is_positive_where_the_later_one_is_lower_with_students_t_bounds() -> None:
    effect = gain("x", trial("a", 2.1, 2.3), trial("b", 1.9, 2.1), Noise(0.1, 4))
    assert effect is not None
    assert (effect.gain, effect.n) == (pytest.approx(0.2), 2)
    assert effect.interval == (pytest.approx(0.2 - 0.21318, abs=1e-5), pytest.approx(0.2 + 0.21318, abs=1e-5))


def test_an_unknown_noise_gives_no_bounds() -> None:
    assert half_width(Noise(0.0, 0), 3) is None
    assert half_width(Noise(0.1, 3), 3, 0) is None


def test_cells() -> None:
    assert (shown(None), shown(math.inf), shown(1.23456)) == ("–", "–", "1.2346")
    assert shown_effect(None) == ("–", "–")
    assert shown_mean(trial("a", 2.0, 2.0), Noise(0.1, 4)) == "2.0000 ± 0.1507"
    assert shown_mean(trial("a", 2.0), Noise(0.0, 0)) == "2.0000"
    assert shown_mean(trial("a"), Noise(0.1, 4)) == "–"
    assert sets_text({"TUNED.full.LR": 0.1, "DEPTH": 4}) == "LR=0.1 DEPTH=4"
    assert shown_parameters(trial("a", num_params_M=0.002908)) == "2,908"


def test_what_is_added_is_seen_on_top_of_the_base() -> None:
    base = {"HEADS": 1, "DEPTH": 1}
    assert added(base, {"HEADS": 2}, {"HEADS": 2, "DEPTH": 4}) == {"DEPTH": 4}
    assert added(base, {"HEADS": 2}, {"DEPTH": 4}) == {"DEPTH": 4, "HEADS": 1}
    assert added(base, {}, {"DEPTH": 1}) == {}
