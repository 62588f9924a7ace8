"""The gate's promise, held to by simulation: how often noise is promoted, and how often a true gain is found."""

import math
from dataclasses import replace

import pytest
import scipy  # which loads what is used, where it is used

from agent.core.experiment import GateRules
from agent.gate.results import chance_of_false_winner
from agent.gate.schedule import plan_size
from agent.gate.simulate import Scenario, planned_runs, simulate
from tests.gate.test_verdict import LOWEST, RULES


def at_most(rate: float, campaigns: int) -> float:
    """The share that a true rate this high exceeds in one simulation of 10,000."""
    return float(scipy.stats.binom.isf(1e-4, campaigns, rate)) / campaigns


NIGHTLY = pytest.mark.nightly


@pytest.mark.parametrize(
    ("variants", "campaigns"),
    [(4, 2000), (20, 500), pytest.param(4, 6000, marks=NIGHTLY), pytest.param(20, 2500, marks=NIGHTLY)],
)
def test_no_more_than_five_per_cent_of_campaigns_promote_noise(variants: int, campaigns: int) -> None:
    told = simulate(RULES, Scenario(variants=variants, gain=0.0), campaigns, seed=11)
    assert told.false_promotion <= at_most(0.05, campaigns)
    assert told.false_promotion > 0.02, "a gate that promotes nothing keeps the promise too"
    assert told.right_promotion is None


@pytest.mark.parametrize("campaigns", [1000, pytest.param(4000, marks=NIGHTLY)])
def test_a_true_gain_of_three_sigma_is_found_with_eleven_runs_at_most(campaigns: int) -> None:
    told = simulate(RULES, Scenario(gain=3.0), campaigns, seed=12)
    assert told.right_promotion is not None
    assert told.right_promotion_se is not None
    assert told.right_promotion >= 0.85 - 3 * told.right_promotion_se
    assert told.runs_mean <= 11
    assert told.false_promotion < 0.02
    sharper = simulate(RULES, Scenario(gain=3.0, known=10), campaigns, seed=12).right_promotion
    assert sharper is not None
    assert sharper > told.right_promotion + 0.02


def test_a_maximised_metric_keeps_the_promise_too() -> None:
    told = simulate(replace(RULES, goal="max"), Scenario(gain=5.0), 500, seed=13)
    assert told.right_promotion is not None
    assert told.right_promotion > 0.97


@pytest.mark.parametrize("campaigns", [400, pytest.param(1500, marks=NIGHTLY)])
@pytest.mark.parametrize("variants", [1, 4, 20])
def test_lowest_promotes_noise_as_often_as_it_says(variants: int, campaigns: int) -> None:
    told = simulate(LOWEST, Scenario(variants=variants, gain=0.0), campaigns, seed=14)
    assert told.false_promotion == pytest.approx(chance_of_false_winner(variants), abs=4 * told.false_promotion_se)
    assert told.runs_mean == variants + 1


def test_a_simulation_is_the_same_again_for_its_seed_and_another_for_another() -> None:
    first = simulate(RULES, Scenario(gain=1.0), 100, seed=1)
    assert simulate(RULES, Scenario(gain=1.0), 100, seed=1) == first
    assert simulate(RULES, Scenario(gain=1.0), 100, seed=2) != first


def test_standard_errors_shrink_with_the_root_of_the_campaigns() -> None:
    few, many = simulate(RULES, Scenario(gain=1.5), 100, seed=3), simulate(RULES, Scenario(gain=1.5), 900, seed=3)
    assert few.runs_mean_se / many.runs_mean_se == pytest.approx(3, rel=0.5)
    p = many.false_promotion
    assert many.false_promotion_se == pytest.approx(math.sqrt(p * (1 - p) / 900))


# --- the gate that looks after every run ------------------------------------------------------------------

CONFIRMED = GateRules(seeds=(0, 1, 2))
FEW = [300, pytest.param(4000, marks=NIGHTLY)]


@pytest.mark.parametrize("campaigns", FEW)
@pytest.mark.parametrize(
    ("scenario", "promise"),
    [
        (Scenario(), 0.05),
        (Scenario(known=10, reused=3), 0.05),
        (Scenario(known=10, rho=0.8), 0.05),
        (Scenario(known=10, spread=2.0), 0.08),
        (Scenario(known=10, reused=3, shift=1.0), 0.08),
    ],
)
def test_no_more_campaigns_than_promised_promote_noise_however_it_is_made(
    scenario: Scenario, promise: float, campaigns: int
) -> None:
    assert simulate(CONFIRMED, scenario, campaigns, seed=21).false_promotion <= at_most(promise, campaigns)


@pytest.mark.parametrize("campaigns", FEW)
@pytest.mark.parametrize(
    ("scenario", "right", "runs"),
    [
        (Scenario(gain=3.0, known=10), 0.93, 8.5),
        (Scenario(gain=3.0), 0.90, 9.7),
        (Scenario(gain=3.0, known=10, reused=3), 0.94, 6.25),
        (Scenario(gain=2.0, known=10, rho=0.8), 0.95, 9.5),
        (Scenario(gain=6.0, known=10), 0.99, 7.1),
    ],
)
def test_a_true_gain_is_kept_with_few_runs_and_its_interval_holds_it(
    scenario: Scenario, right: float, runs: float, campaigns: int
) -> None:
    result = simulate(CONFIRMED, scenario, campaigns, seed=22)
    assert result.right_promotion is not None
    assert result.coverage is not None
    assert result.right_promotion >= right - 3.5 * math.sqrt(right * (1 - right) / campaigns)
    assert result.runs_mean <= runs + 3.5 * result.runs_mean_se
    assert result.coverage >= 0.88 - 3.5 * math.sqrt(0.9 * 0.1 / campaigns)


def test_a_plan_is_shorter_on_average_than_it_may_become() -> None:
    average, most = planned_runs(CONFIRMED, 4)
    assert 7 < average < 10 < most <= plan_size(CONFIRMED, 4)
