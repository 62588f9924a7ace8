"""One conversation with the Messages API: each call reserved, bounded in time, repeated, settled and recorded.

The SDK builds the requests and names the errors; it repeats nothing itself, for it obeys `retry-after` without a limit.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Required, TypedDict, TypeVar

import anthropic
import httpx2
from anthropic.types import (
    CacheControlEphemeralParam,
    MessageParam,
    OutputConfigParam,
    TextBlockParam,
    ToolTextEditor20250728Param,
)

from agent.core.errors import BadInput, Paused, Unreachable
from agent.core.frozen import frozen
from agent.core.retry import Backoff, Deadline, RetriesExhausted, parse_retry_after, with_retry
from agent.core.sanitize import one_line
from agent.editors.models import Settings
from agent.editors.replies import (
    EXPLANATION_CAP,
    Answer,
    CallFailed,
    parse_answer,
    parse_body,
    parse_token_count,
    parse_usage,
)
from agent.editors.spending import Spending, Usage
from agent.editors.transcript import Transcript

BACKOFF = Backoff(first_s=1.0, longest_s=60.0)  # where the service names no time itself
MAX_BILLED_ATTEMPTS = 3  # of a call that may have been billed although nothing came back
_UNCOUNTED = 200  # tokens that the count may leave out, beside a twentieth: it is an estimate, says its page
_TOOL_TEXT = 2000  # more than what the API itself adds to a request for the text editor
_MODEL_STEP = "set AUTORESEARCH_MODEL (or --model) to one that the key may use and models.yaml has a price for"
_TRANSIENT = (408, 409, 429)  # the errors below 500 that a later attempt may not meet
_REFUSED_EARLY = (429, 529)  # nothing was computed
_T = TypeVar("_T")


class Request(TypedDict, total=False):
    """A request, beside the model and its limits: the part of the API's parameters that is used here."""

    system: Sequence[TextBlockParam]
    messages: Required[Sequence[MessageParam]]
    tools: Sequence[ToolTextEditor20250728Param]
    output_config: OutputConfigParam
    cache_control: CacheControlEphemeralParam


@frozen
class ApiConfig:
    """How the API is reached: the key and the address, the clocks, and the command that goes on after a pause."""

    key: str
    base_url: str | None
    secrets: Sequence[str]
    resume_command: str
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    now: Callable[[], str]


