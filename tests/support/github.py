"""A strict stand-in for GitHub's REST API on the loopback: it keeps state, refuses what GitHub does, fails on demand.

A request that no part of the harness should make (an unknown path, field or parameter) is answered with an error and
kept in `GitHub.complaints`; a test that uses the stand-in fails where there is one.
"""

import hashlib
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

TOKEN = "ghp_" + "standin0" * 4
REPOSITORY = "lab/experiments"
US = "harness"  # the login of the token
AT = "2026-01-01T00:00:00Z"
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
PAGED = {"per_page", "page"}


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None, **more: object) -> None:
        self.status, self.headers, self.data = status, dict(headers or {}), {"message": message, **more}


@dataclass
class Fault:
    """What happens to the next `times` requests whose "METHOD path" matches: `how` is a status or a word below.

    after-502 and after-drop obey and then do not say so; drop does nothing and says nothing; slow waits first.
    """

    request: str
    how: str
    times: int = 1
    wait: float = 1


REFUSALS: Mapping[str, tuple[int, str]] = {
    "301": (301, "Moved Permanently"),
    "401": (401, "Bad credentials"),
    "403": (403, "Resource not accessible by personal access token"),
    "404": (404, "Not Found"),
    "410": (410, "This issue was deleted"),
    "422": (422, "Validation Failed"),
    "500": (500, "Server Error"),
    "502": (502, "Bad Gateway"),
    "503": (503, "Service Unavailable"),
}


@dataclass
class GitHub:
    """The state of one repository: what the tests set up and look at."""

    remote: Path | None = None
    url: str = ""
    issues: dict[int, dict[str, Any]] = field(default_factory=dict)
    comments: dict[int, dict[str, Any]] = field(default_factory=dict)
    labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    permissions: dict[str, str] = field(default_factory=lambda: {"researcher": "write", US: "write"})
    bots: set[str] = field(default_factory=set)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    app: bool = False  # the token is an app's, which has no user
    on_request: Callable[[str], None] = lambda _: None

    # --- for tests ---

    def issue(
        self, number: int, body: str, author: str = "researcher", labels: tuple[str, ...] = ("experiment",)
    ) -> None:
        """Open an issue."""
        for name in labels:
            self.labels.setdefault(name, {"name": name, "color": "ededed", "description": ""})
        self.issues[number] = {
            "number": number, "id": number, "title": f"Issue {number}", "body": body, "state": "open",
            "labels": list(labels), "user": author, "updated_at": AT, "state_reason": None,
        }  # fmt: skip

    def say(self, number: int, author: str, body: str) -> int:
        """Comment on an issue."""
        key = 1000 + len(self.comments) + 1
        self.comments[key] = {"id": key, "issue": number, "user": author, "body": body, "edits": 0}
        return key

    def on(self, number: int) -> list[dict[str, Any]]:
        """The comments on an issue."""
        return [one for one in self.comments.values() if one["issue"] == number]

    def count(self, request: str) -> int:
        """How many requests matched."""
        return sum(re.fullmatch(request, one) is not None for one in self.requests)

    # --- as GitHub shows it ---

    def user(self, login: str) -> dict[str, Any] | None:
        bot = login.endswith("[bot]") or login in self.bots
        return (
            {"login": login, "id": len(login), "type": "Bot" if bot else "User", "url": f"{self.url}/users/{login}"}
            if login
            else None
        )

    def shown(self, number: int) -> dict[str, Any]:
        if number not in self.issues:
            raise Refused(404, "Not Found")
        issue = self.issues[number]
        path = f"repos/{issue.get('moved', REPOSITORY)}/issues/{number}"
        labels = [self.labels[name] for name in issue["labels"]]
        pull = {"pull_request": {"url": f"{self.url}/{path}"}} if issue.get("pull") else {}
        return {**issue, "labels": labels, "user": self.user(issue["user"]), "url": f"{self.url}/{path}",
                "html_url": f"https://github.invalid/{REPOSITORY}/{'pull' if pull else 'issues'}/{number}",
                "created_at": AT, **pull}  # fmt: skip

    def shown_comment(self, key: int) -> dict[str, Any]:
        if key not in self.comments:
            raise Refused(404, "Not Found")
        comment = self.comments[key]
        return {"id": key, "body": comment["body"], "user": self.user(comment["user"]),
                "created_at": AT, "updated_at": AT, "url": f"{self.url}/repos/{REPOSITORY}/issues/comments/{key}",
                "html_url": f"https://github.invalid/{REPOSITORY}/issues/{comment['issue']}#comment-{key}"}  # fmt: skip


