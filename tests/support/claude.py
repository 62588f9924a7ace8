"""A strict stand-in for the Claude API, on a loopback port: it answers what a test scripts and refuses what the real
one would. `python agent/run.py` finds it through ANTHROPIC_BASE_URL.

    with Claude() as server:
        server.reply(text("done"))
        ...
        server.requests  # the bodies of POST /v1/messages, in order

Written after the SDK's own types and Anthropic's pages on the Messages API, tool use, caching and errors.
"""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import cast

KEY = "sk-ant-api03-loopback-test-key"
MODELS = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5")
TOOL = "str_replace_based_edit_tool"
Fields = dict[str, object]

_COUNTED = {"model", "messages", "system", "tools", "output_config", "cache_control", "thinking", "tool_choice"}
_CREATED = {*_COUNTED, "max_tokens", "metadata", "stop_sequences", "stream", "service_tier"}
_JSON = {"content-type": "application/json"}
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


# --- what can be scripted ---------------------------------------------------------------------------------


def text(content: str) -> Fields:
    return {"type": "text", "text": content}


def thinking(thought: str = "let me see") -> Fields:
    return {"type": "thinking", "thinking": thought, "signature": "c2lnbmF0dXJl"}


def use(identity: str, **given: object) -> Fields:
    """One use of the text editor: use("t1", command="view", path="train.py")."""
    return {"type": "tool_use", "id": identity, "name": TOOL, "input": given}


def usage(given: int = 100, out: int = 20, cached: int = 0, read: int = 0) -> Fields:
    return {
        "input_tokens": given,
        "output_tokens": out,
        "cache_creation_input_tokens": cached,
        "cache_read_input_tokens": read,
    }


def ideas(*proposals: tuple[str, str, str]) -> Fields:
    """A text block with proposals: (title, hypothesis, expected)."""
    return text(
        json.dumps({"ideas": [dict(zip(("title", "hypothesis", "expected"), one, strict=True)) for one in proposals]})
    )


