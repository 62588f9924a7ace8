"""The throttle: when a campaign polls its tracker. And a time that sorts as text."""

from agent.campaign.context import Throttle
from agent.core.records import utc_now


def test_times_sort_as_text() -> None:
    times = [utc_now() for _ in range(100)]
    assert times == sorted(times)
    assert {len(time) for time in times} == {32}


def test_a_throttle_lets_the_first_through_and_then_waits() -> None:
    throttle = Throttle(3600)
    assert [throttle.ready() for _ in range(3)] == [True, False, False]
    always = Throttle(0)
    assert [always.ready() for _ in range(3)] == [True, True, True]


def test_what_was_read_is_not_polled_until_it_changes() -> None:
    throttle = Throttle(0)
    assert throttle.ready("one")
    assert throttle.ready("one")  # it could not be read
    throttle.done("one")
    assert [throttle.ready(revision) for revision in ("one", "two", "")] == [False, True, True]
