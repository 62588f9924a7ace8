"""What runs say of a variant: two means where seeds tell nothing, pairs where the ledger shows that they pay."""

import math
from random import Random

import numpy as np
import pytest
import scipy  # which loads what is used, where it is used

from agent.core.experiment import BASELINE, GateRules
from agent.gate.evidence import Gain, Scatter, compare, scatter_of
from agent.gate.history import History, Measurement, Replicates, read_history
from agent.gate.stats import Noise

UNPAIRED = Scatter(Noise(0.1, 8), Noise(0.1, 6))
PAIRED = Scatter(Noise(0.1, 8), Noise(0.02, 6))


def history(base: Replicates, fresh: Replicates) -> History:
    seen = [Measurement(BASELINE, seed, "baseline", value) for seed, value in base.items()]
    seen += [Measurement("a", 0, "screen", 0.5), *(Measurement("a", s, "confirm", v) for s, v in fresh.items())]
    return read_history(GateRules(), ("a",), seen)


def alike(rho: float, models: int, seeds: int) -> list[dict[int, float]]:
    random = Random(1)
    shared = [random.gauss(0, math.sqrt(rho)) for _ in range(seeds)]
    return [
        {at: number + one + random.gauss(0, math.sqrt(1 - rho)) for at, one in enumerate(shared)}
        for number in range(models)
    ]


def test_two_means_are_compared_by_students_t() -> None:
    gain = compare({0: 1.0, 1: 1.2}, {1: 0.9, 2: 0.7, 3: 0.8}, UNPAIRED)
    error = 0.1 * math.sqrt(1 / 2 + 1 / 3)
    assert (gain.value, gain.error, gain.dof, gain.pairs) == (pytest.approx(0.3), pytest.approx(error), 8, 0)
    assert gain.p == pytest.approx(scipy.stats.t(8).sf(0.3 / error))
    assert gain.interval == pytest.approx(scipy.stats.t.interval(0.9, 8, 0.3, error))


def test_where_pairs_pay_the_seeds_that_both_have_are_compared_one_by_one() -> None:
    gain = compare({0: 1.0, 1: 1.2, 2: 1.1}, {1: 1.1, 2: 1.0, 7: 0.1}, PAIRED)
    assert (gain.value, gain.pairs, gain.dof) == (pytest.approx(0.1), 2, 6)
    assert gain.error == pytest.approx(0.02 * math.sqrt(2) / math.sqrt(2))
    assert compare({0: 1.0, 1: 1.2}, {1: 1.1, 2: 1.0}, PAIRED).pairs == 0, "one pair shows no scatter of its own"


def test_a_variant_whose_own_pairs_scatter_more_has_a_larger_error() -> None:
    gain = compare({1: 1.0, 2: 1.0}, {1: 1.05, 2: 0.85}, PAIRED)
    pooled, own = 2 * 0.02**2, 0.02
    assert gain.error == pytest.approx(math.sqrt((2 * pooled + own) / 3 / 2))


def test_without_spread_the_sign_decides_and_without_replicates_nothing_does() -> None:
    assert [Gain(value, 0.0, 3).p for value in (0.1, 0.0, -0.1)] == [0.0, 1.0, 1.0]
    assert (Gain(0.1, 0.0, 0).p, Gain(0.1, 0.0, 0).interval) == (None, None)


@pytest.mark.parametrize(("rho", "pays"), [(0.9, True), (0.0, False)])
def test_replicates_of_other_models_tell_whether_seeds_correlate(rho: float, pays: bool) -> None:
    scatter = scatter_of(history({0: 1.0, 1: 1.1}, {}), (), alike(rho, 3, 6))
    assert scatter.pays is pays
    assert (scatter.rho is not None) is pays
    assert scatter.paired.dof == 2 * 5


def test_what_is_left_of_replicates_is_that_of_a_two_way_analysis_of_variance() -> None:
    groups = alike(0.5, 3, 5)
    del groups[0][2], groups[2][4]
    cells = [(at, seed, value) for at, one in enumerate(groups) for seed, value in one.items()]
    design = np.zeros((len(cells), 8))
    for row, (at, seed, _) in enumerate(cells):
        design[row, at] = design[row, 3 + seed] = 1
    values = np.array([value for *_, value in cells])
    rest = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    dof = len(cells) - np.linalg.matrix_rank(design)
    paired = scatter_of(history({0: 1.0, 1: 1.1}, {}), (), groups).paired
    assert paired.dof == dof
    assert paired.sigma == pytest.approx(math.sqrt(float(rest @ rest) / dof), rel=1e-6)


def test_a_candidates_own_pairs_count_too() -> None:
    campaign = history({0: 1.0, 1: 1.2, 2: 1.1}, {1: 1.0, 2: 1.0})
    paired = scatter_of(campaign, ("a",), ()).paired
    assert (paired.sigma, paired.dof) == (pytest.approx(0.05), 1)
