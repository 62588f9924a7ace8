"""Claude as the editor: prose to ideas, an idea to new texts of editable files.

A reply is material, whoever may have written in it: ideas come out as bounded lines, a draft as the texts of a
TextEditor.
"""

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
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
from agent.core.proposals import BlockAnswer, Brief, Draft, Idea, Ideas
from agent.core.records import utc_now
from agent.core.sanitize import one_line, secrets, strip_hidden
from agent.editors import prompt
from agent.editors.client import ApiConfig, Conversation, Request
from agent.editors.models import Settings
from agent.editors.replies import Answer, Block, CallFailed, describe_stop
from agent.editors.spending import Spending
from agent.editors.text_editor import TOOL, TextEditor

TITLE_CAP, HYPOTHESIS_CAP, EXPECTED_CAP, SUMMARY_CAP = 80, 1000, 200, 2000  # characters

# What a reply with ideas looks like. Structured outputs know no lengths and need additionalProperties: false.
_IDEA = {name: {"type": "string"} for name in ("title", "hypothesis", "expected")}
_ITEM = {"type": "object", "properties": _IDEA, "required": list(_IDEA), "additionalProperties": False}
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"ideas": {"type": "array", "items": _ITEM}},
    "required": ["ideas"],
    "additionalProperties": False,
}


class _Proposal(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    title: str = Field(min_length=1)
    hypothesis: str
    expected: str


class _Proposals(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    ideas: list[_Proposal]


class Claude:
    """The Editor that is Claude. Raises what Conversation.send raises; a failure of one draft alone is in the draft."""

    def __init__(
        self,
        settings: Settings,
        spending: Spending,
        *,
        environment: Mapping[str, str] = os.environ,
        resume_command: str = "the same command",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], str] = utc_now,
    ) -> None:
        """`resume_command` goes on after a pause. Raises BadInput where there is no key, before any call."""
        key, base_url = _key(environment), environment.get("ANTHROPIC_BASE_URL") or None
        assert settings.price
        self._settings, self._spending = settings, spending
        self._secrets = secrets({**environment, "KEY": key})
        self._api = ApiConfig(key, base_url, self._secrets, resume_command, clock, sleep, now)

    # --- ideas ---

    def ideas(self, brief: Brief, count: int, folder: Path) -> Ideas:
        """Return up to `count` ideas, unnamed."""
        content = [*_shared_content(brief), _text(prompt.propose(count))]
        request = self._request(brief, [{"role": "user", "content": content}])
        request["output_config"] = {**request.get("output_config", {}), "format": _FORMAT}
        try:
            with self._conversation("", folder) as conversation:
                return _parse_ideas(conversation.send(request), count)
        except CallFailed as failure:
            return Ideas(failure=str(failure))

    # --- drafts ---

    def write(self, brief: Brief, idea: Idea, failure: str, folder: Path) -> Draft:
        """Return the change, made with the text editor tool in memory: only new texts of `brief.files` come out."""
        editor = TextEditor(brief.files, self._settings.file_bytes)
        content = [*_shared_content(brief), _text(prompt.change(idea, self._secrets))]
        content += [_text(prompt.revise(failure, self._secrets))] if failure else []
        request = self._request(brief, [{"role": "user", "content": content}])
        try:
            with self._conversation(idea.name, folder) as conversation:
                summary = self._edit(conversation, editor, request)
        except CallFailed as reason:
            return Draft(failure=str(reason))
        except SpendingCapReached as reached:
            if not reached.variant:
                raise
            return Draft(failure=reached.problem)
        return _draft(editor, strip_hidden(summary, SUMMARY_CAP))

    def _edit(self, conversation: Conversation, editor: TextEditor, request: Request) -> str:
        """Return the model's last words, once it is done. Raises CallFailed where it does not come to an end."""
        request["tools"] = [{"type": "text_editor_20250728", "name": TOOL}]
        request["cache_control"] = _CACHED  # the conversation up to its newest block
        uses = 0
        for _ in range(self._settings.turns):
            answer = conversation.send(request)
            if answer.reply.stop_reason == "end_turn":
                return answer.reply.text
            uses += len(answer.reply.tool_uses)
            if uses > self._settings.tool_calls:
                raise CallFailed(f"not done after {self._settings.tool_calls} uses of the text editor")
            request["messages"] = [*request["messages"], *_next_messages(answer, editor)]
        raise CallFailed(f"not done after {self._settings.turns} replies")

    # --- issues ---

    def read_block(self, rules: str, question: str, earlier: Sequence[tuple[str, str]], folder: Path) -> BlockAnswer:
        """Return the settings block that an issue means."""
        messages: list[MessageParam] = [{"role": "user", "content": [_text(question, cached=True)]}]
        for block, why in earlier:
            messages += [{"role": "assistant", "content": [_text(block)]}]
            messages += [{"role": "user", "content": [_text(prompt.reread(why, self._secrets))]}]
        request: Request = {"system": [_text(rules, cached=True)], "messages": messages}
        if self._settings.effort is not None:
            request["output_config"] = {"effort": self._settings.effort}
        try:
            with self._conversation("", folder) as conversation:
                return _parse_block(conversation.send(request))
        except CallFailed as failure:
            return BlockAnswer(failure=str(failure))

    # --- requests ---

    def _conversation(self, variant: str, folder: Path) -> Conversation:
        return Conversation(self._api, self._settings, self._spending, variant, folder)

    def _request(self, brief: Brief, messages: list[MessageParam]) -> Request:
        request: Request = {"system": [_text(brief.rules, cached=True)], "messages": messages}
        if self._settings.effort is not None:
            request["output_config"] = {"effort": self._settings.effort}
        return request


