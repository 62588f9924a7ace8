"""The shrunken mean: nearer to the truth than the mean, exact where there is no noise."""

import math
from collections.abc import Sequence
from random import Random

import pytest

from agent.core.trials import Candidate, Trial
from agent.gate.stats import Noise
from agent.strategies.effects import mean_of, noise
from agent.strategies.shrinkage import prior_of, shrunken


def trial(values: Sequence[float], failure: str = "") -> Trial:
    return Trial(candidate=Candidate(name="a", sets={}), values=dict(enumerate(values)), failure=failure)


def test_by_hand() -> None:
    """Three means 1, 2, 3 of two runs each, sigma 0.5: (4 - 2 x 0.25) / (6 - 2) = 0.875; error 0.125."""
    trials = [trial([value - 0.1, value + 0.1]) for value in (1.0, 2.0, 3.0)]
    prior = prior_of(trials, Noise(0.5, 3))
    assert prior.mean == pytest.approx(2.0)
    assert prior.variance == pytest.approx(0.875)
    assert shrunken(trials[0], prior) == pytest.approx(2.0 - 0.875)


def test_fewer_runs_are_shrunk_more() -> None:
    prior = prior_of([trial([1.0, 1.2]), trial([2.0]), trial([3.0])], Noise(0.3, 5))
    one, four = shrunken(trial([1.0]), prior), shrunken(trial([1.0] * 4), prior)
    assert 1.0 < four < one < prior.mean


def test_without_noise_nothing_is_shrunk_and_with_nothing_but_noise_all_is() -> None:
    trials = [trial([1.0]), trial([2.0])]
    assert shrunken(trials[0], prior_of(trials, Noise(0.0, 0))) == 1.0
    flat = prior_of(trials, Noise(5.0, 9))
    assert flat.variance == 0.0
    assert shrunken(trials[0], flat) == flat.mean == 1.5


def test_what_failed_is_infinite_and_does_not_count() -> None:
    trials = [trial([1.0]), trial([2.0]), trial([9.0], failure="it crashed"), trial([])]
    prior = prior_of(trials, Noise(0.1, 3))
    assert prior.mean == 1.5
    assert [shrunken(one, prior) for one in trials[2:]] == [math.inf, math.inf]
    assert math.isnan(prior_of(trials[2:], Noise(0.1, 3)).mean)


def test_one_trial_alone_is_its_own_prior() -> None:
    prior = prior_of([trial([1.0, 2.0])], Noise(0.7, 1))
    assert shrunken(trial([1.0, 2.0]), prior) == 1.5


def test_it_is_nearer_to_the_truth_than_the_mean() -> None:
    rng = Random(3)
    truths = [rng.gauss(2, 0.3) for _ in range(300)]
    trials = [trial([rng.gauss(one, 0.3) for _ in range(rng.choice([1, 1, 2, 4]))]) for one in truths]
    prior = prior_of(trials, noise(trials))
    assert prior.variance == pytest.approx(0.09, rel=0.3)
    pairs = list(zip(trials, truths, strict=True))
    off = math.fsum((mean_of(one) - truth) ** 2 for one, truth in pairs)
    assert math.fsum((shrunken(one, prior) - truth) ** 2 for one, truth in pairs) < 0.75 * off