class Conversation:
    """The calls of one operation, for `variant` (empty for a round's ideas), with their transcript in `folder`."""

    def __init__(self, api: ApiConfig, settings: Settings, spending: Spending, variant: str, folder: Path) -> None:
        self._api, self._settings, self._spending, self._variant = api, settings, spending, variant
        self._transcript = Transcript(folder, api.secrets, api.now)
        self._logged = 0
        self._deadline = Deadline(settings.deadline_s, api.clock)
        self._client = anthropic.Anthropic(api_key=api.key, base_url=api.base_url, max_retries=0)

    def __enter__(self) -> "Conversation":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()  # which also ends a call that was given up

    def send(self, request: Request) -> Answer:
        """Return the reply to a request.

        Raises CallFailed; Paused at a cap; BadInput for a key or a model that is refused; Unreachable where the service
        does not answer before the operation's deadline.
        """
        self._log_request(request)
        tokens = self._with_retry(lambda: self._count_tokens(request))
        raw = self._with_retry(lambda: self._call_with_reservation(request, tokens))
        self._transcript.write("reply", {"reply": raw})
        return parse_answer(raw)

    def _log_request(self, request: Request) -> None:
        messages = request["messages"]
        fields = {name: value for name, value in request.items() if not self._logged or name == "messages"}
        new = {"model": self._settings.model, **fields, "messages": messages[self._logged :], "before": self._logged}
        self._transcript.write("request", new)
        self._logged = len(messages)

    # --- calls ---

    def _count_tokens(self, request: Request) -> int:
        """Return the most tokens that a request may have; counting costs nothing."""
        count, left, model = self._client.messages.with_raw_response.count_tokens, self._left_s(), self._settings.model
        try:
            body = self._within(left, lambda: count(model=model, timeout=left, **request).http_response.text)
        except anthropic.NotFoundError as error:
            if error.type == "not_found_error":  # the model; a gateway that cannot count answers something else
                raise
            return len(json.dumps(request)) + _TOOL_TEXT  # no token is less than a character of ASCII
        counted = parse_token_count(parse_body(body))
        return counted + counted // 20 + _UNCOUNTED

    def _call_with_reservation(self, request: Request, tokens: int) -> object:
        """Return a reply as it came, its cost settled. A call of which nothing is known keeps its reservation."""
        left = self._left_s()
        call = self._spending.reserve(self._variant, tokens, self._settings.max_tokens)
        try:
            raw = parse_body(self._within(left, lambda: self._create(request, left)))
        except anthropic.APIError as error:
            if _is_unbilled(error):
                self._spending.settle(call, Usage())
            raise
        usage = parse_usage(raw)
        if usage is not None:
            self._spending.settle(call, usage)
        return raw

    def _create(self, request: Request, timeout_s: float) -> str:
        create = self._client.messages.with_raw_response.create
        model, max_tokens = self._settings.model, self._settings.max_tokens
        return create(model=model, max_tokens=max_tokens, timeout=timeout_s, **request).http_response.text

    # --- time ---

    def _left_s(self) -> float:
        """Return the seconds until the deadline. Raises Unreachable where it has passed."""
        left = self._deadline.left_s
        if left <= 0:
            raise self._unreachable(f"no end within {self._deadline.seconds:g} s")
        return left

    def _within(self, seconds: float, call: Callable[[], _T]) -> _T:
        try:
            return with_timeout(seconds, call)
        except TimeoutError:
            raise self._unreachable(f"no answer within {self._deadline.seconds:g} s") from None

    def _with_retry(self, call: Callable[[], _T]) -> _T:
        try:
            return with_retry(
                call,
                anthropic.APIError,
                _wait_s,
                deadline=self._deadline,
                sleep=self._api.sleep,
                on_wait=lambda error, wait: self._log_error(error, wait_s=wait),
            )
        except RetriesExhausted as end:
            raise self._unreachable(f"{_reason(end.error)}; another try is due in {end.wait_s:.0f} s") from None
        except anthropic.APIError as error:
            self._log_error(error)
            raise self._lasting(error) from None

    # --- errors ---

    def _log_error(self, error: anthropic.APIError, **fields: float) -> None:
        self._transcript.write("error", {"error": _reason(error), **fields})

    def _unreachable(self, reason: str) -> Unreachable:
        step = f"to go on later, run again: {self._api.resume_command}"
        return Unreachable(f"the Claude API: {reason}", next_step=step)

    def _lasting(self, error: anthropic.APIError) -> Exception:
        """Return what to raise for an error that no further attempt mends."""
        reason = _reason(error)
        problem = f"the Claude API: {reason}"
        match _status(error):
            case 401 | 403:
                return BadInput(problem, next_step="set ANTHROPIC_API_KEY to a key that may use this model")
            case 402:
                return Paused(problem, next_step=f"pay, then go on with: {self._api.resume_command}")
            case 404:
                model = self._settings.model
                return BadInput(f"the Claude API has no model {model!r} ({reason})", next_step=_MODEL_STEP)
            case 413:
                return CallFailed("the request is too large for the API")
            case 400 if "prompt is too long" in reason:  # there is no code for it
                return CallFailed("the request is too long for the model's context")
            case status if 400 <= status < 500 and status not in _TRANSIENT:
                return BadInput(problem, next_step=f"{_MODEL_STEP}; or another effort in models.yaml")
        return self._unreachable(reason)


def with_timeout(seconds: float, call: Callable[[], _T]) -> _T:
    """Return what `call` returns, or raise its error; raises TimeoutError where it takes longer.

    It runs in a thread of its own: a body that trickles in escapes every timeout of a socket, and not this one.
    """
    box: SimpleQueue[_T | BaseException] = SimpleQueue()
    Thread(target=lambda: box.put(_outcome(call)), daemon=True).start()
    try:
        outcome = box.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def _outcome(call: Callable[[], _T]) -> _T | BaseException:
    try:
        return call()
    except BaseException as error:
        return error


def _status(error: anthropic.APIError) -> int:
    """Return the status of an answer; 0 where none came."""
    return error.status_code if isinstance(error, anthropic.APIStatusError) else 0


def _reason(error: Exception) -> str:
    """Return one line on an error: its status, and how the service explains it."""
    if isinstance(error, anthropic.APIStatusError):
        return one_line(f"{error.status_code} {error.type or ''} {error.api_message or ''}", limit=EXPLANATION_CAP)
    cause = error.__cause__
    return one_line(f"no connection ({type(cause or error).__name__}: {cause or error})", limit=EXPLANATION_CAP)


def _is_unbilled(error: anthropic.APIError) -> bool:
    """Return whether a failed call surely cost nothing: refused before anything was computed, or never delivered."""
    if isinstance(error, anthropic.APIStatusError):
        return error.status_code < 500 or error.status_code in _REFUSED_EARLY
    return isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)


def _wait_s(error: anthropic.APIError, attempt: int) -> float | None:
    """Return the seconds until the next attempt; None where none may help, or each of them may cost."""
    status = _status(error)
    if (0 < status < 500 and status not in _TRANSIENT) or (attempt >= MAX_BILLED_ATTEMPTS and not _is_unbilled(error)):
        return None
    headers = error.response.headers if isinstance(error, anthropic.APIStatusError) else {}
    return BACKOFF.wait_s(attempt, parse_retry_after(headers.get("retry-after", "")))