_FORMAT: JSONOutputFormatParam = {"type": "json_schema", "schema": SCHEMA}
_CACHED: CacheControlEphemeralParam = {"type": "ephemeral"}  # for five minutes: models.yaml prices that


def _key(environment: Mapping[str, str]) -> str:
    """Return the API's key. Raises BadInput where it is not set or cannot be one."""
    key = environment.get("ANTHROPIC_API_KEY", "").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise BadInput(
            f"ANTHROPIC_API_KEY is {'no key' if key else 'not set'}",
            next_step="export ANTHROPIC_API_KEY=..., a key from https://platform.claude.com/settings/keys; or take "
            "another editor: --editor COMMAND",
        )
    return key


def _text(text: str, *, cached: bool = False) -> TextBlockParam:
    block: TextBlockParam = {"type": "text", "text": text}
    return {**block, "cache_control": _CACHED} if cached else block


def _shared_content(brief: Brief) -> list[TextBlockParam]:
    """Return what is the same for a whole round, kept in the API's cache."""
    return [_text(brief.question), _text(prompt.files(brief), cached=True)]


def _parse_ideas(answer: Answer, count: int) -> Ideas:
    """Return the ideas of a reply, cut to their caps. Raises CallFailed where none can be read."""
    if answer.reply.stop_reason != "end_turn":
        raise CallFailed(describe_stop(answer.reply))
    try:
        proposals = _Proposals.model_validate_json(answer.reply.text).ideas
    except ValidationError as error:
        first = error.errors()[0]
        raise CallFailed(f"the ideas cannot be read: {one_line(first['msg'], limit=100)}") from None
    ideas = tuple(idea for idea in map(_idea, proposals[:count]) if idea.title)
    return Ideas(ideas, "" if ideas else "no change was proposed")


def _parse_block(answer: Answer) -> BlockAnswer:
    """Return the block of a reply, without the fence around it. Raises CallFailed where the reply is more or less."""
    if answer.reply.stop_reason != "end_turn":
        raise CallFailed(describe_stop(answer.reply))
    text = answer.reply.text.strip()
    fenced = re.fullmatch(r"```(?:ya?ml)?\s*\n(.*?)\n?```", text, re.DOTALL)
    block = (fenced[1] if fenced else text).strip()
    if "```" in block or not re.match(r"(?:# autoresearch\s*\n)?\s*[a-z_]+\s*:", block):
        raise CallFailed(f"the reply is no settings block: {one_line(text, limit=100)!r}")
    return BlockAnswer(strip_hidden(block))


def _idea(proposal: _Proposal) -> Idea:
    return Idea(
        name="",
        title=one_line(proposal.title, limit=TITLE_CAP),
        hypothesis=one_line(proposal.hypothesis, limit=HYPOTHESIS_CAP),
        expected=one_line(proposal.expected, limit=EXPECTED_CAP),
    )


def _draft(editor: TextEditor, summary: str) -> Draft:
    """Return the draft that the text editor holds; a failure where nothing was changed."""
    if editor.changed:
        return Draft(editor.changed, summary)
    last = editor.last_error
    reason = f"; the text editor had refused: {one_line(last, limit=SUMMARY_CAP)}" if last else ""
    return Draft(summary=summary, failure=f"nothing was changed{reason}")


def _next_messages(answer: Answer, editor: TextEditor) -> list[MessageParam]:
    """Return the messages after a reply: itself, and the results of its uses of the tool.

    Raises CallFailed where it leaves nothing to go on with.
    """
    reply = answer.reply
    uses_tool = reply.stop_reason == "tool_use" and reply.tool_uses
    if not uses_tool and not (reply.stop_reason == "pause_turn" and answer.content):
        raise CallFailed(describe_stop(reply))
    own = cast(MessageParam, {"role": "assistant", "content": answer.content})
    results = [_tool_result(use, editor) for use in reply.tool_uses]
    return [own, {"role": "user", "content": results}] if results else [own]


def _tool_result(use: Block, editor: TextEditor) -> ToolResultBlockParam:
    content, is_error = editor.execute(use.name, use.input)
    return {"type": "tool_result", "tool_use_id": use.id, "content": content, "is_error": is_error}


class ClaudeReader:
    """The Reader that is Claude, with its conversation in a folder."""

    def __init__(self, claude: Claude, model: str, folder: Path) -> None:
        self.name, self._claude, self._folder = model, claude, folder

    def block(self, rules: str, question: str, earlier: Sequence[tuple[str, str]]) -> BlockAnswer:
        """Return the settings block that an issue means."""
        return self._claude.read_block(rules, question, earlier, self._folder)
