"""The studentized range, against scipy; the interval of a spread, against its definition by simulation."""

import random

import pytest
import scipy  # which loads what is used, where it is used

from agent.gate.stats import Noise, pool
from agent.strategies.tukey import range_cdf, range_quantile, spread_interval


@pytest.mark.parametrize(("k", "dof"), [(2, 3), (3, 1), (3, 6), (4, 8), (7, 2), (5, 60)])
@pytest.mark.parametrize("p", [0.9, 0.975])
def test_its_quantiles_are_those_of_scipy(k: int, dof: int, p: float) -> None:
    found = range_quantile(k, dof, p)
    assert scipy.stats.studentized_range.cdf(found, k, dof) == pytest.approx(p, abs=1e-4)
    assert range_cdf(k, dof, found) == pytest.approx(p, abs=1e-4)


@pytest.mark.parametrize("counts", [(3, 3, 3, 3), (2, 3, 6, 3)])
@pytest.mark.parametrize("true", [(2.0, 2.0, 2.0, 2.0), (2.0, 2.01, 2.0, 2.0), (2.0, 2.1, 1.9, 2.0)])
def test_the_interval_holds_the_true_spread_nine_times_of_ten_or_more(
    true: tuple[float, ...], counts: tuple[int, ...]
) -> None:
    """Where all levels are equal as well, and the largest and the smallest mean are chosen by noise alone."""
    rng, held, rounds = random.Random(3), 0, 300
    for _ in range(rounds):
        runs = [[rng.gauss(level, 0.01) for _ in range(n)] for level, n in zip(true, counts, strict=True)]
        low, high = spread_interval([sum(each) / len(each) for each in runs], counts, pool(runs), 0.1) or (9, 9)
        held += low <= max(true) - min(true) <= high
    assert held / rounds > 0.87
    if len(set(true)) == 1 and len(set(counts)) == 1:
        assert held / rounds < 0.93  # exact there: not wide for nothing


def test_a_spread_of_noise_alone_reaches_nothing_and_a_large_one_does_not() -> None:
    noise = Noise(0.01, 8)
    assert (spread_interval([2.0, 2.005, 2.01], [3, 3, 3], noise, 0.1) or (1, 1))[0] == 0
    low, high = spread_interval([2.0, 2.005, 2.2], [3, 3, 3], noise, 0.1) or (0, 0)
    assert 0.17 < low < 0.2 < high < 0.23


def test_exact_runs_have_an_exact_spread_and_an_unknown_noise_has_none() -> None:
    assert spread_interval([1.0, 3.0], [2, 2], Noise(0.0, 2), 0.1) == (2.0, 2.0)
    assert spread_interval([1.0, 3.0], [1, 1], Noise(0.0, 0), 0.1) is None
    assert spread_interval([1.0], [3], Noise(0.1, 2), 0.1) is None
