"""GitHub's issues: fetched, commented once and in place, labelled, closed.

Every operation looks before it acts, so that it can be repeated as a whole: no request is repeated blindly.
"""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import partial
from pathlib import Path
from typing import Protocol

from github import Auth, Consts, Github, GithubException
from github.Issue import Issue as RemoteIssue
from github.IssueComment import IssueComment
from github.Repository import Repository as RemoteRepository

from agent.core.errors import BadInput
from agent.core.experiment import HumanComment, Issue, IssueStatus
from agent.core.frozen import frozen
from agent.core.protocols import Upstream
from agent.core.sanitize import strip_control
from agent.store.repository import Repository
from agent.tracking import address
from agent.tracking.comment import marker
from agent.tracking.github_calls import GitHubCalls, asked_to_wait, or_none, unless_there

TIMEOUT_S = 15  # of one request: GitHub itself gives up after 10
POLL_S = 30.0  # between two polls for comments of people while a campaign runs
FRESH_S = 20.0  # an issue that was read less than that ago is not requested once more
REQUEST_S, WRITE_S = 0.25, 1.0  # between two requests and between two writes, as GitHub asks of its guests
MAX_COMMENT = 65_536  # characters of a comment that GitHub takes
MAY_START = ("admin", "maintain", "write")  # the permissions with which a person's issue is run
STATUSES: Mapping[str, tuple[str, str]] = {  # the labels that are ours, with their colour and description
    "queued": ("c5def5", "waiting for the harness"),
    "running": ("fbca04", "its experiments run"),
    "review": ("d93f0b", "its verdict waits for a person"),
    "done": ("0e8a16", "its verdict is in the comment"),
}
CUT = "\n\n*The rest does not fit into a comment: `python agent/run.py --issue {number} --report` prints all of it.*\n"


class _Author(Protocol):
    """The author of an issue or a comment."""

    @property
    def login(self) -> str: ...
    @property
    def type(self) -> str: ...


@frozen
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
    """Return the tracker of the repository at `root`, by the environment and its origin. Raises BadInput."""
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


def _pace(value: str) -> float:
    """Return the factor on every pause. Raises BadInput."""
    try:
        return max(0.0, float(value or 1))
    except ValueError:
        raise BadInput(f"AUTORESEARCH_PACE is {value!r}", next_step="it is a number: 1, or 0 for no pauses") from None


