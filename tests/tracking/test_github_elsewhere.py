"""The tracker against a GitHub that was not written here: npm's `emulate`. Skipped where it is not installed.

What it lacks is tried on our own stand-in: refusals, limits, git.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import requests

from agent.core.errors import BadInput
from agent.tracking.comment import marker
from agent.tracking.github import GitHubTracker, Settings
from tests.faults.bench import ISSUE
from tests.support.elsewhere import free_port, serving
from tests.support.project import agent, git, make

REPOSITORY, TOKEN = "lab/experiments", "gho_" + "elsewhere" * 3
HEAD = {"Authorization": f"Bearer {TOKEN}"}
SEED = f"""
tokens:
  {TOKEN}: {{login: lab, scopes: [repo, user]}}
github:
  users: [{{login: lab}}]
  repos: [{{owner: lab, name: experiments, auto_init: true}}]
"""

pytestmark = pytest.mark.elsewhere


@dataclass(frozen=True)
class Elsewhere:
    """The emulator: its address, and a way to ask it anything."""

    url: str

    def ask(self, method: str, path: str, **sent: object) -> requests.Response:
        """A request of the test's own."""
        url = f"{self.url}/repos/{REPOSITORY}{path}"
        answer = requests.request(method, url, json=cast(Any, sent or None), headers=HEAD, timeout=20)
        answer.raise_for_status()
        return answer

    def issue(self, body: str, *labels: str) -> int:
        """Open an issue and return its number."""
        known = {label["name"] for label in self.ask("GET", "/labels?per_page=100").json()}
        for name in {*labels} - known:
            self.ask("POST", "/labels", name=name, color="ededed")
        return int(self.ask("POST", "/issues", title="An experiment", body=body, labels=list(labels)).json()["number"])

    def labels(self, number: int) -> set[str]:
        """The names of an issue's labels."""
        return {label["name"] for label in self.ask("GET", f"/issues/{number}").json()["labels"]}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    """The emulator with one empty repository."""
    folder, port = tmp_path_factory.mktemp("elsewhere"), free_port()
    (folder / "seed.yaml").write_text(SEED)
    url = f"http://127.0.0.1:{port}"
    arguments = ("start", "--service", "github", "--port", str(port), "--seed", folder / "seed.yaml", "--base-url", url)
    with serving("emulate", "dist/index.js", *arguments, folder=folder, port=port):
        yield Elsewhere(url)


@pytest.fixture
def tracker(elsewhere: Elsewhere) -> GitHubTracker:
    return GitHubTracker(Settings(REPOSITORY, TOKEN, elsewhere.url, pace=0.0))


def test_an_issue_is_fetched_listed_commented_once_labelled_and_closed(
    elsewhere: Elsewhere, tracker: GitHubTracker
) -> None:
    number = elsewhere.issue("the body", "experiment", "size: S")
    issue = tracker.fetch(number)
    assert (issue.body, issue.author, set(issue.labels)) == ("the body", "lab", {"experiment", "size: S"})
    assert number in tracker.open_experiments()
    for text in ("first", "second"):
        tracker.comment(number, f"{marker(number)}\n{text}")
    bodies = [one["body"] for one in elsewhere.ask("GET", f"/issues/{number}/comments").json()]
    assert bodies == [f"{marker(number)}\nsecond"]
    for status in ("queued", "running", "done"):
        tracker.set_status(number, status)
        assert elsewhere.labels(number) == {"experiment", "size: S", f"status: {status}"}
    elsewhere.ask("POST", f"/issues/{number}/comments", body="/stop")
    assert [one.text for one in tracker.human_comments(number)] == ["/stop"]
    tracker.close(number)
    assert elsewhere.ask("GET", f"/issues/{number}").json()["state"] == "closed"


def test_more_remarks_than_a_page_holds_are_all_read(elsewhere: Elsewhere, tracker: GitHubTracker) -> None:
    number = elsewhere.issue("the body", "experiment")
    for index in range(105):
        elsewhere.ask("POST", f"/issues/{number}/comments", body=f"remark {index}")
    assert [one.text for one in tracker.human_comments(number)] == [f"remark {index}" for index in range(105)]


def test_an_unknown_issue_is_named(tracker: GitHubTracker) -> None:
    with pytest.raises(BadInput, match="issue 999: GitHub knows no such thing"):
        tracker.fetch(999)


def test_a_pull_request_is_made_once(elsewhere: Elsewhere, tracker: GitHubTracker) -> None:
    number = elsewhere.issue("the body", "experiment")
    tip = elsewhere.ask("GET", "/git/ref/heads/main").json()["object"]["sha"]
    branch = f"autoresearch/issue-{number}/1A"
    elsewhere.ask("POST", "/git/refs", ref=f"refs/heads/{branch}", sha=tip)
    where = tracker.pull(number, branch, "a title", "a text")
    assert tracker.pull(number, branch, "a title", "a text") == where
    assert len(elsewhere.ask("GET", "/pulls?state=all").json()) == 1


def test_a_campaign_goes_from_its_issue_to_its_comment(elsewhere: Elsewhere, tmp_path: Path) -> None:
    number = elsewhere.issue(ISSUE.partition("---\n")[2].partition("---\n")[2], "experiment")
    project = make(tmp_path / "project")
    git(tmp_path, "init", "--quiet", "--bare", "remote.git")
    git(project, "remote", "add", "origin", str(tmp_path / "remote.git"))
    env = {"GITHUB_API_URL": elsewhere.url, "GITHUB_TOKEN": TOKEN, "GITHUB_REPOSITORY": REPOSITORY}
    arguments = ("--issue", str(number), "--budget", "5steps", "--gate", "lowest", "--tracker", "github", "--close")
    ended = agent(project, *arguments, env={**env, "AUTORESEARCH_PACE": "0"})
    assert ended.returncode == 0, ended.stderr
    (comment,) = elsewhere.ask("GET", f"/issues/{number}/comments").json()
    assert "## Verdict: keep: 1D" in comment["body"]
    assert elsewhere.labels(number) == {"experiment", "status: done"}
    assert elsewhere.ask("GET", f"/issues/{number}").json()["state"] == "closed"