@dataclass(frozen=True)
class Request:
    """One request: its parameters and JSON, and what the path's pattern matched."""

    query: Mapping[str, str]
    sent: Any
    part: str = ""
    name: str = ""

    @property
    def number(self) -> int:
        return int(self.part)


Answer = tuple[int, Any]


def _body(text: object) -> str:
    if not isinstance(text, str) or not text or len(text) > 65_536:
        raise Refused(422, "Validation Failed", errors=[{"message": "body is too long (maximum is 65536 characters)"}])
    return text


def get_user(hub: GitHub, _: Request) -> Answer:
    if hub.app:
        raise Refused(403, "Resource not accessible by integration")
    return 200, hub.user(US)


def get_repo(hub: GitHub, _: Request) -> Answer:
    url = f"{hub.url}/repos/{REPOSITORY}"
    owner = hub.user(REPOSITORY.split("/")[0])
    return 200, {"full_name": REPOSITORY, "name": "experiments", "owner": owner, "default_branch": "main", "url": url}


def get_issues(hub: GitHub, request: Request) -> Answer:
    issues = [hub.shown(number) for number in sorted(hub.issues)]
    names = [name for name in request.query.get("labels", "").split(",") if name]
    state = request.query.get("state", "open")
    return 200, [
        one for one in issues if state in ("all", one["state"]) and {*names} <= {x["name"] for x in one["labels"]}
    ]


def get_issue(hub: GitHub, request: Request) -> Answer:
    return 200, hub.shown(request.number)


def edit_issue(hub: GitHub, request: Request) -> Answer:
    shown = hub.shown(request.number)
    if request.sent["state"] != "closed" or request.sent.get("state_reason") not in (None, "completed"):
        raise Refused(422, "Validation Failed")
    hub.issues[request.number] |= request.sent
    return 200, {**shown, **request.sent}


def get_comments(hub: GitHub, request: Request) -> Answer:
    hub.shown(request.number)
    return 200, [hub.shown_comment(one["id"]) for one in hub.on(request.number)]


def add_comment(hub: GitHub, request: Request) -> Answer:
    hub.shown(request.number)
    me = "app[bot]" if hub.app else US
    return 201, hub.shown_comment(hub.say(request.number, me, _body(request.sent["body"])))


def edit_comment(hub: GitHub, request: Request) -> Answer:
    hub.shown_comment(request.number)
    hub.comments[request.number]["body"] = _body(request.sent["body"])
    hub.comments[request.number]["edits"] += 1
    return 200, hub.shown_comment(request.number)


def drop_comment(hub: GitHub, request: Request) -> Answer:
    hub.shown_comment(request.number)
    hub.comments[request.number]["issue"] = 0  # gone from its issue; numbers are never given twice
    return 204, None


def get_labels(hub: GitHub, request: Request) -> Answer:
    return 200, hub.shown(request.number)["labels"]


def add_labels(hub: GitHub, request: Request) -> Answer:
    hub.shown(request.number)
    if not isinstance(request.sent, list) or len(request.sent) != 1 or request.sent[0] not in hub.labels:
        hub.complaints.append(f"labels {request.sent}: one that the repository has")
        raise Refused(422, "Validation Failed")
    mine = hub.issues[request.number]["labels"]
    mine += [name for name in request.sent if name not in mine]
    return 200, hub.shown(request.number)["labels"]


def drop_label(hub: GitHub, request: Request) -> Answer:
    mine = hub.shown(request.number) and hub.issues[request.number]["labels"]
    if request.name not in mine:
        raise Refused(404, "Label does not exist")
    mine.remove(request.name)
    return 200, hub.shown(request.number)["labels"]


def get_label(hub: GitHub, request: Request) -> Answer:
    if request.name not in hub.labels:
        raise Refused(404, "Not Found")
    return 200, hub.labels[request.name]


def make_label(hub: GitHub, request: Request) -> Answer:
    if request.sent["name"] in hub.labels:
        raise Refused(
            422, "Validation Failed", errors=[{"resource": "Label", "code": "already_exists", "field": "name"}]
        )
    hub.labels[request.sent["name"]] = request.sent
    return 201, request.sent