@dataclass
class Reply:
    """One scripted answer: a status with a body, after `delay_s`; `drop` closes the connection instead."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drip_s: float = 0.0  # between one byte of the body and the next
    drop: bool = False


def message(*blocks: Fields, stop: str = "", used: Fields | None = None, details: Fields | None = None) -> Reply:
    """A reply with these blocks; `stop` is tool_use where they use a tool, else end_turn."""
    tool = any(block["type"] == "tool_use" for block in blocks)
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-5",
        "content": list(blocks),
        "stop_reason": stop or ("tool_use" if tool else "end_turn"),
        "stop_sequence": None,
        "stop_details": details,
        "usage": usage() if used is None else used,
    }
    return Reply(200, json.dumps(body).encode(), _JSON)


def failure(status: int, message: str = "scripted", **headers: str) -> Reply:
    """An answer that is an error."""
    return Reply(status, _error(status, message), {**_JSON, **headers})


# --- the server -------------------------------------------------------------------------------------------


class Refused(Exception):
    """A request that the real API would refuse with status 400."""


class Claude:
    """The server. Without a script, and after its end, a call is answered with 500: a test asks for what it gets."""

    def __init__(self, key: str = KEY, tokens: int = 1000) -> None:
        """`tokens` is what count_tokens answers; 0 stands for a quarter of the request's characters."""
        self.key, self.tokens = key, tokens
        self.requests: list[Fields] = []
        self.counts: list[Fields] = []
        self.refusals: list[str] = []
        self.cannot_count = False  # as a gateway that has only /v1/messages
        self.author: Callable[[Fields], Reply] | None = None  # in place of a script, for who may be asked again
        self._script: list[Reply] = []
        self._count_script: list[Reply] = []
        self._paused = False
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"claude": self}))
        self._http.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs to come here."""
        return {"ANTHROPIC_API_KEY": self.key, "ANTHROPIC_BASE_URL": self.url, "NO_PROXY": "127.0.0.1"}

    def __enter__(self) -> "Claude":
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._http.shutdown()
        self._http.server_close()

    # --- scripting ---

    def reply(
        self, *blocks: Fields, stop: str = "", used: Fields | None = None, details: Fields | None = None, **more: float
    ) -> None:
        """Answer the next call with these blocks; `stop` is tool_use where they use a tool, else end_turn."""
        self.raw(message(*blocks, stop=stop, used=used, details=details).body, **more)

    def raw(self, body: bytes, *, counting: bool = False, **more: float) -> None:
        """Answer the next call (or the next count) with these bytes as JSON."""
        script = self._count_script if counting else self._script
        script.append(Reply(200, body, _JSON, **more))

    def fault(self, status: int, message: str = "scripted", *, counting: bool = False, **headers: str) -> None:
        """Fail the next call (or the next count): retry_after="3" is a header."""
        script = self._count_script if counting else self._script
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        script.append(failure(status, message, **named))

    def drop(self, *, delay_s: float = 0.0) -> None:
        """Close the connection of the next call without an answer."""
        self._script.append(Reply(drop=True, delay_s=delay_s))

    # --- answering ---

    def answer(self, path: str, headers: Mapping[str, str], body: Fields) -> Reply:
        """What a request gets."""
        counting = path == "/v1/messages/count_tokens" and not self.cannot_count
        if not counting and path != "/v1/messages":
            return Reply(404, b'{"error": {"type": "not_found", "message": "no such path"}}', _JSON)
        if headers.get("authorization") != f"Bearer {self.key}" and headers.get("x-api-key") != self.key:
            return _refusal(401, "invalid x-api-key")
        with self._lock:
            return self._checked(counting, headers, body)

    def _checked(self, counting: bool, headers: Mapping[str, str], body: Fields) -> Reply:
        try:
            check(headers, body, _COUNTED if counting else _CREATED, paused=self._paused)
        except Refused as refusal:
            self.refusals.append(str(refusal))
            return _refusal(400, str(refusal))
        if body["model"] not in MODELS:
            return _refusal(404, f"model: {body['model']}")
        (self.counts if counting else self.requests).append(body)
        return self._counted(body) if counting else self._next(body)

    def _counted(self, body: Fields) -> Reply:
        if self._count_script:
            return self._count_script.pop(0)
        tokens = self.tokens or len(json.dumps(body)) // 4
        return Reply(200, json.dumps({"input_tokens": tokens}).encode(), _JSON)

    def _next(self, body: Fields) -> Reply:
        if self.author:
            reply = self.author(body)
        else:
            reply = self._script.pop(0) if self._script else _refusal(500, "the script is over")
        self._paused = b'"pause_turn"' in reply.body
        return reply

    def wait(self, seconds: float) -> None:
        """Let time pass, but not beyond the end of the test."""
        self._over.wait(seconds)


def _error(status: int, message: str) -> bytes:
    body = {"type": "error", "error": {"type": _KINDS.get(status, "api_error"), "message": message}}
    return json.dumps(body).encode()


def _refusal(status: int, message: str) -> Reply:
    return Reply(status, _error(status, message), _JSON)


class _Handler(BaseHTTPRequestHandler):
    claude: Claude
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.claude.answer(self.path.partition("?")[0], headers, body)
        self.claude.wait(reply.delay_s)
        if reply.drop:
            self.close_connection = True
            return
        try:
            self._send(reply)
        except OSError:  # the client has given up
            self.close_connection = True

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in {**reply.headers, "content-length": str(len(reply.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        step = 1 if reply.drip_s else max(1, len(reply.body))
        for start in range(0, len(reply.body), step):
            self.claude.wait(reply.drip_s)
            self.wfile.write(reply.body[start : start + step])

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


# --- what the real one refuses ----------------------------------------------------------------------------


def check(headers: Mapping[str, str], body: Fields, known: set[str], *, paused: bool = False) -> None:
    """Raises Refused for what the API answers with 400. `paused`: the last reply was a pause_turn."""
    _need("anthropic-version" in headers, "anthropic-version: header is required")
    _need("application/json" in headers.get("content-type", ""), "content-type: must be application/json")
    unknown = sorted(body.keys() - known)
    _need(not unknown, f"{', '.join(unknown)}: Extra inputs are not permitted")
    if "max_tokens" in known:
        most = body.get("max_tokens")
        _need(type(most) is int and 0 < cast(int, most) <= 128_000, "max_tokens: must be 1 to 128000")
        _need(not body.get("stream"), "stream: this stand-in does not stream")
    _need(isinstance(body.get("model"), str), "model: Field required")
    _need(_dict(body.get("tool_choice") or {}).get("type") in (None, "auto", "none"), "tool_choice: forced tool use")
    _need(_dict(body.get("thinking") or {}).get("budget_tokens") is None, "thinking: budgets are not supported")
    _check_cached(body)
    _check_tools(_list(body.get("tools") or []))
    _check_output(_dict(body.get("output_config") or {}))
    _check_messages(_list(body.get("messages")), paused)


def _need(holds: bool, message: str) -> None:
    if not holds:
        raise Refused(message)


def _dict(value: object) -> Fields:
    _need(isinstance(value, dict), f"{str(value)[:40]}: must be an object")
    return cast(Fields, value)


def _list(value: object) -> Sequence[object]:
    _need(isinstance(value, list), f"{str(value)[:40]}: must be a list")
    return cast(Sequence[object], value)


def _check_cached(body: Fields) -> None:
    marks = json.dumps(body).count('"cache_control": {')
    _need(marks <= 4, f"a maximum of 4 blocks with cache_control may be provided, found {marks}")


def _check_tools(tools: Sequence[object]) -> None:
    for tool in map(_dict, tools):
        _need(tool.get("type") == "text_editor_20250728" and tool.get("name") == TOOL, f"tools: {tool}")
        extra = tool.keys() - {"type", "name", "cache_control", "max_characters"}
        _need(not extra, f"tools: {extra}: Extra inputs are not permitted")


def _check_output(config: Fields) -> None:
    _need(not config.keys() - {"effort", "format"}, "output_config: Extra inputs are not permitted")
    _need(config.get("effort") in (None, "low", "medium", "high", "xhigh", "max"), "output_config.effort")
    if config.get("format") is not None:
        form = _dict(config["format"])
        _need(form.get("type") == "json_schema", "output_config.format.type")
        _check_schema(_dict(form.get("schema")))


def _check_schema(schema: Fields) -> None:
    """Structured outputs: every object closed, no bounds on numbers or lengths."""
    _need(not schema.keys() & {"minLength", "maxLength", "maxItems", "minimum", "maximum"}, "schema: unsupported bound")
    if schema.get("type") == "object":
        _need(schema.get("additionalProperties") is False, "schema: additionalProperties must be false")
        for inner in _dict(schema.get("properties") or {}).values():
            _check_schema(_dict(inner))
    if schema.get("type") == "array":
        _check_schema(_dict(schema.get("items")))


def _check_messages(messages: Sequence[object], paused: bool) -> None:
    _need(bool(messages), "messages: at least one message is required")
    uses: list[object] = []
    for number, message in enumerate(map(_dict, messages)):
        _need(not message.keys() - {"role", "content"}, f"messages.{number}: Extra inputs are not permitted")
        blocks = _blocks(message.get("content"), f"messages.{number}")
        role = message.get("role")
        _need(number > 0 or role == "user", "messages: first message must use the user role")
        answered = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        _need(sorted(map(str, answered)) == sorted(map(str, uses)), f"messages.{number}: tool_use ids {uses} without "
              f"tool_result blocks immediately after, or unexpected ones {answered}")  # fmt: skip
        _need(role == "assistant" or not _of(blocks, "tool_use", "thinking"), f"messages.{number}: not a user's block")
        uses = [block["id"] for block in blocks if block["type"] == "tool_use"]
        _need(len(set(map(str, uses))) == len(uses), f"messages.{number}: tool_use ids must be unique")
    last = _dict(messages[-1])
    _need(last.get("role") == "user" or paused, "messages: this model does not support assistant message prefill")
    _need(not uses, "messages: tool_use without tool_result")


def _of(blocks: Sequence[Fields], *kinds: str) -> list[Fields]:
    return [block for block in blocks if block["type"] in kinds]


_FIELDS = {
    "text": {"text", "cache_control", "citations"},
    "thinking": {"thinking", "signature"},
    "redacted_thinking": {"data"},
    "tool_use": {"id", "name", "input", "cache_control", "caller"},
    "tool_result": {"tool_use_id", "content", "is_error", "cache_control"},
}


def _blocks(content: object, where: str) -> list[Fields]:
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    blocks = [_dict(block) for block in _list(content)]
    _need(bool(blocks), f"{where}: content must not be empty")
    for block in blocks:
        kind = str(block.get("type"))
        _need(kind in _FIELDS and not block.keys() - _FIELDS[kind] - {"type"}, f"{where}: {kind}: Extra inputs")
        _need(kind != "text" or bool(str(block["text"])), f"{where}: text content blocks must be non-empty")
    return blocks
