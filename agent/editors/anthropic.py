"""Claude as the editor: prose to ideas, an idea to new texts of editable files. The one floor that speaks to a model.

A reply is material, whoever may have written in it: ideas come out as bounded lines, a draft as the texts on a desk.
"""

import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from anthropic.types import (
    CacheControlEphemeralParam,
    JSONOutputFormatParam,
    MessageParam,
    TextBlockParam,
    ToolResultBlockParam,
)
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.core.errors import BadInput, SpendingCapReached
from agent.core.proposals import Brief, Draft, Idea, Ideas
from agent.core.sanitize import one_line, secrets, strip_hidden
from agent.editors import prompt
from agent.editors.client import Answer, ApiConfig, Block, CallFailed, Conversation, Reply, Request
from agent.editors.models import Settings
from agent.editors.spending import Spending
from agent.editors.text_editor import TOOL, TextEditor

TITLE_CAP, HYPOTHESIS_CAP, EXPECTED_CAP, SAID_CAP = 80, 1000, 200, 2000  # characters

# What a reply with ideas looks like. Structured outputs know no lengths and need additionalProperties: false.
_IDEA = {name: {"type": "string"} for name in ("title", "hypothesis", "expected")}
_ITEM = {"type": "object", "properties": _IDEA, "required": list(_IDEA), "additionalProperties": False}
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"ideas": {"type": "array", "items": _ITEM}},
    "required": ["ideas"],
    "additionalProperties": False,
}


class _Proposed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    title: str = Field(min_length=1)
    hypothesis: str
    expected: str


class _Proposals(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    ideas: list[_Proposed]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


class Claude:
    """The Editor that is Claude. Raises what Talk.ask raises; what concerns one draft alone is in the draft."""

    def __init__(
        self,
        settings: Settings,
        account: Spending,
        *,
        environment: Mapping[str, str] = os.environ,
        again: str = "the same command",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], str] = _now,
    ) -> None:
        """`again` is the command that goes on after a pause. Raises BadInput where there is no key, before any call."""
        key = environment.get("ANTHROPIC_API_KEY", "").strip()
        if not key or not key.isascii() or not key.isprintable():
            raise BadInput(
                f"ANTHROPIC_API_KEY is {'no key' if key else 'not set'}",
                next_step="export ANTHROPIC_API_KEY=..., a key from https://platform.claude.com/settings/keys; or take "
                "another editor: --editor COMMAND",
            )
        assert settings.price
        self._settings, self._account = settings, account
        base_url = environment.get("ANTHROPIC_BASE_URL") or None
        self._line = ApiConfig(key, base_url, secrets({**environment, "KEY": key}), again, clock, sleep, now)

    # --- ideas ---

    def ideas(self, brief: Brief, count: int, folder: Path) -> Ideas:
        """Up to `count` ideas, unnamed."""
        told = [*self._told(brief), _text(prompt.propose(count))]
        request = self._request(brief, [{"role": "user", "content": told}])
        request["output_config"] = {**request.get("output_config", {}), "format": _FORMAT}
        try:
            with self._talk("", folder) as talk:
                return _ideas(talk.ask(request), count)
        except CallFailed as failure:
            return Ideas(failure=str(failure))

    # --- drafts ---

    def write(self, brief: Brief, idea: Idea, failure: str, folder: Path) -> Draft:
        """The change, made with the text editor tool in memory: nothing but new texts of `brief.files` comes out."""
        desk = TextEditor(brief.files, self._settings.file_bytes)
        asked = [_text(prompt.change(idea, self._line.known))]
        asked += [_text(prompt.revise(failure, self._line.known))] if failure else []
        messages: list[MessageParam] = [{"role": "user", "content": [*self._told(brief), *asked]}]
        try:
            with self._talk(idea.name, folder) as talk:
                said = self._edit(talk, desk, self._request(brief, messages), messages)
        except CallFailed as reason:
            return Draft(failure=str(reason))
        except SpendingCapReached as capped:
            if not capped.variant:
                raise
            return Draft(failure=capped.problem)
        said = strip_hidden(said, SAID_CAP)
        if desk.changed:
            return Draft(desk.changed, said)
        told = f"; the text editor had refused: {one_line(desk.refused, limit=SAID_CAP)}" if desk.refused else ""
        return Draft(said=said, failure=f"nothing was changed{told}")

    def _edit(self, talk: Conversation, desk: TextEditor, request: Request, messages: list[MessageParam]) -> str:
        """Talk until the model is done; return its last words. Raises Failed where it does not come to an end."""
        request["tools"] = [{"type": "text_editor_20250728", "name": TOOL}]
        request["cache_control"] = _CACHED  # the conversation up to its newest block
        used = 0
        for _ in range(self._settings.turns):
            answer = talk.ask(request)
            if answer.reply.stop_reason == "end_turn":
                return answer.reply.said
            used += len(answer.reply.uses)
            if used > self._settings.tool_calls:
                raise CallFailed(f"not done after {self._settings.tool_calls} uses of the text editor")
            messages += _next(answer, desk)
        raise CallFailed(f"not done after {self._settings.turns} replies")

    # --- requests ---

    def _talk(self, variant: str, folder: Path) -> Conversation:
        return Conversation(self._line, self._settings, self._account, variant, folder)

    def _told(self, brief: Brief) -> list[TextBlockParam]:
        """What is the same for a whole round, kept in the API's cache."""
        return [_text(brief.question), _text(prompt.files(brief), cached=True)]

    def _request(self, brief: Brief, messages: list[MessageParam]) -> Request:
        request: Request = {"system": [_text(brief.rules, cached=True)], "messages": messages}
        if self._settings.effort is not None:
            request["output_config"] = {"effort": self._settings.effort}
        return request


