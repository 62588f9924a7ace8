"""Repeat calls whose failure may pass, within a deadline and a number of attempts. Standard library alone."""

import time
from collections.abc import Callable
from itertools import count
from typing import TypeVar

from agent.core.frozen import frozen

_T = TypeVar("_T")
_E = TypeVar("_E", bound=Exception)


class RetriesExhausted(Exception):
    """A failure may pass, but no further attempt is allowed. `error` is the last one, `wait_s` what it asks for."""

    def __init__(self, error: Exception, wait_s: float) -> None:
        super().__init__(f"{error}; another attempt is due in {wait_s:.0f} s")
        self.error, self.wait_s = error, wait_s


class Deadline:
    """A moment `seconds` from now on `clock`."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self._clock = seconds, clock
        self._end = clock() + seconds

    @property
    def left_s(self) -> float:
        """Seconds until the deadline; negative when it has passed."""
        return self._end - self._clock()


@frozen
class Backoff:
    """Waits that double from `first_s` up to `longest_s`."""

    first_s: float = 1.0
    longest_s: float = 60.0

    def wait_s(self, attempt: int, asked_s: float | None = None) -> float:
        """Return the seconds to wait after attempt number `attempt` (from 1); never less than the service asked for."""
        doublings = min(attempt - 1, 60)  # 2**1024 is no float
        return max(asked_s or 0.0, min(self.first_s * 2.0**doublings, self.longest_s))


def parse_retry_after(value: str) -> float | None:
    """Return the seconds that a Retry-After header names; None for a date, an empty or any other text."""
    return float(value) if value.isdecimal() else None


def with_retry(
    call: Callable[[], _T],
    errors: type[_E] | tuple[type[_E], ...],
    wait_s: Callable[[_E, int], float | None],
    *,
    deadline: Deadline | None = None,
    max_attempts: int | None = None,
    sleep: Callable[[float], None] = time.sleep,
    on_wait: Callable[[_E, float], None] | None = None,
) -> _T:
    """Return what `call` returns, after as many attempts as its `errors` need.

    `wait_s(error, attempt)` returns the seconds before the next attempt, or None where none can help: then the error
    itself is raised. Raises RetriesExhausted after `max_attempts`, or where the wait would reach the deadline.
    `on_wait` hears of every wait before it begins.
    """
    for attempt in count(1):
        try:
            return call()
        except errors as error:
            wait = wait_s(error, attempt)
            if wait is None:
                raise
            if attempt == max_attempts or (deadline is not None and wait >= deadline.left_s):
                raise RetriesExhausted(error, wait) from error
            if on_wait is not None:
                on_wait(error, wait)
        sleep(wait)
    raise AssertionError("count() does not end")
