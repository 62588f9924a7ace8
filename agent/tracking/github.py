"""GitHub's issues: fetched, commented once and in place, labelled, closed; what may pass is waited for, within bounds.

Every operation looks before it acts, so that it can be repeated as a whole: no request is sent again blindly.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from github import Auth, BadAttributeException, Consts, Github, GithubException
from github.Issue import Issue as RemoteIssue
from github.IssueComment import IssueComment
from github.Repository import Repository as RemoteRepository
from requests import RequestException

from agent.core.errors import BadInput, HarnessError, Unreachable
from agent.core.experiment import HumanComment, Issue, IssueStatus
from agent.core.protocols import Upstream
from agent.core.sanitize import redact, strip_control
from agent.store.repository import Repository
from agent.tracking import address
from agent.tracking.comment import marker

DEADLINE_S = 120.0  # one operation waits for no longer than that in all, whatever GitHub asks for
ATTEMPTS = 4  # of an operation; it is repeated after 1, 2 and 4 seconds
TIMEOUT_S = 15  # of one request: GitHub itself gives up after 10
POLL_S = 30.0  # between two looks at what people say while a campaign runs
FRESH_S = 20.0  # an issue that was read less than that ago is not asked for again
SECONDARY_S = 60.0  # to wait after a secondary limit that does not say how long
REQUEST_S, WRITE_S = 0.25, 1.0  # between two requests and between two writes, as GitHub asks of its guests
LENGTH = 65_536  # characters of a comment that GitHub takes
MAY_START = ("admin", "maintain", "write")  # the permissions with which a person's issue is run
STATUSES: Mapping[str, tuple[str, str]] = {  # the labels that are ours, with their colour and description
    "queued": ("c5def5", "waiting for the harness"),
    "running": ("fbca04", "its experiments run"),
    "review": ("d93f0b", "its verdict waits for a person"),
    "done": ("0e8a16", "its verdict is in the comment"),
}
CUT = "\n\n*The rest does not fit into a comment: `python agent/run.py --issue {number} --report` prints all of it.*\n"

_T = TypeVar("_T")


class _Who(Protocol):
    """Whoever wrote something."""

    @property
    def login(self) -> str: ...
    @property
    def type(self) -> str: ...


@dataclass(frozen=True)
class Settings:
    """How GitHub is reached. `pace` scales every pause of ours (0 in tests), `timeout_s` is that of one request."""

    repository: str
    token: str = field(repr=False)
    api: str = ""
    allowed: frozenset[str] = frozenset()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    pace: float = 1.0
    timeout_s: int = TIMEOUT_S


def connect(root: Path) -> "GitHubTracker":
    """The tracker of the repository at `root`, as the environment and its origin say. Raises BadInput."""
    secret = address.token(os.environ)
    if not secret:
        raise BadInput(
            "GitHub's issues need a token, and none is set",
            next_step="set GITHUB_TOKEN (issues, pull requests and contents: write), or give --tracker markdown",
        )
    with Repository(root) as repo:
        urls = repo.addresses("origin")
    allowed = os.environ.get("AUTORESEARCH_ALLOWED", "").lower().split(",")
    return GitHubTracker(
        Settings(
            repository=address.repository(urls, os.environ),
            token=secret,
            api=address.api(os.environ),
            allowed=frozenset(name.strip() for name in allowed if name.strip()),
            env=address.credentials(urls, secret, os.environ),
            pace=_pace(os.environ.get("AUTORESEARCH_PACE", "")),
        )
    )


def _pace(told: str) -> float:
    try:
        return max(0.0, float(told or 1))
    except ValueError:
        raise BadInput(f"AUTORESEARCH_PACE is {told!r}", next_step="it is a number: 1, or 0 for no pauses") from None


class GitHubTracker:
    """The issues of one repository on GitHub."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is asked yet. PyGithub's own retries are off: they wait for as long as GitHub says."""
        self._settings = settings
        self.upstream: Upstream | None = Upstream(settings.repository, "origin", settings.env, POLL_S * settings.pace)
        self._hub = Github(
            auth=Auth.Token(settings.token),
            base_url=settings.api or Consts.DEFAULT_BASE_URL,
            retry=None,
            per_page=100,
            timeout=settings.timeout_s,
            seconds_between_requests=REQUEST_S * settings.pace,
            seconds_between_writes=WRITE_S * settings.pace,
        )
        place = {"url": f"/repos/{settings.repository}"}
        self._repo = RemoteRepository(self._hub.requester, {}, place, completed=True)  # to be asked, not read first
        self._read: dict[int, tuple[float, RemoteIssue]] = {}
        self._may: dict[str, bool] = {}
        self._labels: set[str] = set()
        self._login: str | None = None

    # --- reading ---

    def fetch(self, number: int) -> Issue:
        """The issue. Raises BadInput where there is none, or where its author may not start a run."""
        found = self._done(f"issue {number}", lambda: self._issue(number))
        self._check(number, found)
        who = self._login_of(found.user)
        if not self._done(f"issue {number}", lambda: self._allowed(found.user)):
            raise BadInput(
                f"{who} has no write access to the repository, so the issue is not run",
                where=self._place(f"issue {number}"),
                next_step="somebody with write access has to open it, or set AUTORESEARCH_ALLOWED=login,login",
            )
        return self._told(found)

    def _issue(self, number: int) -> RemoteIssue:
        """Read the issue, or ask whether it has changed since; not more often than every FRESH_S seconds."""
        at, known = self._read.get(number, (0.0, None))
        if known is None:
            known = self._repo.get_issue(number)
        elif time.monotonic() - at >= FRESH_S * self._settings.pace:
            known.update()
        else:
            return known
        self._read[number] = time.monotonic(), known
        return known

    def _check(self, number: int, found: RemoteIssue) -> None:
        """Raise BadInput unless it is an issue of this repository."""
        where = self._place(f"issue {number}")
        if _is_pull(found):
            raise BadInput("it is a pull request", where=where, next_step="give the number of an issue")
        here = f"/repos/{self._settings.repository}/issues/{number}".lower()
        if not found.url.lower().endswith(here):
            now = found.url.partition("/repos/")[2].partition("/issues/")[0]
            raise BadInput(
                f"it has moved to {strip_control(now)}",
                where=where,
                next_step=f"set GITHUB_REPOSITORY={strip_control(now)}, or mend origin: git remote set-url origin ...",
            )

    def _told(self, found: RemoteIssue) -> Issue:
        return Issue(
            number=found.number,
            title=found.title,
            body=found.body or "",
            labels=tuple(label.name for label in found.labels),
            author=self._login_of(found.user),
            url=found.html_url,
            state=found.state,
            source=f"{self._settings.repository} issue {found.number}",
        )

    def human_comments(self, number: int) -> list[HumanComment]:
        """Issues labelled `human` and comments of the issue, of people with write access; never our own comment."""
        return self._done(f"comments of issue {number}", lambda: [*self._human(number), *self._said(number)])

    def _human(self, number: int) -> Iterable[HumanComment]:
        for one in self._open("human"):
            if one.number != number and self._allowed(one.user):
                at = one.updated_at.isoformat()
                yield HumanComment(f"issue-{one.number}", one.user.login, one.body or "", at)

    def _said(self, number: int) -> Iterable[HumanComment]:
        for one in self._comments(number):
            if not (one.body or "").lstrip().startswith(_MARKED) and self._allowed(one.user):
                yield HumanComment(f"comment-{one.id}", one.user.login, one.body or "", one.updated_at.isoformat())

    def revision(self, number: int) -> str:  # noqa: ARG002 (the Protocol's)
        """Return nothing: GitHub tells what changed where it is asked for it, at no cost where nothing did."""
        return ""

    def open_experiments(self) -> list[int]:
        """The open issues labelled `experiment`; whose author may start none is seen when it is fetched."""
        return self._done("issues", lambda: sorted(one.number for one in self._open("experiment")))

    def _open(self, label: str) -> list[RemoteIssue]:
        """Open issues with a label, oldest first; GitHub lists pull requests among them."""
        found = self._repo.get_issues(state="open", labels=[label], sort="created", direction="asc")
        return [one for one in found if not _is_pull(one)]

    def _comments(self, number: int) -> list[IssueComment]:
        return list(self._lazy(number).get_comments())

    def _lazy(self, number: int) -> RemoteIssue:
        """An issue to act upon, without reading it first."""
        url = f"{self._repo.url}/issues/{number}"
        return RemoteIssue(self._hub.requester, {}, {"url": url, "number": number}, completed=True)

    # --- who may ---

    def _allowed(self, user: _Who | None) -> bool:
        """Whether somebody may start runs: a listed login, or a person with write access. Unknown answers are no."""
        if user is None or not user.login:
            return False
        name = user.login.lower()
        if name in self._settings.allowed:
            return True
        if user.type != "User" or name.endswith("[bot]"):
            return False
        if name not in self._may:
            self._may[name] = self._permission(user.login) in MAY_START
        return self._may[name]

    def _permission(self, login: str) -> str:
        """What somebody may do; empty where GitHub says that there is nobody such."""
        return _or_none(lambda: self._repo.get_collaborator_permission(login)) or ""

    @staticmethod
    def _login_of(user: _Who | None) -> str:
        return "" if user is None else user.login or ""

    def _me(self) -> str:
        """Who we are; empty for an app, whose token may not ask."""
        if self._login is None:
            try:
                self._login = self._hub.get_user().login
            except GithubException as error:
                if error.status != 403 or _asked_to_wait(error) is not None:
                    raise
                self._login = ""
        return self._login

    # --- writing ---

    def comment(self, number: int, text: str) -> str:
        """Have one comment of ours on the issue, and have it say `text`; return its address."""
        fitting = _bounded(text, CUT.format(number=number))
        return self._done(f"the comment on issue {number}", lambda: self._comment(number, fitting))

    def _comment(self, number: int, text: str) -> str:
        """Look, create where there is none, look again: of several (another harness was as quick) the oldest stays."""
        found = self._ours(number)
        if not found:
            made = self._lazy(number).create_comment(text)
            found = self._ours(number) or [made]
        first, *others = found
        if not _same(first.body, text):
            first.edit(text)
        for other in others:
            _or_none(other.delete)
        return first.html_url

    def _ours(self, number: int) -> list[IssueComment]:
        """Our comments that carry the marker, oldest first. Anybody can write a marker; nobody else is us."""
        found = (one for one in self._comments(number) if (one.body or "").startswith(marker(number)))
        return sorted((one for one in found if self._mine(one)), key=lambda one: one.id)

    def _mine(self, one: IssueComment) -> bool:
        me = self._me()
        return self._login_of(one.user) == me if me else one.user is not None and one.user.type == "Bot"

    def set_status(self, number: int, status: IssueStatus) -> None:
        """Have the label of `status` on the issue and none of the other three; all others stay."""
        self._done(f"the label of issue {number}", lambda: self._mark(number, status))

    def _mark(self, number: int, status: IssueStatus) -> None:
        wanted, ours = _label(status), {_label(one) for one in STATUSES}
        issue = self._lazy(number)
        there = {label.name.lower(): label.name for label in issue.get_labels()}
        if wanted not in there:
            self._have_label(status)
            issue.add_to_labels(wanted)
        for name in sorted((ours - {wanted}) & there.keys()):
            _or_none(partial(issue.remove_from_labels, there[name]))

    def _have_label(self, status: str) -> None:
        """Make the repository's label where it is missing."""
        name, (colour, told) = _label(status), STATUSES[status]
        if name in self._labels:
            return
        if _or_none(lambda: self._repo.get_label(name)) is None:
            _unless_there(lambda: self._repo.create_label(name, colour, told))
        self._labels.add(name)

    def close(self, number: int) -> None:
        """Close the issue."""
        self._done(f"issue {number}", lambda: self._close(number))

    def _close(self, number: int) -> None:
        if self._repo.get_issue(number).state != "closed":
            self._lazy(number).edit(state="closed", state_reason="completed")

    def pull(self, number: int, branch: str, title: str, text: str) -> str:
        """A pull request of the pushed `branch` to the default branch, once: not again where one was closed."""
        fitting = _bounded(text, CUT.format(number=number))
        return self._done(f"the pull request of {branch}", lambda: self._pull(branch, title, fitting))

    def _pull(self, branch: str, title: str, text: str) -> str:
        full = self._hub.get_repo(self._settings.repository)
        head = f"{full.owner.login}:{branch}"
        found = list(full.get_pulls(state="all", head=head, base=full.default_branch))
        if not found:
            made = full.create_pull(base=full.default_branch, head=branch, title=title, body=text)
            return made.html_url
        return found[0].html_url

    # --- when GitHub says no ---

    def _done(self, what: str, operation: Callable[[], _T]) -> _T:
        """Do an operation, again from its beginning where its failure may pass. Raises Unreachable, BadInput."""
        ends, attempt = time.monotonic() + DEADLINE_S, 1
        while True:
            try:
                return operation()
            except (GithubException, RequestException, ValueError) as error:  # the last one: half an answer
                wait = self._pause(error, attempt)
                if wait is None:
                    raise self._refused(what, error) from None
                if attempt >= ATTEMPTS or time.monotonic() + wait > ends:
                    raise self._unreachable(what, error, wait) from None
            except (
                RuntimeError,
                AssertionError,
                BadAttributeException,
            ) as error:  # PyGithub's: to another host, of no type
                told = strip_control(redact(str(error), (self._settings.token,)))[:300]
                raise HarnessError(f"GitHub's answer is of no use: {told}", where=self._place(what)) from None
            time.sleep(wait)
            attempt += 1

    def _pause(self, error: Exception, attempt: int) -> float | None:
        """Seconds after which to try again; None where that would be in vain."""
        ours = 2.0 ** (attempt - 1) * self._settings.pace
        if not isinstance(error, GithubException):
            return ours
        told = _asked_to_wait(error)
        if told is not None:
            return max(told, ours)
        return ours if error.status >= 500 or error.status == 408 else None

    def _place(self, what: str) -> str:
        return f"{self._settings.repository}, {what}"

    def _unreachable(self, what: str, error: Exception, wait: float) -> Unreachable:
        """What to say where the reason may pass."""
        if isinstance(error, GithubException) and _asked_to_wait(error) is not None:
            problem = f"GitHub asks to wait {wait:.0f} s (its rate limit)"
        elif isinstance(error, GithubException):
            problem = f"GitHub answered {error.status}"
        else:
            problem = f"GitHub cannot be reached ({type(error).__name__})"
        return Unreachable(problem, where=self._place(what), next_step="run the same command again later: it goes on")

    def _refused(self, what: str, error: Exception) -> HarnessError:
        """What to say where waiting does not help."""
        assert isinstance(error, GithubException)
        said = strip_control(redact(_message(error), (self._settings.token,)))[:300]
        problem, step = _REFUSALS.get(error.status, (f"GitHub answered {error.status}", _REPORT))
        told = f"{problem}: {said}" if said else problem
        kind = HarnessError if error.status == 422 else BadInput
        return kind(told, where=self._place(what), next_step=step.format(self._settings.repository))


