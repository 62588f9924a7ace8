"""Student's t against scipy, over all that the gate may ask of it, and the median against numpy."""

import math
from statistics import variance

import numpy as np
import pytest
import scipy  # which loads what is used, where it is used
from hypothesis import given
from hypothesis import strategies as st

from agent.gate import stats

DOFS = st.integers(1, 500)


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=9))
def test_the_median_is_numpys_to_the_last_bit(values: list[float]) -> None:
    assert stats.median(values) == float(np.median(values))


@given(DOFS, st.floats(-60, 60))
def test_the_distribution_function_is_scipys(dof: int, t: float) -> None:
    assert stats.cdf(dof, t) == pytest.approx(float(scipy.special.stdtr(dof, t)), rel=1e-9, abs=1e-14)


@given(DOFS, st.floats(1e-6, 1 - 1e-6))
def test_the_quantile_is_scipys(dof: int, p: float) -> None:
    assert stats.quantile(dof, p) == pytest.approx(float(scipy.special.stdtrit(dof, p)), rel=1e-8, abs=1e-9)


@given(DOFS, st.floats(-30, 30))
def test_both_tails_make_one(dof: int, t: float) -> None:
    assert stats.cdf(dof, t) + stats.cdf(dof, -t) == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize("dof", [1, 2, 30])
def test_at_the_ends_and_in_the_middle(dof: int) -> None:
    assert (stats.cdf(dof, -math.inf), stats.cdf(dof, 0.0), stats.cdf(dof, math.inf)) == (0.0, 0.5, 1.0)
    assert stats.quantile(dof, 0.5) == pytest.approx(0.0, abs=1e-12)


def test_far_out_it_is_still_a_number() -> None:
    assert 0 < stats.cdf(3, -1e6) < 1e-15
    assert stats.quantile(1, 1 - 1e-12) == pytest.approx(float(scipy.special.stdtrit(1, 1 - 1e-12)), rel=1e-3)


@given(st.lists(st.lists(st.floats(-100, 100), max_size=6), max_size=6))
def test_sigma_is_pooled_over_the_groups_that_have_replicates(groups: list[list[float]]) -> None:
    several = [group for group in groups if len(group) > 1]
    dof = sum(len(group) - 1 for group in several)
    squares = sum((len(group) - 1) * variance(group) for group in several)
    noise = stats.pool(groups)
    assert noise.dof == dof
    assert noise.sigma == pytest.approx(math.sqrt(squares / dof) if dof else 0.0, abs=1e-9)