_FORMAT: JSONOutputFormatParam = {"type": "json_schema", "schema": SCHEMA}
_CACHED: CacheControlEphemeralParam = {"type": "ephemeral"}  # for five minutes: models.yaml prices that


def _text(text: str, *, cached: bool = False) -> TextBlockParam:
    block: TextBlockParam = {"type": "text", "text": text}
    return {**block, "cache_control": _CACHED} if cached else block


def _ideas(answer: Answer, count: int) -> Ideas:
    """The ideas of a reply, cut to their caps. Raises Failed where there is none to be read."""
    if answer.reply.stop_reason != "end_turn":
        raise CallFailed(_stopped(answer.reply))
    try:
        proposed = _Proposals.model_validate_json(answer.reply.said).ideas
    except ValidationError as error:
        first = error.errors()[0]
        raise CallFailed(f"the ideas cannot be read: {one_line(first['msg'], limit=100)}") from None
    found = tuple(filter(lambda idea: idea.title, map(_idea, proposed[:count])))
    return Ideas(found, "" if found else "no change was proposed")


def _idea(proposed: _Proposed) -> Idea:
    return Idea(
        name="",
        title=one_line(proposed.title, limit=TITLE_CAP),
        hypothesis=one_line(proposed.hypothesis, limit=HYPOTHESIS_CAP),
        expected=one_line(proposed.expected, limit=EXPECTED_CAP),
    )


def _next(answer: Answer, desk: TextEditor) -> list[MessageParam]:
    """The messages after a reply: itself, and what its uses of the tool gave. Raises Failed where it is over."""
    reply = answer.reply
    going_on = (reply.stop_reason == "tool_use" and reply.uses) or (
        reply.stop_reason == "pause_turn" and answer.content
    )
    if not going_on:
        raise CallFailed(_stopped(reply))
    said = cast(MessageParam, {"role": "assistant", "content": answer.content})
    results = [_result(use, desk) for use in reply.uses]
    return [said, {"role": "user", "content": results}] if results else [said]


def _result(use: Block, desk: TextEditor) -> ToolResultBlockParam:
    told, failed = desk.use(use.name, use.input)
    return {"type": "tool_result", "tool_use_id": use.id, "content": told, "is_error": failed}


def _stopped(reply: Reply) -> str:
    """Why a reply that is not done came to an end, in words."""
    match reply.stop_reason:
        case "max_tokens":
            return "the reply was cut off at max_tokens, the limit of one reply in models.yaml"
        case "model_context_window_exceeded":
            return "the reply was cut off: the model's context was full"
        case "refusal":
            return f"Claude declined{f' ({reply.refusal})' if reply.refusal else ''}"
    return f"the reply ended with {one_line(reply.stop_reason, limit=40)!r} and nothing to go on with"