def permission(hub: GitHub, request: Request) -> Answer:
    if request.name not in hub.permissions:
        raise Refused(404, f"{request.name} is not a user")
    return 200, {"permission": hub.permissions[request.name], "role_name": hub.permissions[request.name]}


def get_pulls(hub: GitHub, request: Request) -> Answer:
    head, base = request.query["head"], request.query["base"]
    return 200, [one for one in hub.pulls if f"lab:{one['head']['ref']}" == head and one["base"]["ref"] == base]


def add_pull(hub: GitHub, request: Request) -> Answer:
    sent = request.sent
    known = hub.remote and subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", f"refs/heads/{sent['head']}"], cwd=hub.remote, capture_output=True
    )
    if not known or known.returncode:
        raise Refused(422, "Validation Failed", errors=[{"field": "head", "code": "invalid"}])
    if any(one["head"]["ref"] == sent["head"] and one["state"] == "open" for one in hub.pulls):
        raise Refused(422, "Validation Failed", errors=[{"message": "A pull request already exists"}])
    number = 500 + len(hub.pulls)
    made = {"number": number, "state": "open", "title": sent["title"], "body": _body(sent["body"]),
            "head": {"ref": sent["head"]}, "base": {"ref": sent["base"]},
            "url": f"{hub.url}/repos/{REPOSITORY}/pulls/{number}",
            "html_url": f"https://github.invalid/{REPOSITORY}/pull/{number}"}  # fmt: skip
    hub.pulls.append(made)
    return 201, made


@dataclass(frozen=True)
class Route:
    """A method and a path, with the parameters and JSON fields that it takes; an empty `fields` takes no JSON."""

    request: str
    answer: Callable[[GitHub, Request], Answer]
    query: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    listed: bool = False


_HERE = f"/repos/{REPOSITORY}"
_NUMBER, _TEXT = r"(?P<part>\d+)", r"(?P<name>[^/]+)"
ROUTES = (
    Route("GET /user", get_user),
    Route(f"GET {_HERE}", get_repo),
    Route(f"GET {_HERE}/issues", get_issues, frozenset({"state", "labels", "sort", "direction"} | PAGED), listed=True),
    Route(f"GET {_HERE}/issues/{_NUMBER}", get_issue, frozenset(PAGED)),
    Route(f"PATCH {_HERE}/issues/{_NUMBER}", edit_issue, fields=frozenset({"state", "state_reason"})),
    Route(f"GET {_HERE}/issues/{_NUMBER}/comments", get_comments, frozenset(PAGED), listed=True),
    Route(f"POST {_HERE}/issues/{_NUMBER}/comments", add_comment, fields=frozenset({"body"})),
    Route(f"PATCH {_HERE}/issues/comments/{_NUMBER}", edit_comment, fields=frozenset({"body"})),
    Route(f"DELETE {_HERE}/issues/comments/{_NUMBER}", drop_comment),
    Route(f"GET {_HERE}/issues/{_NUMBER}/labels", get_labels, frozenset(PAGED), listed=True),
    Route(f"POST {_HERE}/issues/{_NUMBER}/labels", add_labels, fields=frozenset({"0"})),
    Route(f"DELETE {_HERE}/issues/{_NUMBER}/labels/{_TEXT}", drop_label),
    Route(f"GET {_HERE}/labels/{_TEXT}", get_label),
    Route(f"POST {_HERE}/labels", make_label, fields=frozenset({"name", "color", "description"})),
    Route(f"GET {_HERE}/collaborators/{_TEXT}/permission", permission),
    Route(f"GET {_HERE}/pulls", get_pulls, frozenset({"state", "head", "base"} | PAGED), listed=True),
    Route(f"POST {_HERE}/pulls", add_pull, fields=frozenset({"title", "body", "head", "base"})),
)


