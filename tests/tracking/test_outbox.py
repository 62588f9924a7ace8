"""Issues on GitHub from end to end: the real command line against the stand-in; what fails is delivered later."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.errors import BadInput, Unreachable
from agent.core.records import DeliveryRecord
from agent.store.ledger import Ledger
from agent.store.remote import Remote
from agent.store.repository import Repository
from agent.tracking.github import GitHubTracker, Settings
from agent.tracking.outbox import Outbox
from tests.faults.bench import ISSUE as ONE_VARIANT
from tests.support.github import REPOSITORY, TOKEN, US, Fault, GitHub, serving
from tests.support.project import ISSUE, agent, commit, edit, git, make, start
from tests.support.prose import BODY, editor, prose_issue

STEPS = ("--issue", "3", "--budget", "5steps", "--tracker", "github")
QUICK = (*STEPS, "--gate", "lowest")
COMMENT = rf"POST /repos/{REPOSITORY}/issues/3/comments"
LABEL = rf"POST /repos/{REPOSITORY}/issues/3/labels"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A clone whose origin is a bare repository beside it."""
    project = make(tmp_path / "project")
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "remote.git")
    git(project, "remote", "add", "origin", str(tmp_path / "remote.git"))
    git(project, "push", "--quiet", "origin", "main")
    return project


@pytest.fixture
def hub(project: Path) -> Iterator[GitHub]:
    """GitHub with issue 3: one variant, so that a campaign is short."""
    with serving(GitHub(remote=project.parent / "remote.git")) as hub:
        hub.issue(3, ONE_VARIANT.partition("---\n")[2].partition("---\n")[2], labels=("experiment", "size: S"))
        yield hub
        assert hub.complaints == []


def github_env(hub: GitHub, **extra: str) -> dict[str, str]:
    """The environment of a program that finds GitHub where the stand-in is."""
    own = {"GITHUB_API_URL": hub.url, "GITHUB_TOKEN": TOKEN, "GITHUB_REPOSITORY": REPOSITORY, "AUTORESEARCH_PACE": "0"}
    return {**own, "GITHUB_SERVER_URL": "https://github.com", **extra}


