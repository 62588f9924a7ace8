"""Parts: where a campaign's logs go, and a time that sorts as text."""

from agent.campaign.context import Throttle
from agent.core.records import utc_now


def test_times_sort_as_text() -> None:
    times = [utc_now() for _ in range(100)]
    assert times == sorted(times)
    assert {len(time) for time in times} == {32}


def test_a_pace_lets_the_first_through_and_then_waits() -> None:
    pace = Throttle(3600)
    assert [pace.ready() for _ in range(3)] == [True, False, False]
    always = Throttle(0)
    assert [always.ready() for _ in range(3)] == [True, True, True]
