"""One conversation with the Messages API: each call reserved, bounded in time, settled and written down.

The SDK builds the requests and names the errors. Waiting is done here, for it obeys `retry-after` without a limit.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Annotated, Required, TypedDict, TypeVar, cast

import anthropic
import httpx2
from anthropic.types import (
    CacheControlEphemeralParam,
    MessageParam,
    OutputConfigParam,
    TextBlockParam,
    ToolTextEditor20250728Param,
)
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.core.errors import BadInput, HarnessError, Paused, Unreachable
from agent.core.sanitize import one_line, redact
from agent.editors.models import Settings
from agent.editors.spending import Spending, Usage

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0  # between two tries, where the service names no time itself
DEAR_TRIES = 3  # of a call that may have been billed although nothing came back
DEEPEST = 40  # lists and objects within each other, in a reply
TEXT_CAP = 64 << 10  # characters of one text in a transcript
SAID_CAP = 300  # characters of what the service says of an error
_UNCOUNTED = 200  # tokens that the count may leave out, beside a twentieth: it is an estimate, says its page
_TOOL_TEXT = 2000  # more than what the API itself tells the model of the text editor
_T = TypeVar("_T")


class Request(TypedDict, total=False):
    """What is asked, beside the model and its limits: the part of the API's parameters that is used here."""

    system: Sequence[TextBlockParam]
    messages: Required[Sequence[MessageParam]]
    tools: Sequence[ToolTextEditor20250728Param]
    output_config: OutputConfigParam
    cache_control: CacheControlEphemeralParam


class CallFailed(Exception):
    """This call came to nothing for a reason of its own: the next draft may do better. Its text is the reason."""


# --- replies ----------------------------------------------------------------------------------------------

_Tokens = Annotated[int, Field(ge=0, strict=True)]


class _Usage(BaseModel):
    input_tokens: _Tokens
    output_tokens: _Tokens
    cache_creation_input_tokens: _Tokens | None = None
    cache_read_input_tokens: _Tokens | None = None

    def usage(self) -> Usage:
        written, read = self.cache_creation_input_tokens or 0, self.cache_read_input_tokens or 0
        return Usage(self.input_tokens, self.output_tokens, written, read)


class _Counted(BaseModel):
    input_tokens: _Tokens


class _Billed(BaseModel):
    usage: _Usage


class Block(BaseModel):
    """One block of a reply; of other types than text and tool_use nothing is read."""

    model_config = ConfigDict(extra="allow", strict=True)
    type: str
    text: str = ""
    id: str = ""
    name: str = ""
    input: object = None


class _Details(BaseModel):
    category: str | None = None
    explanation: str | None = None


class Reply(BaseModel):
    """A reply, as far as it is read."""

    stop_reason: str
    content: list[Block]
    stop_details: _Details | None = None

    @property
    def said(self) -> str:
        """Its text, without its thinking."""
        return "\n".join(block.text for block in self.content if block.type == "text").strip()

    @property
    def uses(self) -> list[Block]:
        return [block for block in self.content if block.type == "tool_use"]

    @property
    def refusal(self) -> str:
        """What a refusal says of itself."""
        details = self.stop_details or _Details()
        return one_line(": ".join(part for part in (details.category, details.explanation) if part), limit=SAID_CAP)


@dataclass(frozen=True)
class Answer:
    """A reply read, and its content as it came: what is sent back must be that, thinking and signatures included."""

    reply: Reply
    content: list[object]


def _parsed(body: str) -> object:
    """The JSON of a body; of one that is none, or is nested deeper than any reply, its text."""
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        return body
    return raw if _shallow(raw, DEEPEST) else body


