"""Calls of GitHub: which failures are waited for, how long, and what the others are called."""

import time

import pytest
from github import GithubException
from requests import ConnectionError as NoConnection

from agent.core.errors import BadInput, HarnessError, Unreachable
from agent.tracking.github_calls import (
    MAX_ATTEMPTS,
    SECONDARY_LIMIT_S,
    GitHubCalls,
    asked_to_wait,
    or_none,
    unless_there,
)

CALLS = GitHubCalls("lab/model", "a-token-of-ours", pace=0.0)


def error(status: int, message: str = "", **headers: str) -> GithubException:
    return GithubException(status, {"message": message}, {name.replace("_", "-"): v for name, v in headers.items()})


def failing(*errors: Exception | None) -> "Operation":
    return Operation(list(errors))


class Operation:
    """Fails with one error after the other, and returns 7 where there is none."""

    def __init__(self, errors: list[Exception | None]) -> None:
        self.errors, self.calls = errors, 0

    def __call__(self) -> int:
        self.calls += 1
        if (failure := self.errors.pop(0)) is not None:
            raise failure
        return 7


@pytest.mark.parametrize("failure", [error(502), error(408), NoConnection(), ValueError("half an answer")])
def test_what_may_pass_is_done_once_more(failure: Exception) -> None:
    operation = failing(failure, None)
    assert (CALLS.run("issue 3", operation), operation.calls) == (7, 2)


def test_what_does_not_pass_is_unreachable_after_a_few_attempts() -> None:
    operation = failing(*[error(503)] * 9)
    with pytest.raises(Unreachable, match="GitHub answered 503"):
        CALLS.run("issue 3", operation)
    assert operation.calls == MAX_ATTEMPTS


@pytest.mark.parametrize(("status", "kind"), [(401, BadInput), (404, BadInput), (410, BadInput), (422, HarnessError)])
def test_what_waiting_does_not_help_is_refused_at_once(status: int, kind: type[HarnessError]) -> None:
    operation = failing(error(status, "no: a-token-of-ours"))
    with pytest.raises(kind) as refused:
        CALLS.run("issue 3", operation)
    assert (operation.calls, refused.value.where) == (1, "lab/model, issue 3")
    assert "a-token-of-ours" not in str(refused.value)


def test_an_answer_that_pygithub_cannot_take_is_an_error_with_its_place() -> None:
    with pytest.raises(HarnessError, match="of no use: another host"):
        CALLS.run("issue 3", failing(AssertionError("another host")))


@pytest.mark.parametrize(
    ("failure", "seconds"),
    [
        (error(429, retry_after="7"), 7.0),
        (error(403, "You have exceeded a secondary rate limit"), SECONDARY_LIMIT_S),
        (error(403, "Resource not accessible"), None),
        (error(404, retry_after="7"), None),
        (NoConnection(), None),
    ],
)
def test_a_rate_limit_is_known_by_what_github_answers(failure: Exception, seconds: float | None) -> None:
    assert asked_to_wait(failure) == seconds


def test_a_primary_limit_is_waited_for_until_its_reset() -> None:
    limited = error(403, x_ratelimit_remaining="0", x_ratelimit_reset=str(int(time.time()) + 30))
    assert asked_to_wait(limited) == pytest.approx(31, abs=2)


def test_what_is_not_there_is_none_and_what_is_there_already_is_no_error() -> None:
    assert or_none(failing(error(404))) is None
    with pytest.raises(GithubException):
        or_none(failing(error(500)))
    unless_there(failing(GithubException(422, {"errors": [{"code": "already_exists"}]}, {})))
    with pytest.raises(GithubException):
        unless_there(failing(error(422)))
