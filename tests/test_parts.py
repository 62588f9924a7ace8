"""Parts: where a campaign's logs go, and a time that sorts as text."""

from agent.parts import now


def test_times_sort_as_text() -> None:
    times = [now() for _ in range(100)]
    assert times == sorted(times)
    assert {len(time) for time in times} == {32}
