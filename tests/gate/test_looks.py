"""Looks at growing data: the level of each, against noise, and the estimate after a stop."""

import math
from random import Random
from statistics import NormalDist, median

import pytest

from agent.gate.looks import corrected, level

INFORMATION = (0.7, 1.0, 1.5, 2.0)


def paths(number: int, drift: float = 0.0) -> list[list[float]]:
    """The z of every look, of simulated paths."""
    random, drawn = Random(0), []
    for _ in range(number):
        score, before, path = 0.0, 0.0, []
        for now in INFORMATION:
            score += random.gauss(drift * (now - before), math.sqrt(now - before))
            path.append(score / math.sqrt(now))
            before = now
        drawn.append(path)
    return drawn


def test_one_look_at_one_candidate_has_the_whole_level() -> None:
    assert level(0.05, (1.0,), 1) == pytest.approx(0.05, rel=1e-3)


def test_so_many_paths_without_a_drift_pass_at_any_look() -> None:
    bound = NormalDist().inv_cdf(1 - level(0.05, INFORMATION, 1))
    share = sum(max(path) >= bound for path in paths(20_000)) / 20_000
    assert share == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / 20_000))


def test_two_candidates_share_the_looks_and_each_has_a_lower_level_but_no_half_of_it() -> None:
    one, two = (level(0.05, INFORMATION, number) for number in (1, 2))
    assert one / 2 < two < one


@pytest.mark.parametrize("number", [400, pytest.param(3000, marks=pytest.mark.nightly)])
def test_the_estimate_after_a_stop_is_as_often_too_high_as_too_low_and_its_interval_holds_the_truth(
    number: int,
) -> None:
    bound, drift, estimates, held = 2.2, 1.5, [], 0
    for path in paths(number, drift):
        at = next((number for number, z in enumerate(path) if z >= bound), len(path) - 1)
        ends = [corrected(path[at], [bound] * at, INFORMATION[: at + 1], p) for p in (0.05, 0.5, 0.95)]
        estimates.append(ends[1])
        held += ends[0] <= drift <= ends[2]
    assert sum(one > drift for one in estimates) / number == pytest.approx(0.5, abs=2 / math.sqrt(number))
    assert median(estimates) == pytest.approx(drift, abs=5 / math.sqrt(number))
    assert held / number == pytest.approx(0.9, abs=1.2 / math.sqrt(number))


def test_a_late_stop_is_corrected_downwards_and_a_first_look_not_at_all() -> None:
    assert corrected(2.5, [], INFORMATION[:1], 0.5) == pytest.approx(2.5 / math.sqrt(0.7), rel=1e-3)
    assert corrected(2.5, [2.2] * 3, INFORMATION, 0.5) < 2.5 / math.sqrt(2.0)
