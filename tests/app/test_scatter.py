"""agent/app/scatter.py: every mark is drawn, where it belongs, and within 80 columns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.app.scatter import PLAIN, UNICODE, Axis, Mark, scatter

NUMBERS = st.floats(1, 1e20)


def place(drawn: str, sign: str) -> tuple[int, int]:
    """The line and column of a sign."""
    return next((row, line.index(sign)) for row, line in enumerate(drawn.splitlines()) if sign in line)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=26))
def test_every_mark_is_drawn_within_80_columns(points: list[tuple[float, float]]) -> None:
    marks = [Mark(sign, x, y) for sign, (x, y) in zip("abcdefghijklmnopqrstuvwxyz", points, strict=False)]
    drawn = scatter(marks, PLAIN, label=lambda _: "1.5M")
    plot = "".join(line.partition("|")[2] + line.partition("+")[2] for line in drawn.splitlines()[:14])
    assert {mark.sign for mark in marks} == set(plot) - {" "}
    assert max(map(len, drawn.splitlines())) <= 80


def test_what_is_wider_stands_further_right_and_what_is_larger_higher() -> None:
    drawn = scatter([Mark("a", 512, 1e8), Mark("b", 768, 1e8), Mark("c", 768, 1e9)], PLAIN, label=str)
    a, b, c = (place(drawn, sign) for sign in "abc")
    assert a[0] == b[0] > c[0]
    assert a[1] < b[1] == c[1]


def test_two_marks_of_one_place_stand_side_by_side() -> None:
    drawn = scatter([Mark("a", 512, 1e8), Mark("b", 512, 1e8)], PLAIN, label=str)
    (row, left), (other, right) = place(drawn, "a"), place(drawn, "b")
    assert (other, right) == (row, left + 1)


def test_plain_text_is_ascii_and_the_other_has_lines() -> None:
    marks = [Mark("a", 512, 1e8)]
    assert scatter(marks, PLAIN, label=str).isascii()
    assert "└─" in scatter(marks, UNICODE, label=str)


@pytest.mark.parametrize(("low", "high"), [(400, 960), (1, 3e11), (4.2, 4.5), (1e6, 1.6e6)])
@pytest.mark.parametrize("most", [1, 4, 7])
def test_ticks_are_within_the_scale_and_no_more_than_there_is_room_for(low: float, high: float, most: int) -> None:
    ticks = Axis(low, high, 60).ticks(most)
    assert len(ticks) <= most
    assert all(low <= tick <= high for tick in ticks)
