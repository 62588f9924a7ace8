"""Replies: what is read of them, and what no reply is."""

import json

import pytest

from agent.editors import replies
from agent.editors.replies import CallFailed
from agent.editors.spending import Usage

REPLY = {"stop_reason": "end_turn", "content": [{"type": "text", "text": " done "}]}


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def test_a_body_is_json_down_to_a_depth_and_else_its_text() -> None:
    shallow, deep = json.dumps(nested(replies.MAX_DEPTH - 1)), json.dumps(nested(replies.MAX_DEPTH))
    assert replies.parse_body(shallow) == nested(replies.MAX_DEPTH - 1)
    assert replies.parse_body(deep) == deep
    assert replies.parse_body("[" * 100_000) == "[" * 100_000
    assert replies.parse_body("<html>") == "<html>"


def test_text_and_tool_uses_are_read_and_the_content_is_kept_as_it_came() -> None:
    use = {"type": "tool_use", "id": "t1", "name": "edit", "input": {"path": "a"}, "caller": "x"}
    content = [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": " one"}, use]
    answer = replies.parse_answer({**REPLY, "content": content})
    assert answer.content == content
    assert answer.reply.text == "one"
    assert [(one.id, one.name, one.input) for one in answer.reply.tool_uses] == [("t1", "edit", {"path": "a"})]


@pytest.mark.parametrize(
    "raw",
    ["text", None, {}, [], {**REPLY, "stop_reason": 7}, {**REPLY, "content": [{"type": "text", "text": "\ud800"}]}],
)
def test_what_is_no_reply_fails_the_call(raw: object) -> None:
    with pytest.raises(CallFailed, match="no reply of the API"):
        replies.parse_answer(raw)


def test_usage_counts_cached_tokens_apart_and_is_unknown_where_it_is_wrong() -> None:
    used = {"input_tokens": 1, "output_tokens": 2, "cache_creation_input_tokens": 3, "cache_read_input_tokens": None}
    assert replies.parse_usage({"usage": used}) == Usage(1, 2, 3, 0)
    for wrong in (
        {},
        {"usage": None},
        {"usage": {**used, "input_tokens": -1}},
        {"usage": {**used, "input_tokens": "1"}},
    ):
        assert replies.parse_usage(wrong) is None


def test_a_count_of_tokens_is_read_or_fails_the_call() -> None:
    assert replies.parse_token_count({"input_tokens": 7, "more": 1}) == 7
    with pytest.raises(CallFailed, match="how many tokens"):
        replies.parse_token_count("<html>")


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("max_tokens", "cut off at max_tokens"),
        ("model_context_window_exceeded", "context was full"),
        ("refusal", "Claude declined (cyber: no ⓐall)"),
        ("brand\nnew", "'brand new'"),
    ],
)
def test_every_end_is_described(reason: str, text: str) -> None:
    details = {"category": "cyber", "explanation": "no\n@all"}
    reply = replies.parse_answer({**REPLY, "stop_reason": reason, "stop_details": details}).reply
    assert text in replies.describe_stop(reply)
