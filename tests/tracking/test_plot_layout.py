"""Where names, ticks and lines go."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.trials import Ancestor
from agent.tracking.plot_layout import apart, descents, lowest_so_far, short_count, spaced


@given(st.lists(st.floats(0, 1), max_size=12), st.floats(0.01, 0.3))
def test_names_are_a_gap_apart_in_the_order_of_their_values(values: list[float], gap: float) -> None:
    moved = apart(values, gap)
    by_value = [moved[at] for at in sorted(range(len(values)), key=lambda at: values[at])]
    assert all(high - low >= gap - 1e-9 for low, high in pairwise(by_value))
    assert math.isclose(sum(moved), sum(values), abs_tol=1e-6)


def test_names_that_are_apart_stay_where_they_are() -> None:
    assert apart([1.0, 3.0, 2.0], 0.5) == [1.0, 3.0, 2.0]


@pytest.mark.parametrize(("count", "text"), [(500, "500"), (2908, "2.908k"), (2e6, "2M"), (1.5e9, "1.5B")])
def test_a_count_in_few_letters(count: float, text: str) -> None:
    assert short_count(count) == text


def test_ticks_that_would_run_into_each_other_are_left_out() -> None:
    assert spaced([0, 1, 5, 9, 10], 2) == [0, 2, 3]


def test_the_lowest_so_far_goes_on_to_the_last_point() -> None:
    assert lowest_so_far([(1, 3), (2, 4), (3, 2), (4, 5)]) == [(1, 3), (3, 2), (4, 2)]
    assert lowest_so_far([]) == []


def test_a_child_descends_from_where_its_parent_lived_last_before_it_was_born() -> None:
    elite = [Ancestor("a", at, "elite" if at > 1 else "random", (), 2.5) for at in (1, 2, 3)]
    child = [Ancestor("c", at, "cross", ("a", "gone"), 2.4) for at in (3, 4)]
    assert descents([*child, *elite]) == [((2, 2.5), (3, 2.4))]