class GitHubTracker:
    """The issues of one repository on GitHub."""

    def __init__(self, settings: Settings) -> None:
        """Send no request yet. PyGithub's own retries are off: they wait for as long as GitHub says."""
        self._settings = settings
        self._calls = GitHubCalls(settings.repository, settings.token, settings.pace)
        web = address.web(settings.repository, os.environ)
        pause = POLL_S * settings.pace
        self.upstream: Upstream | None = Upstream(settings.repository, "origin", settings.env, pause, web)
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
        self._repo = RemoteRepository(self._hub.requester, {}, place, completed=True)  # no request yet
        self._fetched: dict[int, tuple[float, RemoteIssue]] = {}
        self._may_start: dict[str, bool] = {}
        self._labels: set[str] = set()
        self._login: str | None = None

    # --- reading ---

    def fetch(self, number: int) -> Issue:
        """Return the issue. Raises BadInput where there is none, or where its author may not start a run."""
        remote = self._calls.run(f"issue {number}", lambda: self._issue(number))
        self._check(number, remote)
        if not self._calls.run(f"issue {number}", lambda: self._allowed(remote.user)):
            raise BadInput(
                f"{self._login_of(remote.user)} has no write access to the repository, so the issue is not run",
                where=self._calls.place(f"issue {number}"),
                next_step="somebody with write access has to open it, or set AUTORESEARCH_ALLOWED=login,login",
            )
        return self._local(remote)

    def _issue(self, number: int) -> RemoteIssue:
        """Return the issue, requested anew where it has changed since; not more often than every FRESH_S seconds."""
        at, remote = self._fetched.get(number, (0.0, None))
        if remote is None:
            remote = self._repo.get_issue(number)
        elif time.monotonic() - at >= FRESH_S * self._settings.pace:
            remote.update()
        else:
            return remote
        self._fetched[number] = time.monotonic(), remote
        return remote

    def _check(self, number: int, remote: RemoteIssue) -> None:
        """Raise BadInput unless it is an issue of this repository."""
        where = self._calls.place(f"issue {number}")
        if _is_pull(remote):
            raise BadInput("it is a pull request", where=where, next_step="give the number of an issue")
        here = f"/repos/{self._settings.repository}/issues/{number}".lower()
        if not remote.url.lower().endswith(here):
            moved = strip_control(remote.url.partition("/repos/")[2].partition("/issues/")[0])
            raise BadInput(
                f"it has moved to {moved}",
                where=where,
                next_step=f"set GITHUB_REPOSITORY={moved}, or mend origin: git remote set-url origin ...",
            )

    def _local(self, remote: RemoteIssue) -> Issue:
        return Issue(
            number=remote.number,
            title=remote.title,
            body=remote.body or "",
            labels=tuple(label.name for label in remote.labels),
            author=self._login_of(remote.user),
            url=remote.html_url,
            state=remote.state,
            source=f"{self._settings.repository} issue {remote.number}",
        )

    def human_comments(self, number: int) -> list[HumanComment]:
        """Return issues labelled `human` and comments of the issue, by people with write access and never by us."""
        return self._calls.run(
            f"comments of issue {number}", lambda: [*self._human_issues(number), *self._issue_comments(number)]
        )

    def _human_issues(self, number: int) -> Iterable[HumanComment]:
        for one in self._open("human"):
            if one.number != number and self._allowed(one.user):
                at = one.updated_at.isoformat()
                yield HumanComment(f"issue-{one.number}", one.user.login, one.body or "", at)

    def _issue_comments(self, number: int) -> Iterable[HumanComment]:
        for one in self._comments(number):
            if not (one.body or "").lstrip().startswith(_MARKED) and self._allowed(one.user):
                yield HumanComment(f"comment-{one.id}", one.user.login, one.body or "", one.updated_at.isoformat())

    def revision(self, number: int) -> str:  # noqa: ARG002 (the Protocol's)
        """Return nothing: GitHub tells what changed where it is asked for it, at no cost where nothing did."""
        return ""

    def open_experiments(self) -> list[int]:
        """Return the open issues labelled `experiment`; whether its author may start one shows when it is fetched."""
        return self._calls.run("issues", lambda: sorted(one.number for one in self._open("experiment")))

    def _open(self, label: str) -> list[RemoteIssue]:
        """Return the open issues with a label, oldest first; GitHub lists pull requests among them."""
        remotes = self._repo.get_issues(state="open", labels=[label], sort="created", direction="asc")
        return [one for one in remotes if not _is_pull(one)]

    def _comments(self, number: int) -> list[IssueComment]:
        return list(self._lazy(number).get_comments())

    def _lazy(self, number: int) -> RemoteIssue:
        """Return an issue to act upon, without a request."""
        url = f"{self._repo.url}/issues/{number}"
        return RemoteIssue(self._hub.requester, {}, {"url": url, "number": number}, completed=True)

    # --- permissions ---

    def _allowed(self, user: _Author | None) -> bool:
        """Return whether a user may start runs: a listed login, or a person with write access; where unknown, no."""
        if user is None or not user.login:
            return False
        name = user.login.lower()
        if name in self._settings.allowed:
            return True
        if user.type != "User" or name.endswith("[bot]"):
            return False
        if name not in self._may_start:
            self._may_start[name] = self._permission(user.login) in MAY_START
        return self._may_start[name]

    def _permission(self, login: str) -> str:
        """Return the permission of a user; empty where GitHub knows none of that login."""
        return or_none(lambda: self._repo.get_collaborator_permission(login)) or ""

    @staticmethod
    def _login_of(user: _Author | None) -> str:
        return "" if user is None else user.login or ""

    def _me(self) -> str:
        """Return our own login; empty for an app, whose token may not request it."""
        if self._login is None:
            try:
                self._login = self._hub.get_user().login
            except GithubException as error:
                if error.status != 403 or asked_to_wait(error) is not None:
                    raise
                self._login = ""
        return self._login

    # --- writing ---

    def comment(self, number: int, text: str) -> str:
        """Have one comment of ours on the issue, and have it say `text`; return its address."""
        fitting = _bounded(text, CUT.format(number=number))
        return self._calls.run(f"the comment on issue {number}", lambda: self._comment(number, fitting))

    def _comment(self, number: int, text: str) -> str:
        """Look, create where there is none, look again: of several (another harness was as quick) the oldest stays."""
        ours = self._ours(number)
        if not ours:
            created = self._lazy(number).create_comment(text)
            ours = self._ours(number) or [created]
        first, *others = ours
        if not _same(first.body, text):
            first.edit(text)
        for other in others:
            or_none(other.delete)
        return first.html_url

    def _ours(self, number: int) -> list[IssueComment]:
        """Return our comments that carry the marker, oldest first. Anybody can write a marker; nobody else is us."""
        marked = (one for one in self._comments(number) if (one.body or "").startswith(marker(number)))
        return sorted((one for one in marked if self._mine(one)), key=lambda one: one.id)

    def _mine(self, one: IssueComment) -> bool:
        me = self._me()
        return self._login_of(one.user) == me if me else one.user is not None and one.user.type == "Bot"

    def set_status(self, number: int, status: IssueStatus) -> None:
        """Have the label of `status` on the issue and none of the other three; all others stay."""
        self._calls.run(f"the label of issue {number}", lambda: self._set_status(number, status))

    def _set_status(self, number: int, status: IssueStatus) -> None:
        label, ours = _label(status), {_label(one) for one in STATUSES}
        issue = self._lazy(number)
        there = {one.name.lower(): one.name for one in issue.get_labels()}
        if label not in there:
            self._create_label(status)
            issue.add_to_labels(label)
        for name in sorted((ours - {label}) & there.keys()):
            or_none(partial(issue.remove_from_labels, there[name]))

    def _create_label(self, status: str) -> None:
        """Create the repository's label where it is missing."""
        name, (colour, description) = _label(status), STATUSES[status]
        if name in self._labels:
            return
        if or_none(lambda: self._repo.get_label(name)) is None:
            unless_there(lambda: self._repo.create_label(name, colour, description))
        self._labels.add(name)

    def close(self, number: int) -> None:
        """Close the issue."""
        self._calls.run(f"issue {number}", lambda: self._close(number))

    def _close(self, number: int) -> None:
        if self._repo.get_issue(number).state != "closed":
            self._lazy(number).edit(state="closed", state_reason="completed")

    def pull(self, number: int, branch: str, title: str, text: str) -> str:
        """Have one pull request of the pushed `branch` to the default branch, closed or not; return its address."""
        fitting = _bounded(text, CUT.format(number=number))
        return self._calls.run(f"the pull request of {branch}", lambda: self._pull(branch, title, fitting))

    def _pull(self, branch: str, title: str, text: str) -> str:
        full = self._hub.get_repo(self._settings.repository)
        head = f"{full.owner.login}:{branch}"
        pulls = list(full.get_pulls(state="all", head=head, base=full.default_branch))
        return (pulls or [full.create_pull(base=full.default_branch, head=branch, title=title, body=text)])[0].html_url


_MARKED = marker(0).partition("0")[0]  # how the marker of any issue begins


def _is_pull(remote: RemoteIssue) -> bool:
    """Return whether it is a pull request, by its address: of an issue in a list, PyGithub would request the rest."""
    return remote.html_url.endswith(f"/pull/{remote.number}")


def _label(status: str) -> str:
    return f"status: {status}"


def _same(shown: str | None, text: str) -> bool:
    """Return whether a comment reads like that; how its lines end is GitHub's affair."""
    return (shown or "").replace("\r\n", "\n").strip() == text.strip()


def _bounded(text: str, rest: str) -> str:
    """Return what fits into a comment, with a sentence on where the rest is; a fence that is cut open is closed."""
    if len(text) <= MAX_COMMENT:
        return text
    kept = text[: MAX_COMMENT - len(rest) - len("\n```")].rpartition("\n")[0]
    closing = "\n```" if kept.count("\n```") % 2 else ""
    return f"{kept}{closing}{rest}"