_MARKED = marker(0).partition("0")[0]  # how the marker of any issue begins
_REPORT = "see what GitHub says of it; the campaign is in the ledger, and the same command goes on"
_REFUSALS = {
    401: ("GitHub does not know the token", "set GITHUB_TOKEN to one that is valid"),
    403: (
        "the token may not do that",
        "give it issues, pull requests and contents: read and write, for {}",
    ),
    404: ("GitHub knows no such thing, or the token may not see it", "check the number, and GITHUB_REPOSITORY ({})"),
    410: ("it was deleted, or the repository has no issues", "give another issue, or turn on the issues of {}"),
    422: ("GitHub does not take it", _REPORT),
}


def _is_pull(found: RemoteIssue) -> bool:
    """By its address: of an issue in a list, PyGithub would ask for whatever the list leaves out."""
    return found.html_url.endswith(f"/pull/{found.number}")


def _label(status: str) -> str:
    return f"status: {status}"


def _message(error: GithubException) -> str:
    """What GitHub says of a refusal, the details of a 422 included."""
    data = error.data if isinstance(error.data, dict) else {}
    details = data.get("errors", [])
    told = [str(one.get("message") or one.get("code") or "") for one in details if isinstance(one, dict)]
    return "; ".join(part for part in (str(data.get("message") or ""), *told) if part)


