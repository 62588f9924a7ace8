"""Calls of GitHub: repeated where their failure may pass, within bounds, and refusals in plain words."""

import time
from collections.abc import Callable
from dataclasses import field
from typing import TypeVar

from github import BadAttributeException, GithubException
from requests import RequestException

from agent.core.errors import BadInput, HarnessError, Unreachable
from agent.core.frozen import frozen
from agent.core.retry import Backoff, Deadline, RetriesExhausted, parse_retry_after, with_retry
from agent.core.sanitize import redact, strip_control

DEADLINE_S = 120.0  # one operation waits for no longer than that in all, whatever GitHub asks for
MAX_ATTEMPTS = 4  # of an operation; it is repeated after 1, 2 and 4 seconds
SECONDARY_LIMIT_S = 60.0  # to wait after a secondary limit that does not name a time
_MESSAGE_CAP = 300  # characters of what GitHub answers, in an error

_T = TypeVar("_T")

_LATER = "see what GitHub says of it; the campaign is in the ledger, and the same command goes on"
_REFUSALS = {
    401: ("GitHub does not know the token", "set GITHUB_TOKEN to one that is valid"),
    403: (
        "the token may not do that",
        "give it issues, pull requests and contents: read and write, for {}",
    ),
    404: ("GitHub knows no such thing, or the token may not see it", "check the number, and GITHUB_REPOSITORY ({})"),
    410: ("it was deleted, or the repository has no issues", "give another issue, or turn on the issues of {}"),
    422: ("GitHub does not take it", _LATER),
}


@frozen
class GitHubCalls:
    """Carries out operations on a repository. `pace` scales the pauses between attempts."""

    repository: str
    token: str = field(repr=False)
    pace: float = 1.0

    def run(self, what: str, operation: Callable[[], _T]) -> _T:
        """Return what an operation on `what` returns; where its failure may pass it is done once more from its start.

        Raises Unreachable where the failure did not pass in time, BadInput or HarnessError where waiting is in vain.
        """
        try:
            return with_retry(
                operation,
                (GithubException, RequestException, ValueError),  # the last one: half an answer
                self._wait_s,
                deadline=Deadline(DEADLINE_S),
                max_attempts=MAX_ATTEMPTS,
            )
        except RetriesExhausted as exhausted:
            raise self._unreachable(what, exhausted.error, exhausted.wait_s) from None
        except GithubException as error:
            raise self._refused(what, error) from None
        except (RuntimeError, AssertionError, BadAttributeException) as error:  # PyGithub's: another host, another type
            raise HarnessError(
                f"GitHub's answer is of no use: {self._quote(str(error))}", where=self.place(what)
            ) from None

    def place(self, what: str) -> str:
        """Return where an error on `what` is."""
        return f"{self.repository}, {what}"

    def _wait_s(self, error: Exception, attempt: int) -> float | None:
        """Return the seconds after which to try once more; None where that would be in vain."""
        asked_s = asked_to_wait(error)
        passing = not isinstance(error, GithubException) or error.status >= 500 or error.status == 408
        return Backoff(self.pace).wait_s(attempt, asked_s) if passing or asked_s is not None else None

    def _unreachable(self, what: str, error: Exception, wait_s: float) -> Unreachable:
        """Return the error for a failure that may pass later."""
        if asked_to_wait(error) is not None:
            problem = f"GitHub asks to wait {wait_s:.0f} s (its rate limit)"
        elif isinstance(error, GithubException):
            problem = f"GitHub answered {error.status}"
        else:
            problem = f"GitHub cannot be reached ({type(error).__name__})"
        return Unreachable(problem, where=self.place(what), next_step="run the same command again later: it goes on")

    def _refused(self, what: str, error: GithubException) -> HarnessError:
        """Return the error for a failure that waiting does not help against."""
        problem, step = _REFUSALS.get(error.status, (f"GitHub answered {error.status}", _LATER))
        answer = self._quote(_message(error))
        kind = HarnessError if error.status == 422 else BadInput
        return kind(
            f"{problem}: {answer}" if answer else problem,
            where=self.place(what),
            next_step=step.format(self.repository),
        )

    def _quote(self, text: str) -> str:
        """Return what GitHub answered, without the token and short enough for an error."""
        return strip_control(redact(text, (self.token,)))[:_MESSAGE_CAP]


def _message(error: GithubException) -> str:
    """Return GitHub's message of a refusal, with the details of a 422."""
    data = error.data if isinstance(error.data, dict) else {}
    details = [one for one in data.get("errors", []) if isinstance(one, dict)]
    messages = [str(data.get("message") or ""), *(str(one.get("message") or one.get("code") or "") for one in details)]
    return "; ".join(filter(None, messages))


def asked_to_wait(error: Exception) -> float | None:
    """Return the seconds that a rate limit, primary or secondary, asks to wait; None where the failure is none."""
    if not isinstance(error, GithubException) or error.status not in (403, 429):
        return None
    headers = error.headers or {}
    if (seconds := parse_retry_after(headers.get("retry-after", ""))) is not None:
        return seconds
    if headers.get("x-ratelimit-remaining") == "0" and (reset := headers.get("x-ratelimit-reset", "")).isdigit():
        return max(0.0, int(reset) - time.time()) + 1
    limited = error.status == 429 or "rate limit" in _message(error).lower()
    return SECONDARY_LIMIT_S if limited else None


def or_none(request: Callable[[], _T]) -> _T | None:
    """Return an answer, or None where GitHub knows no such thing: it never was, or another harness just removed it."""
    try:
        return request()
    except GithubException as error:
        if error.status != 404:
            raise
        return None


def unless_there(create: Callable[[], object]) -> None:
    """Create what another harness may have created just now."""
    try:
        create()
    except GithubException as error:
        if error.status != 422 or "already_exists" not in str(error.data):
            raise