def run(project: Path, hub: GitHub, *request: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Give the command; neither of its outputs may ever have the token."""
    ended = agent(project, *(request or QUICK), env=github_env(hub, **extra))
    assert TOKEN not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    return ended


def records(project: Path, kind: str) -> list[dict[str, object]]:
    path = project / "experiments" / "ledger.jsonl"
    loaded = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [record for record in loaded if record["kind"] == kind]


def there(project: Path) -> dict[str, str]:
    """What the branches of ours on the remote name."""
    return here(project.parent / "remote.git")


def here(project: Path) -> dict[str, str]:
    lines = git(project, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads").splitlines()
    return {name: sha for name, sha in (line.split() for line in lines) if "autoresearch" in name}


def noted(project: Path) -> list[str]:
    """The notes: commits and texts."""
    return git(project, "ls-tree", "-r", "refs/notes/autoresearch").splitlines()


def finished(project: Path, hub: GitHub, verdict: str = "keep: 1D") -> None:
    """What every campaign leaves, disturbed or not: one comment with the verdict, one label, every ref."""
    (only,) = hub.on(3)
    assert only["user"] == US
    assert f"## Verdict: {verdict}" in only["body"]
    assert [name for name in hub.issues[3]["labels"] if name.startswith("status")] == ["status: done"]
    assert {"experiment", "size: S"} <= set(hub.issues[3]["labels"])
    assert there(project) == here(project)
    assert noted(project.parent / "remote.git") == noted(project)


# --- from end to end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("asks", ["--confirm", "the issue"])
def test_only_the_go_of_somebody_with_write_access_lets_a_campaign_begin(project: Path, hub: GitHub, asks: str) -> None:
    request = (*QUICK, "--confirm") if asks == "--confirm" else QUICK
    if asks == "the issue":
        hub.issues[3]["body"] += "\n\n```yaml\n# autoresearch\nconfirm: true\n```\n"
    hub.permissions |= {"reader": "read", "helper": "triage"}
    for author in ("stranger", "reader", "helper"):
        hub.say(3, author, "/go")
    waiting = run(project, hub, *request)
    assert (waiting.returncode, records(project, "run")) == (3, [])
    assert "/go" in waiting.stderr
    hub.say(3, "researcher", "/go")
    ended = run(project, hub, *request)
    assert ended.returncode == 0, ended.stderr
    assert records(project, "run") != []


def test_issue_3_goes_from_github_to_its_comment_labels_refs_pull_request_and_end(project: Path, hub: GitHub) -> None:
    body = (project / ISSUE).read_text().split("---\n", 2)[2].replace("\n", "\r\n")  # as GitHub's editor leaves it
    hub.issue(3, body, labels=("experiment", "priority: high", "size: S"))
    seen: list[str] = []
    hub.on_request = lambda request: seen.append(",".join(hub.issues[3]["labels"])) if "status" not in request else None
    ended = run(project, hub, *STEPS, "--pr", "--close")
    assert ended.returncode == 0, ended.stderr
    assert "verdict: keep 1D" in ended.stdout
    finished(project, hub)
    assert any("status: running" in labels for labels in seen)
    assert hub.issues[3]["state"] == "closed"
    (pull,) = hub.pulls
    assert (pull["head"]["ref"], pull["base"]["ref"]) == ("autoresearch/issue-3/1D", "main")
    assert pull["title"].startswith("experiment: 1D of issue 3")
    assert "The winner of #3." in pull["body"]
    assert {f"refs/heads/autoresearch/issue-3/1{x}" for x in "ABCD"} < there(project).keys()
    assert (
        there(project)["refs/heads/autoresearch/baseline/main"] == there(project)["refs/heads/autoresearch/issue-3/1D"]
    )
    comment = agent(project, "--issue", "3", "--tracker", "github", "--report", env=github_env(hub)).stdout
    assert comment == hub.on(3)[0]["body"]
    assert [(one["what"], one["done"]) for one in records(project, "post")] == [("close", False), ("close", True)]
    writes = len([request for request in hub.requests if not request.startswith("GET")])
    second = run(project, hub, *STEPS, "--pr", "--close")
    assert (second.returncode, "run 1/" in second.stdout) == (0, False), second.stderr
    assert len([request for request in hub.requests if not request.startswith("GET")]) == writes
    assert git(project, "status", "--porcelain") == ""


@pytest.mark.parametrize("how", ["after-502", "after-drop", "502", "drop", "secondary"])
def test_a_fault_that_passes_leaves_what_a_calm_campaign_leaves(project: Path, hub: GitHub, how: str) -> None:
    hub.faults += [Fault(COMMENT, how), Fault(LABEL, how), Fault(r"GET .*/comments", how)]
    ended = run(project, hub)
    assert ended.returncode == 0, ended.stderr
    finished(project, hub)
    assert records(project, "post") == []


@pytest.mark.parametrize(("how", "status"), [("401", 2), ("404", 2), ("403", 2), ("410", 2), ("503", 3)])
def test_a_refusal_at_the_start_says_why_before_anything_runs(
    project: Path, hub: GitHub, how: str, status: int
) -> None:
    hub.faults.append(Fault(r"GET .*/issues/3", how, times=9))
    ended = run(project, hub)
    assert (ended.returncode, ended.stderr.count("error: ")) == (status, 1)
    assert f"{REPOSITORY}, issue 3: " in ended.stderr
    assert not (project / "experiments" / "ledger.jsonl").exists()


@pytest.mark.parametrize(("how", "status"), [("401", 2), ("404", 2), ("422", 1), ("500", 0)])
def test_a_comment_that_is_refused_is_delivered_by_the_next_start(
    project: Path, hub: GitHub, how: str, status: int
) -> None:
    hub.faults.append(Fault(COMMENT, how, times=9))
    ended = run(project, hub)
    assert ended.returncode == status, ended.stderr
    assert "the comment o" in ended.stdout + ended.stderr
    assert hub.on(3) == []
    assert "status: done" in hub.issues[3]["labels"]  # what else there was to post is there
    undelivered = [(one["what"], one["done"]) for one in records(project, "post")]
    assert undelivered == [("comment", False)]
    hub.faults.clear()
    second = run(project, hub)
    assert second.returncode == 0, second.stderr
    assert "is delivered now" in second.stderr
    assert "run 1/" not in second.stdout
    finished(project, hub)
    assert [(one["what"], one["done"]) for one in records(project, "post")] == [*undelivered, ("comment", True)]


def test_everything_that_github_and_the_remote_did_not_take_is_there_after_any_next_start(
    project: Path, hub: GitHub
) -> None:
    remote = project.parent / "remote.git"

    def cut(request: str) -> None:
        if request.startswith("POST") and not hub.faults:  # the campaign has begun: from now on nothing answers
            hub.faults.append(Fault(".*", "503", times=10_000))
            remote.rename(remote.with_name("away.git"))

    hub.on_request = cut
    ended = run(project, hub, *QUICK, "--pr", "--close")
    assert ended.returncode == 0, ended.stderr
    assert "verdict: keep 1D" in ended.stdout
    assert "the next start delivers it" in ended.stdout
    assert "comments could not be read: " in ended.stdout
    undelivered = [one["what"] for one in records(project, "post")]
    assert undelivered == ["status", "push", "pull", "comment", "status", "close"]
    hub.on_request = lambda _: None
    hub.faults.clear()
    remote.with_name("away.git").rename(remote)
    hub.issue(4, "no table", labels=("experiment",))
    other = run(project, hub, "--issue", "4", "--tracker", "github")  # another issue, and one that cannot run
    assert other.returncode == 2
    finished(project, hub)
    assert hub.issues[3]["state"] == "closed"
    assert len(hub.pulls) == 1
    assert len(records(project, "post")) == len(undelivered) + 5


@pytest.mark.parametrize("point", ["comment-before", "post-before@3", "post-after@2", "post-after@3", "post-after@4"])
def test_killed_around_its_posts_the_same_command_leaves_one_of_each(project: Path, hub: GitHub, point: str) -> None:
    request = (*QUICK, "--pr", "--close")
    killed = run(project, hub, *request, AUTORESEARCH_FAULT=f"{point}:kill")
    assert killed.returncode == -signal.SIGKILL
    ended = run(project, hub, *request)
    assert ended.returncode == 0, ended.stderr
    finished(project, hub)
    assert (len(hub.pulls), hub.issues[3]["state"]) == (1, "closed")
    assert len(records(project, "run")) == 2


def test_a_kill_during_a_second_delivery_leaves_it_undelivered_and_posts_it_once(project: Path, hub: GitHub) -> None:
    hub.faults.append(Fault(COMMENT, "500", times=9))
    run(project, hub)
    hub.faults.clear()
    assert run(project, hub, AUTORESEARCH_FAULT="redelivered:kill").returncode == -signal.SIGKILL
    assert run(project, hub).returncode == 0
    finished(project, hub)
    assert [one["done"] for one in records(project, "post")] == [False, True]


def test_a_second_harness_in_another_clone_edits_the_same_comment(project: Path, hub: GitHub) -> None:
    assert run(project, hub).returncode == 0
    git(project.parent, "clone", "--quiet", str(project.parent / "remote.git"), "other")
    ended = run(project.parent / "other", hub)
    assert ended.returncode == 0, ended.stderr
    finished(project.parent / "other", hub)
    assert run(project, hub).returncode == 0
    finished(project, hub)  # notes on a commit that both have are the last one's


def test_an_issue_in_prose_has_one_comment_too_which_first_says_that_nothing_can_run(
    project: Path, hub: GitHub
) -> None:
    prose_issue(project)
    git(project, "push", "--quiet", "origin", "main")
    hub.issue(5, BODY)
    request = ("--issue", "5", "--budget", "5steps", "--gate", "lowest", "--tracker", "github", "--editor")
    killed = run(project, hub, *request, "true", AUTORESEARCH_FAULT="post-before@1:kill")
    assert (killed.returncode, hub.on(5)) == (-signal.SIGKILL, [])
    assert run(project, hub, *request, "true").returncode == 1
    (only,) = hub.on(5)
    assert "no proposal can run: 1A: it changed nothing; 1B: it changed nothing" in only["body"]
    assert "status: review" in hub.issues[5]["labels"]
    edits = [("RATIO = 64", "RATIO = 96", "wider"), ("DEPTH = 8", "DEPTH = 10", "deeper")]
    hub.faults.append(Fault(r"PATCH .*/comments/.*", "after-502"))
    ended = run(project, hub, *request, editor(project.parent / "editor", edits), "--retry")
    assert ended.returncode == 0, ended.stderr
    (only,) = hub.on(5)
    assert "## Verdict: keep: 2A" in only["body"]
    assert [name for name in hub.issues[5]["labels"] if name.startswith("status")] == ["status: done"]
    assert there(project) == here(project)


# --- the frozen body --------------------------------------------------------------------------------------


def test_an_edit_during_the_run_pauses_it_and_its_undoing_lets_it_go_on(project: Path, hub: GitHub) -> None:
    edit(project, "train.py", "PAUSE = 0.0", "PAUSE = 1.0")
    commit(project, "runs that take a moment")
    before = hub.issues[3]["body"]
    with start(project, *QUICK, env=github_env(hub)) as program:
        assert program.stdout is not None
        while "run 1/" not in program.stdout.readline():
            pass
        hub.issues[3]["body"] = before + "\n<!-- and another word -->"
        _, errors = program.communicate(timeout=120)
    assert program.returncode == 3, errors
    assert "issue 3 was edited while it ran" in errors
    assert "the same command asks what it says now" in errors
    assert len(records(project, "run")) == 1
    hub.issues[3]["body"] = before
    assert run(project, hub).returncode == 0
    finished(project, hub)
    assert (len(records(project, "run")), len(records(project, "campaign"))) == (2, 1)


def test_a_local_issue_is_frozen_too(project: Path) -> None:
    edit(project, "train.py", "PAUSE = 0.0", "PAUSE = 1.0")
    commit(project, "runs that take a moment")
    with start(project, "--issue", "3", "--budget", "5steps") as program:
        assert program.stdout is not None
        while "run 1/" not in program.stdout.readline():
            pass
        edit(project, ISSUE, "50% wider", "60% wider")
        _, errors = program.communicate(timeout=120)
    assert (program.returncode, "issue 3 was edited while it ran" in errors) == (3, True)


# --- which tracker ----------------------------------------------------------------------------------------


def test_auto_picks_github_where_origin_and_a_token_are_there_and_says_so(project: Path, hub: GitHub) -> None:
    git(project, "config", "remote.origin.url", f"https://github.com/{REPOSITORY}.git")
    remote = project.parent / "remote.git"
    git(project, "config", f"url.{remote}.insteadOf", f"https://github.com/{REPOSITORY}.git")
    request = ("--issue", "3", "--budget", "5steps", "--gate", "lowest")
    ended = run(project, hub, *request, GITHUB_REPOSITORY="")
    assert ended.returncode == 0, ended.stderr
    assert f"tracker github: origin is {REPOSITORY} and GITHUB_TOKEN is set" in ended.stderr
    finished(project, hub)
    local = run(project, hub, "--issue", "3", "--plan", GITHUB_TOKEN="")
    assert "1D, 1C, 1A, 1B" in local.stdout
    assert "tracker" not in local.stderr


def test_a_missing_token_or_repository_is_named_with_what_to_set(project: Path, hub: GitHub) -> None:
    ended = agent(project, *QUICK, env=github_env(hub, GITHUB_TOKEN=""))
    assert (ended.returncode, "set GITHUB_TOKEN" in ended.stderr) == (2, True)
    ended = run(project, hub, GITHUB_REPOSITORY="")
    assert (ended.returncode, "set GITHUB_REPOSITORY=owner/name" in ended.stderr) == (2, True)


def test_a_local_issue_has_neither_pull_request_nor_end(project: Path, hub: GitHub) -> None:
    ended = run(project, hub, "--issue", "3", "--tracker", "markdown", "--pr")
    assert (ended.returncode, "--pr and --close are for issues on GitHub" in ended.stderr) == (2, True)


def test_a_verdict_that_waits_for_a_person_is_labelled_so_and_its_issue_stays_open(project: Path, hub: GitHub) -> None:
    edit(project, "train.py", "SIGMA = 0.001", "SIGMA = 0.02")
    edit(project, "train.py", "GAIN = {(8, 96): 0.05", "GAIN = {(8, 96): 0.0045")
    commit(project, "a small gain in much noise")
    ended = run(project, hub, *STEPS, "--gate", "fixed", "--close")
    assert ended.returncode == 0, ended.stderr
    waits = "verdict: inconclusive" in ended.stdout
    assert ("status: review" if waits else "status: done") in hub.issues[3]["labels"]
    assert hub.issues[3]["state"] == ("open" if waits else "closed")
    assert waits, ended.stdout


def test_the_issue_of_somebody_without_write_access_runs_nothing(project: Path, hub: GitHub) -> None:
    hub.issues[3]["user"] = "stranger"
    ended = run(project, hub)
    assert (ended.returncode, "stranger has no write access" in ended.stderr) == (2, True)
    assert run(project, hub, *QUICK, "--plan", AUTORESEARCH_ALLOWED="somebody, Stranger").returncode == 0
    assert not (project / "experiments" / "ledger.jsonl").exists()


# --- the outbox by itself ---------------------------------------------------------------------------------


@pytest.fixture
def box(project: Path, hub: GitHub) -> Outbox:
    """An outbox with an empty ledger."""
    tracker = GitHubTracker(Settings(REPOSITORY, TOKEN, hub.url, pace=0.0))
    events: list[object] = []
    ledger = Ledger(project / "ledger.jsonl", project / "ledger.lock")
    return Outbox(Repository(project), ledger, tracker, events.append)


def test_what_fails_twice_is_recorded_once_and_the_latest_text_is_delivered(box: Outbox, hub: GitHub) -> None:
    hub.faults.append(Fault(".*", "503", times=10_000))
    for text in ("running", "running", "review", "review", "running"):
        box.post(3, "status", text)
    assert [one.text for one in box.ledger.records_of(DeliveryRecord)] == ["running", "review", "running"]
    assert [one.text for one in box.undelivered()] == ["running"]
    hub.faults.clear()
    box.redeliver()
    box.redeliver()
    assert "status: running" in hub.issues[3]["labels"]
    assert [one.done for one in box.ledger.records_of(DeliveryRecord)] == [False, False, False, True]
    assert box.undelivered() == []


def test_what_never_failed_leaves_no_record(box: Outbox) -> None:
    box.post(3, "status", "done")
    box.post(3, "comment", "<!-- autoresearch: issue 3 -->")
    assert box.ledger.records_of(DeliveryRecord) == []


def test_what_another_repository_has_not_received_is_left_alone(box: Outbox, hub: GitHub) -> None:
    box.ledger.append(
        DeliveryRecord(issue=3, what="status", text="done", done=False, reason="", at="2026-01-01", place="lab/other")
    )
    box.redeliver()
    assert box.undelivered() == []
    assert "status: done" not in hub.issues[3]["labels"]


def test_what_fails_once_more_stays_undelivered_and_holds_up_nothing(box: Outbox, hub: GitHub) -> None:
    hub.issue(4, "a body")
    hub.faults.append(Fault(r".*/issues/4/.*", "410", times=99))
    with pytest.raises(BadInput):
        box.post(4, "status", "done")
    box.ledger.append(
        DeliveryRecord(issue=5, what="status", text="done", done=False, reason="", at="2026-01-01", place=REPOSITORY)
    )
    hub.issue(5, "a body")
    box.redeliver()
    assert [one.issue for one in box.undelivered()] == [4]
    assert "status: done" in hub.issues[5]["labels"]


def test_a_push_to_a_remote_that_is_away_is_kept_with_the_names_of_its_refs(box: Outbox, project: Path) -> None:
    git(project, "config", "remote.origin.url", str(project / "nowhere"))
    box.post(3, "push", "refs/heads/autoresearch/issue-3/1A\nrefs/notes/autoresearch")
    (push,) = box.undelivered()
    assert (push.what, "git ls-remote origin" in push.reason) == ("push", True)
    with pytest.raises(Unreachable):
        Remote(box.repo, box.tracker.upstream).push([], ())  # type: ignore[arg-type]
