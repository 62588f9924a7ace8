"""Retries on a clock that only waiting moves: what is repeated, for how long, and what comes out in the end."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.retry import Backoff, Deadline, RetriesExhausted, parse_retry_after, with_retry


class Service:
    """A service that fails with these errors, then answers; its clock moves by the waits and by each call."""

    def __init__(self, *errors: Exception, call_s: float = 0.0) -> None:
        self.errors, self.call_s = list(errors), call_s
        self.calls, self.waits, self.now = 0, list[float](), 100.0

    def __call__(self) -> str:
        self.calls += 1
        self.now += self.call_s
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def always(seconds: float | None) -> Callable[[Exception, int], float | None]:
    return lambda error, attempt: seconds  # noqa: ARG005 (the callback's signature)


def test_a_failure_that_passes_is_repeated_after_the_waits_of_the_backoff() -> None:
    service = Service(*[OSError("away")] * 4)
    backoff = Backoff(first_s=1, longest_s=5)
    assert with_retry(service, OSError, lambda _, n: backoff.wait_s(n), sleep=service.sleep) == "answer"
    assert service.waits == [1, 2, 4, 5]


def test_an_error_that_no_attempt_mends_is_raised_at_once_as_it_is() -> None:
    error = OSError("gone")
    service = Service(error)
    with pytest.raises(OSError, match="gone") as raised:
        with_retry(service, OSError, always(None), sleep=service.sleep)
    assert raised.value is error
    assert (service.calls, service.waits) == (1, [])


def test_an_error_of_another_kind_is_not_asked_about() -> None:
    service = Service(KeyError("bug"))
    with pytest.raises(KeyError):
        with_retry(service, (OSError, ValueError), always(1.0), sleep=service.sleep)
    assert service.calls == 1


def test_the_last_attempt_is_not_followed_by_a_wait() -> None:
    service = Service(*[OSError(str(n)) for n in range(9)])
    with pytest.raises(RetriesExhausted, match="3; another attempt is due in 2 s") as exhausted:
        with_retry(service, OSError, always(2.0), max_attempts=4, sleep=service.sleep)
    assert (service.calls, service.waits) == (4, [2.0] * 3)
    assert (str(exhausted.value.error), exhausted.value.wait_s) == ("3", 2.0)


@pytest.mark.parametrize(("wait", "calls"), [(9.0, 2), (10.0, 1), (3600.0, 1)])
def test_no_wait_begins_that_would_reach_the_deadline(wait: float, calls: int) -> None:
    service = Service(*[OSError("away")] * 9)
    deadline = Deadline(10, service.clock)
    with pytest.raises(RetriesExhausted):
        with_retry(service, OSError, always(wait), deadline=deadline, sleep=service.sleep)
    assert service.calls == calls


def test_the_time_that_calls_take_counts_against_the_deadline() -> None:
    service = Service(*[OSError("away")] * 9, call_s=4)
    deadline = Deadline(10, service.clock)
    with pytest.raises(RetriesExhausted):
        with_retry(service, OSError, always(1.0), deadline=deadline, sleep=service.sleep)
    assert (service.calls, deadline.left_s, deadline.seconds) == (2, 1, 10)


def test_every_wait_is_announced_before_it_begins() -> None:
    service, heard = Service(OSError("first"), OSError("second")), list[tuple[str, float, int]]()

    def on_wait(error: OSError, wait: float) -> None:
        heard.append((str(error), wait, len(service.waits)))

    with_retry(service, OSError, lambda _, n: float(n), sleep=service.sleep, on_wait=on_wait)
    assert heard == [("first", 1.0, 0), ("second", 2.0, 1)]


@given(st.integers(1, 5000), st.floats(0, 1000), st.none() | st.floats(0, 5000))
def test_a_wait_is_bounded_by_our_longest_and_never_below_what_was_asked(
    attempt: int, longest: float, requested: float | None
) -> None:
    wait = Backoff(1.0, longest).wait_s(attempt, requested)
    assert (requested or 0.0) <= wait <= max(longest, requested or 0.0)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("Wed, 21 Oct 2026 07:28 GMT", None),
    ],
)
def test_only_a_whole_number_of_seconds_is_read_from_a_header(value: str, seconds: float | None) -> None:
    assert parse_retry_after(value) == seconds