def _shallow(value: object, room: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return room > 0 and all(_shallow(one, room - 1) for one in inner)


def _answer(raw: object) -> Answer:
    """Raises Failed where this is no reply."""
    try:
        json.dumps(raw, ensure_ascii=False).encode()  # half a surrogate pair could not be sent back
        reply = Reply.model_validate(raw)
    except ValueError as error:  # ValidationError and UnicodeEncodeError are such
        raise CallFailed(f"what came back is no reply of the API ({type(error).__name__})") from None
    return Answer(reply, cast(dict[str, list[object]], raw)["content"])


def _usage(raw: object) -> Usage | None:
    """What a reply says it used, or None where it does not: its reservation then stays."""
    try:
        return _Billed.model_validate(raw).usage.usage()
    except ValidationError:
        return None


# --- transcripts ------------------------------------------------------------------------------------------


class Transcript:
    """transcript.jsonl in a folder: requests and replies in order, without secrets. A request's messages stand there
    once: `before` counts those that earlier lines have."""

    def __init__(self, folder: Path, known: Sequence[str], now: Callable[[], str]) -> None:
        self._path, self._known, self._now = folder / "transcript.jsonl", known, now
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, kind: str, told: Mapping[str, object]) -> None:
        """Add one line. Raises HarnessError where the disk is full."""
        entry = {"kind": kind, "at": self._now(), **{name: self._clean(value) for name, value in told.items()}}
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise HarnessError(
                f"cannot write down what was said: {error.strerror}",
                where=str(self._path),
                next_step="free some space and run the same command again",
            ) from None

    def _clean(self, value: object) -> object:
        if isinstance(value, str):
            text = redact(value, self._known)
            return text if len(text) <= TEXT_CAP else f"{text[:TEXT_CAP]}… ({len(text):,} characters)"
        if isinstance(value, Mapping):
            return {str(self._clean(str(name))): self._clean(inner) for name, inner in value.items()}
        return [self._clean(inner) for inner in value] if isinstance(value, list | tuple) else value


# --- the conversation -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ApiConfig:
    """How the API is reached: the key and the place, the clocks, and the command that goes on after a pause."""

    key: str
    base_url: str | None
    known: Sequence[str]
    again: str
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    now: Callable[[], str]


class Conversation:
    """One operation: the calls for `variant` (empty for a round's ideas), written down in `folder`."""

    def __init__(self, line: ApiConfig, settings: Settings, account: Spending, variant: str, folder: Path) -> None:
        self._line, self._settings, self._account, self._variant = line, settings, account, variant
        self._transcript = Transcript(folder, line.known, line.now)
        self._logged = 0
        self._until = line.clock() + settings.deadline_s
        self._client = anthropic.Anthropic(api_key=line.key, base_url=line.base_url, max_retries=0)

    def __enter__(self) -> "Conversation":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()  # which also ends a call that was given up

    def ask(self, request: Request) -> Answer:
        """One reply. Raises Failed, Paused at a cap and BadInput for a key or a model that is refused; Unreachable
        where the service does not answer before the operation's deadline."""
        self._log(request)
        tokens = self._persist(lambda: self._count(request))
        raw = self._persist(lambda: self._paid(request, tokens))
        self._transcript.write("reply", {"reply": raw})
        return _answer(raw)

    def _log(self, request: Request) -> None:
        messages = request["messages"]
        told = {name: value for name, value in request.items() if not self._logged or name == "messages"}
        new = {"model": self._settings.model, **told, "messages": messages[self._logged :], "before": self._logged}
        self._transcript.write("request", new)
        self._logged = len(messages)

    def _count(self, request: Request) -> int:
        """The most tokens that a request may have; counting costs nothing. Raises Failed where nothing is counted."""
        try:
            raw = _parsed(self._counted(request))
            counted = _Counted.model_validate(raw).input_tokens
        except anthropic.NotFoundError as error:
            if error.type == "not_found_error":  # the model; a gateway that cannot count says something else
                raise
            return len(json.dumps(request)) + _TOOL_TEXT  # no token is less than a character of ASCII
        except ValidationError:
            raise CallFailed("the API does not say how many tokens the request has") from None
        return counted + counted // 20 + _UNCOUNTED

    def _counted(self, request: Request) -> str:
        ask, left, model = self._client.messages.with_raw_response.count_tokens, self._left(), self._settings.model
        return self._within(left, lambda: ask(model=model, timeout=left, **request).http_response.text)

    def _paid(self, request: Request, tokens: int) -> object:
        """A reply as it came, with its cost settled. A call of which nothing is known keeps its reservation."""
        left = self._left()
        call = self._account.reserve(self._variant, tokens, self._settings.max_tokens)
        try:
            raw = _parsed(self._within(left, lambda: self._create(request, left)))
        except anthropic.APIError as error:
            if _unbilled(error):
                self._account.settle(call, Usage())
            raise
        usage = _usage(raw)
        if usage is not None:
            self._account.settle(call, usage)
        return raw

    def _create(self, request: Request, left: float) -> str:
        create = self._client.messages.with_raw_response.create
        model, most = self._settings.model, self._settings.max_tokens
        return create(model=model, max_tokens=most, timeout=left, **request).http_response.text

    # --- time ---

    def _left(self) -> float:
        """Seconds until the deadline. Raises Unreachable where it has passed."""
        left = self._until - self._line.clock()
        if left <= 0:
            raise self._unreachable(f"no end within {self._settings.deadline_s:g} s")
        return left

    def _within(self, seconds: float, call: Callable[[], _T]) -> _T:
        """The call's value, or its error. A body that trickles in escapes every timeout of a socket, not this one."""
        box: SimpleQueue[_T | BaseException] = SimpleQueue()
        Thread(target=lambda: box.put(_outcome(call)), daemon=True).start()
        try:
            outcome = box.get(timeout=seconds)
        except Empty:
            raise self._unreachable(f"no answer within {self._settings.deadline_s:g} s") from None
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _persist(self, call: Callable[[], _T]) -> _T:
        """Try until it works, or cannot, or the next try would come after the deadline."""
        for tried in count(1):
            try:
                return call()
            except anthropic.APIError as error:
                wait = _wait(error, tried)
                if wait is None:
                    raise self._told(error) from None
                if wait >= self._until - self._line.clock():
                    raise self._unreachable(f"{_reason(error)}; another try is due in {wait:.0f} s") from None
                self._transcript.write("error", {"error": _reason(error), "wait_s": wait})
            self._line.sleep(wait)
        raise AssertionError

    # --- errors ---

    def _unreachable(self, reason: str) -> Unreachable:
        return Unreachable(f"the Claude API: {reason}", next_step=f"to go on later, run again: {self._line.again}")

    def _told(self, error: anthropic.APIError) -> Exception:
        """What to raise for an error that no further try mends."""
        status = error.status_code if isinstance(error, anthropic.APIStatusError) else 0
        reason = _reason(error)
        self._transcript.write("error", {"error": reason})
        problem = f"the Claude API: {reason}"
        match status:
            case 401 | 403:
                return BadInput(problem, next_step="set ANTHROPIC_API_KEY to a key that may use this model")
            case 402:
                return Paused(problem, next_step=f"pay, then go on with: {self._line.again}")
            case 404:
                return BadInput(f"the Claude API has no model {self._settings.model!r} ({reason})", next_step=_MODEL)
            case 413:
                return CallFailed("the request is too large for the API")
            case 400 if "prompt is too long" in reason:  # there is no code for it
                return CallFailed("the request is too long for the model's context")
            case _ if 400 <= status < 500 and status not in _PASSING:
                return BadInput(problem, next_step=f"{_MODEL}; or another effort in models.yaml")
        return self._unreachable(reason)