def _asked_to_wait(error: GithubException) -> float | None:
    """Seconds that a rate limit, primary or secondary, asks to wait; None where the refusal is none of them."""
    headers = error.headers or {}
    if error.status not in (403, 429):
        return None
    if (told := headers.get("retry-after", "")).isdigit():
        return float(told)
    if headers.get("x-ratelimit-remaining") == "0" and (reset := headers.get("x-ratelimit-reset", "")).isdigit():
        return max(0.0, int(reset) - time.time()) + 1
    limited = error.status == 429 or "rate limit" in _message(error).lower()
    return SECONDARY_S if limited else None


def _or_none(ask: Callable[[], _T]) -> _T | None:
    """An answer, or None where GitHub knows no such thing: it never was, or another harness has just removed it."""
    try:
        return ask()
    except GithubException as error:
        if error.status != 404:
            raise
        return None


def _unless_there(act: Callable[[], object]) -> None:
    """Make something that another harness may have made just now."""
    try:
        act()
    except GithubException as error:
        if error.status != 422 or "already_exists" not in str(error.data):
            raise


def _same(shown: str | None, text: str) -> bool:
    """Whether a comment says that; how its lines end is GitHub's affair."""
    return (shown or "").replace("\r\n", "\n").strip() == text.strip()


def _bounded(text: str, rest: str) -> str:
    """What fits into a comment, with a sentence that says where the rest is; a fence that is cut open is closed."""
    if len(text) <= LENGTH:
        return text
    kept = text[: LENGTH - len(rest) - len("\n```")].rpartition("\n")[0]
    closing = "\n```" if kept.count("\n```") % 2 else ""
    return f"{kept}{closing}{rest}"
