"""The values of an axis: how many there are, that each is known by its place, what a space may not be."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.errors import BadInput
from agent.core.experiment import Axis, Choice, Range
from agent.strategies import axes


@pytest.mark.parametrize(
    ("axis", "values"),
    [
        (Choice((64, 128, 256)), [64, 128, 256]),
        (Choice((True, None, "SSSL")), [True, None, "SSSL"]),
        (Range(2, 8, step=2), [2, 4, 6, 8]),
        (Range(2, 7, step=2), [2, 4, 6]),
        (Range(0.1, 0.5, step=0.1), [0.1, 0.2, 0.3, 0.4, 0.5]),
        (Range(0.5, 2.5, step=1), [0.5, 1.5, 2.5]),
        (Range(3, 3), [3.0]),
    ],
)
def test_an_axis_with_a_count_has_these_values(axis: Axis, values: list[object]) -> None:
    found = [axes.value_at(axis, place) for place in range(axes.count(axis))]
    assert found == values
    assert [type(one) for one in found] == [type(one) for one in values]
    assert [axes.index_of(axis, one) for one in found] == list(range(len(values)))


@pytest.mark.parametrize(
    ("axis", "value", "inside"),
    [
        (Choice((0, 1)), True, False),
        (Choice((True, False)), 1, False),
        (Choice((1, 2)), 1.0, True),
        (Range(2, 8, step=2), 5, False),
        (Range(2, 8, step=2), 10, False),
        (Range(2, 8, step=2), "4", False),
        (Range(2, 8, step=2), True, False),
        (Range(0.0, 1.0), 1, True),
        (Range(0.0, 1.0), True, False),
        (Range(0.0, 1.0), 1.01, False),
        (Range(0.0, 1.0), None, False),
    ],
)
def test_a_constant_is_a_value_of_an_axis_or_not(axis: Axis, value: object, inside: bool) -> None:
    assert axes.contains(axis, value) is inside


@pytest.mark.parametrize(
    ("values", "ordered"),
    [((1, 2, 3), True), ((0.3, 0.2, 0.1), True), ((1, 3, 2), False), ((1, 2), False), ((1, 2, 2), False),
     ((True, 2, 3), False), (("a", "b", "c"), False), ((1, None, 3), False)],
)  # fmt: skip
def test_numbers_that_only_rise_or_only_fall_are_ordered(values: tuple[object, ...], ordered: bool) -> None:
    assert axes.is_ordered(Choice(values)) is ordered


def test_a_space_is_as_large_as_its_axes_together() -> None:
    assert axes.size({"A": Choice((1, 2)), "B": Range(1, 3, step=1)}) == 6
    assert axes.size({"A": Choice((1, 2)), "B": Range(1, 3)}) is None


@settings(max_examples=60, deadline=None)
@given(
    low=st.floats(1e-6, 1e3), length=st.floats(1e-3, 1e3), share=st.floats(0, 1), log=st.booleans(),
    step=st.none() | st.integers(1, 50),
)  # fmt: skip
def test_the_nearest_value_is_one_of_the_axis_and_near(
    low: float, length: float, share: float, log: bool, step: int | None
) -> None:
    axis = Range(low, low + length, None if step is None else length / step, log)
    value = low + share * length
    nearest = axes.nearest(axis, value)
    assert axes.contains(axis, nearest)
    gap = (axis.step or 0) / 2 if step else (value * math.log(axis.high / low) if log else length) * axes.RESOLUTION
    assert abs(float(nearest) - value) <= gap * (1 + 1e-6) + 1e-9


def test_a_real_number_is_rounded_to_what_its_axis_is_long() -> None:
    assert axes.nearest(Range(0.0, 1.0), 0.123456789) == 0.1235
    assert axes.nearest(Range(1e-5, 1e-1, log=True), 0.000123456789) == 0.0001235
    assert axes.nearest(Range(0.50001, 0.50002), 0.500013) == 0.500013


@pytest.mark.parametrize(
    ("axis", "problem"),
    [
        (Choice(()), "repeats a value or has none"),
        (Choice((1, 1)), "repeats a value"),
        (Range(2, 1), "nothing from 2 to 1"),
        (Range(0, math.inf), "nothing from 0 to inf"),
        (Range(math.nan, 1), "nothing from nan"),
        (Range(0, 1, step=0), "a step of 0 leads nowhere"),
        (Range(0, 1, log=True), "log needs a low above 0, not 0"),
    ],
)
def test_an_axis_without_values_is_refused_by_name(axis: Axis, problem: str) -> None:
    with pytest.raises(BadInput, match=problem) as refusal:
        axes.check({"WIDTH": Choice((1,)), "DEPTH": axis})
    assert refusal.value.where == "space, DEPTH"


def test_a_space_needs_an_axis() -> None:
    with pytest.raises(BadInput, match="no constants"):
        axes.check({})
    axes.check({"A": Choice((True, 1)), "B": Range(1, 1)})


def test_all_points_of_a_small_space_are_there_and_of_a_large_one_some_within_it() -> None:
    small = {"A": Choice((1, 2)), "B": Range(0, 2, 1)}
    assert len({tuple(one.values()) for one in axes.points(small, 6)}) == 6
    large = {"A": Range(1e-3, 1.0, None, log=True), "B": Range(1, 100, 1)}
    drawn = list(axes.points(large, 50))
    assert len(drawn) == 50
    assert drawn == list(axes.points(large, 50))
    assert all(axes.contains(large[name], value) for one in drawn for name, value in one.items())