class _Handler(BaseHTTPRequestHandler):
    """Speaks HTTP for a GitHub."""

    protocol_version = "HTTP/1.1"
    hub: GitHub

    def log_message(self, *_: object) -> None:
        """Nothing: the requests are kept in the state."""

    def _serve(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        line = f"{self.command} {urlsplit(self.path).path}"
        self.hub.on_request(line)
        with self.hub.lock:
            self.hub.requests.append(line)
            fault = next((one for one in self.hub.faults if one.times and re.fullmatch(one.request, line)), None)
            if fault:
                fault.times -= 1
        how = fault.how if fault else ""
        if fault and how == "slow":
            time.sleep(fault.wait)
        try:
            if fault:
                self._fail_before(fault)
            with self.hub.lock:
                status, data = self._answered(line, sent)
            if how == "after-502":
                raise Refused(502, "Bad Gateway")
        except Refused as no:
            if no.status:
                return self._send(no.status, no.data, no.headers)
        if how in ("drop", "after-drop"):
            self.close_connection = True
            return None
        return self._send(status, *self._paged(data))

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = do_HEAD = _serve  # noqa: N815

    def _fail_before(self, fault: Fault) -> None:
        if fault.how in REFUSALS:
            raise Refused(*REFUSALS[fault.how], {"Location": "http://elsewhere.invalid/"} if fault.how == "301" else {})
        if fault.how == "secondary":
            raise Refused(403, SECONDARY, {"Retry-After": f"{fault.wait:.0f}"})
        if fault.how == "primary":
            reset = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{time.time() + fault.wait:.0f}"}
            raise Refused(403, "API rate limit exceeded for user", reset)
        if fault.how == "drop":
            raise Refused(0, "")

    def _answered(self, line: str, sent: bytes) -> Answer:
        if self.headers.get("Authorization") not in (f"token {TOKEN}", f"Bearer {TOKEN}"):
            raise Refused(401, "Bad credentials")
        how = self.headers.get("Accept", "*/*")
        if not self.headers.get("User-Agent") or not (how == "*/*" or "application/vnd.github" in how):
            self._complain(f"{line}: headers {dict(self.headers)}", 403)
        query = {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}
        for route in ROUTES:
            if match := re.fullmatch(route.request, line):
                content = self._sent(line, route, sent)
                if not query.keys() <= route.query:
                    self._complain(f"{line}: parameters {sorted(query)}", 422)
                groups = {name: unquote(text) for name, text in match.groupdict().items()}
                return route.answer(self.hub, Request(query, content, **groups))
        return self._complain(line, 404)

    def _sent(self, line: str, route: Route, sent: bytes) -> Any:
        """The JSON of a request: an object or a list with no field beyond the route's."""
        if not sent:
            return self._complain(f"{line}: no JSON", 422) if route.fields else None
        content = json.loads(sent)
        fields = set(map(str, range(len(content)))) if isinstance(content, list) else set(content)
        if not fields <= route.fields or not self.headers.get("Content-Type", "").startswith("application/json"):
            self._complain(f"{line}: {sorted(fields)}", 422)
        return content

    def _complain(self, text: str, status: int) -> Any:
        self.hub.complaints.append(text)
        raise Refused(status, "Not Found" if status == 404 else "Validation Failed")

    def _paged(self, data: Any) -> tuple[Any, dict[str, str]]:
        """The page of a list that is asked for, and the header that links the others."""
        if not isinstance(data, list) or self.command != "GET":
            return data, {}
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        size, page = min(100, int(query.get("per_page", 30))), int(query.get("page", 1))
        last = max(1, -(-len(data) // size))

        def link(number: int, name: str) -> str:
            fields = "&".join(f"{key}={quote(text)}" for key, text in {**query, "page": str(number)}.items())
            return f'<{self.hub.url}{url.path}?{fields}>; rel="{name}"'

        links = [link(page + 1, "next"), link(last, "last")] if page < last else []
        return data[(page - 1) * size : page * size], {"Link": ", ".join(links)} if links else {}

    def _send(self, status: int, data: Any, headers: Mapping[str, str]) -> None:
        text = b"" if data is None else json.dumps(data).encode()
        tag = f'"{hashlib.sha256(text).hexdigest()[:16]}"'
        if self.command == "GET" and status == 200 and self.headers.get("If-None-Match") == tag:
            status, text = 304, b""
            self.hub.requests[-1] += " 304"
        self.send_response(status)
        tagged = {"ETag": tag} if self.command == "GET" and status in (200, 304) else {}
        length = {} if status in (204, 304) else {"Content-Length": str(len(text))}
        for name, value in {"Content-Type": "application/json; charset=utf-8", **tagged, **length, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that does not wait for its answer is one of the tests."""


@contextmanager
def serving(hub: GitHub) -> Iterator[GitHub]:
    """Answer for a GitHub while the block runs."""
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