_MODEL = "set AUTORESEARCH_MODEL (or --model) to one that the key may use and models.yaml has a price for"
_PASSING = (408, 409, 429)  # the errors below 500 that a later try may not meet
_REFUSED_EARLY = (429, 529)  # nothing was computed


def _outcome(call: Callable[[], _T]) -> _T | BaseException:
    try:
        return call()
    except BaseException as error:
        return error


def _reason(error: anthropic.APIError) -> str:
    """One line on an error: its status, and what the service says."""
    if isinstance(error, anthropic.APIStatusError):
        return one_line(f"{error.status_code} {error.type or ''} {error.api_message or ''}", limit=SAID_CAP)
    cause = error.__cause__
    return one_line(f"no connection ({type(cause or error).__name__}: {cause or error})", limit=SAID_CAP)


def _unbilled(error: anthropic.APIError) -> bool:
    """Whether a call that failed was surely not billed: refused before anything was computed, or never delivered."""
    if isinstance(error, anthropic.APIStatusError):
        return error.status_code < 500 or error.status_code in _REFUSED_EARLY
    return isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)


def _wait(error: anthropic.APIError, tried: int) -> float | None:
    """Seconds until the next try; None where none may help, or each of them may cost."""
    status = error.status_code if isinstance(error, anthropic.APIStatusError) else 500
    if (status < 500 and status not in _PASSING) or (tried >= DEAR_TRIES and not _unbilled(error)):
        return None
    told = error.response.headers.get("retry-after", "") if isinstance(error, anthropic.APIStatusError) else ""
    asked = float(told) if told.isdecimal() else 0.0
    return max(asked, min(FIRST_WAIT_S * 2.0 ** (tried - 1), LONGEST_WAIT_S))
