"""What the Messages API sends back: replies parsed within bounds, and the tokens that they say they used."""

import json
from typing import Annotated, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.core.frozen import frozen
from agent.core.sanitize import one_line
from agent.editors.spending import Usage

MAX_DEPTH = 40  # lists and objects within each other, in a reply
EXPLANATION_CAP = 300  # characters of what the service says of an error or a refusal
_Tokens = Annotated[int, Field(ge=0, strict=True)]


class CallFailed(Exception):
    """This call failed for a reason of its own, and the next draft may do better. Its text is the reason."""


class _Usage(BaseModel):
    input_tokens: _Tokens
    output_tokens: _Tokens
    cache_creation_input_tokens: _Tokens | None = None
    cache_read_input_tokens: _Tokens | None = None


class _TokenCount(BaseModel):
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


class _StopDetails(BaseModel):
    category: str | None = None
    explanation: str | None = None


class Reply(BaseModel):
    """A reply, as far as it is read."""

    stop_reason: str
    content: list[Block]
    stop_details: _StopDetails | None = None

    @property
    def text(self) -> str:
        """Its text, without its thinking."""
        return "\n".join(block.text for block in self.content if block.type == "text").strip()

    @property
    def tool_uses(self) -> list[Block]:
        """Its uses of a tool, in order."""
        return [block for block in self.content if block.type == "tool_use"]

    @property
    def refusal(self) -> str:
        """The category and the explanation of a refusal, as far as there are any, in one line."""
        details = self.stop_details or _StopDetails()
        return one_line(": ".join(filter(None, (details.category, details.explanation))), limit=EXPLANATION_CAP)


@frozen
class Answer:
    """A parsed reply, and its content as it came: that is what is sent back, thinking and signatures included."""

    reply: Reply
    content: list[object]


def parse_body(body: str) -> object:
    """Return the JSON of a body; the text itself where it is no JSON, or is nested deeper than any reply."""
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        return body
    return raw if _is_shallow(raw, MAX_DEPTH) else body


def _is_shallow(value: object, depth: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth > 0 and all(_is_shallow(one, depth - 1) for one in inner)


def parse_answer(raw: object) -> Answer:
    """Return the reply that `raw` is. Raises CallFailed where it is none."""
    try:
        json.dumps(raw, ensure_ascii=False).encode()  # half a surrogate pair could not be sent back
        reply = Reply.model_validate(raw)
    except ValueError as error:  # ValidationError and UnicodeEncodeError are such
        raise CallFailed(f"what came back is no reply of the API ({type(error).__name__})") from None
    return Answer(reply, cast(dict[str, list[object]], raw)["content"])


def parse_usage(raw: object) -> Usage | None:
    """Return what a reply says it used, or None where it does not: its reservation then stays."""
    try:
        usage = _Billed.model_validate(raw).usage
    except ValidationError:
        return None
    cache_write, cache_read = usage.cache_creation_input_tokens or 0, usage.cache_read_input_tokens or 0
    return Usage(usage.input_tokens, usage.output_tokens, cache_write, cache_read)


def parse_token_count(raw: object) -> int:
    """Return how many tokens the service counts. Raises CallFailed where it does not say."""
    try:
        return _TokenCount.model_validate(raw).input_tokens
    except ValidationError:
        raise CallFailed("the API does not say how many tokens the request has") from None


def describe_stop(reply: Reply) -> str:
    """Return in words why a reply ended that leaves nothing to go on with."""
    match reply.stop_reason:
        case "max_tokens":
            return "the reply was cut off at max_tokens, the limit of one reply in models.yaml"
        case "model_context_window_exceeded":
            return "the reply was cut off: the model's context was full"
        case "refusal":
            return f"Claude declined{f' ({reply.refusal})' if reply.refusal else ''}"
    return f"the reply ended with {one_line(reply.stop_reason, limit=40)!r} and nothing to go on with"
