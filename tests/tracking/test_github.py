"""The tracker on GitHub against a strict stand-in: who may start, one comment, single labels, bounded waits."""

import time
from collections.abc import Iterator

import pytest

from agent.core.errors import BadInput, HarnessError, Unreachable
from agent.tracking import github, github_calls
from agent.tracking.comment import marker
from agent.tracking.github import GitHubTracker, Settings
from tests.support.github import REPOSITORY, TOKEN, US, Fault, GitHub, serving

TEXT = f"{marker(3)}\n\nthe verdict\n"
COMMENT = rf"POST /repos/{REPOSITORY}/issues/3/comments"


@pytest.fixture
def hub() -> Iterator[GitHub]:
    """A repository with one issue, which is asked nothing that it does not know."""
    with serving(GitHub()) as hub:
        hub.issue(3, "the body", labels=("experiment", "priority: high"))
        yield hub
        assert hub.complaints == []


@pytest.fixture
def tracker(hub: GitHub) -> GitHubTracker:
    return make_tracker(hub)


def make_tracker(hub: GitHub, **changes: object) -> GitHubTracker:
    """A tracker that makes no pauses of its own."""
    settings = {"repository": REPOSITORY, "token": TOKEN, "api": hub.url, "pace": 0.0, "timeout_s": 5, **changes}
    return GitHubTracker(Settings(**settings))  # type: ignore[arg-type]


def labels(hub: GitHub) -> list[str]:
    return sorted(hub.issues[3]["labels"])


# --- fetching ---------------------------------------------------------------------------------------------


def test_an_issue_is_fetched_with_its_labels_state_and_author(tracker: GitHubTracker) -> None:
    issue = tracker.fetch(3)
    assert (issue.number, issue.title, issue.body, issue.author) == (3, "Issue 3", "the body", "researcher")
    assert (issue.labels, issue.state) == (("experiment", "priority: high"), "open")
    assert issue.source == f"{REPOSITORY} issue 3"


def test_an_issue_without_a_body_is_an_empty_text(hub: GitHub, tracker: GitHubTracker) -> None:
    hub.issues[3]["body"] = None
    assert tracker.fetch(3).body == ""


def test_an_issue_that_did_not_change_is_not_sent_again(hub: GitHub, tracker: GitHubTracker) -> None:
    first = tracker.fetch(3)
    assert tracker.fetch(3) == first
    assert hub.count(r"GET .*/issues/3 304") == 1
    hub.issues[3]["body"] = "edited"
    assert tracker.fetch(3).body == "edited"


def test_an_issue_is_not_asked_for_more_often_than_it_has_to_be(hub: GitHub) -> None:
    patient = make_tracker(hub, pace=0.01)
    for _ in range(5):
        patient.fetch(3)
    assert hub.count(r"GET .*/issues/3.*") == 1


@pytest.mark.parametrize("permission", ["admin", "maintain", "write"])
def test_who_may_write_may_start_a_run(hub: GitHub, tracker: GitHubTracker, permission: str) -> None:
    hub.permissions["researcher"] = permission
    assert tracker.fetch(3).author == "researcher"


@pytest.mark.parametrize("permission", ["read", "none", "triage", "", "custom"])
def test_who_may_not_write_may_not_start_a_run(hub: GitHub, tracker: GitHubTracker, permission: str) -> None:
    hub.permissions["researcher"] = permission
    with pytest.raises(BadInput, match=r"researcher has no write access(.|\n)*AUTORESEARCH_ALLOWED"):
        tracker.fetch(3)


@pytest.mark.parametrize("author", ["stranger", "renovate[bot]", "automaton", ""])
def test_strangers_bots_and_deleted_accounts_start_nothing(hub: GitHub, tracker: GitHubTracker, author: str) -> None:
    hub.bots.add("automaton")
    hub.permissions |= {"renovate[bot]": "write", "automaton": "admin"}
    hub.issues[3]["user"] = author
    with pytest.raises(BadInput, match="no write access"):
        tracker.fetch(3)


def test_a_listed_login_may_start_a_run_whatever_its_case(hub: GitHub) -> None:
    hub.issues[3]["user"] = "Stranger"
    assert make_tracker(hub, allowed=frozenset({"stranger"})).fetch(3).author == "Stranger"


def test_a_permission_that_cannot_be_asked_for_is_none(hub: GitHub, tracker: GitHubTracker) -> None:
    hub.faults.append(Fault(r"GET .*/permission", "403"))
    with pytest.raises(BadInput, match="the token may not do that"):
        tracker.fetch(3)


def test_a_permission_is_asked_for_once(hub: GitHub, tracker: GitHubTracker) -> None:
    hub.say(3, "researcher", "/stop")
    tracker.fetch(3)
    tracker.human_comments(3)
    tracker.human_comments(3)
    assert hub.count(r"GET .*/permission") == 1


def test_a_pull_request_is_no_issue(hub: GitHub, tracker: GitHubTracker) -> None:
    hub.issues[3]["pull"] = True
    with pytest.raises(BadInput, match="it is a pull request"):
        tracker.fetch(3)


def test_an_issue_of_another_repository_is_not_taken_for_ours(hub: GitHub, tracker: GitHubTracker) -> None:
    hub.issues[3]["moved"] = "lab/other"
    with pytest.raises(BadInput, match="it has moved to lab/other"):
        tracker.fetch(3)


def test_the_queue_is_every_open_experiment_on_every_page(hub: GitHub, tracker: GitHubTracker) -> None:
    for number in range(4, 254):
        hub.issue(number, "a body", labels=("experiment",) if number % 2 else ())
    hub.issues[5]["state"] = "closed"
    hub.issues[7]["pull"] = True
    assert tracker.open_experiments() == [3, *range(9, 254, 2)]
    assert len(hub.requests) == 2  # pages; nothing is asked for issue by issue


# --- remarks ----------------------------------------------------------------------------------------------


def test_only_people_with_write_access_are_heard_and_never_we_ourselves(hub: GitHub, tracker: GitHubTracker) -> None:
    first = hub.say(3, "researcher", "/skip 1B")
    hub.say(3, "stranger", "/stop")
    hub.say(3, US, TEXT)
    hub.say(3, "researcher", marker(3) + "\n/stop")
    last = hub.say(3, US, "/budget 20")
    assert [(one.id, one.text) for one in tracker.human_comments(3)] == [
        (f"comment-{first}", "/skip 1B"),
        (f"comment-{last}", "/budget 20"),
    ]


def test_issues_labelled_human_are_remarks_where_their_author_may_write(hub: GitHub, tracker: GitHubTracker) -> None:
    hub.issue(7, "/stop", labels=("human",))
    hub.issue(8, "/stop", author="stranger", labels=("human",))
    hub.issue(9, "/stop", labels=("human",))
    hub.issues[9]["state"] = "closed"
    assert [(one.id, one.author, one.text) for one in tracker.human_comments(3)] == [("issue-7", "researcher", "/stop")]


def test_remarks_on_every_page_are_read(hub: GitHub, tracker: GitHubTracker) -> None:
    expected = [hub.say(3, "researcher", f"remark {number}") for number in range(230)]
    assert [one.id for one in tracker.human_comments(3)] == [f"comment-{key}" for key in expected]


# --- the comment ------------------------------------------------------------------------------------------


def test_the_comment_is_written_once_and_then_edited_in_place(hub: GitHub, tracker: GitHubTracker) -> None:
    where = tracker.comment(3, TEXT)
    assert tracker.comment(3, TEXT) == where
    assert tracker.comment(3, TEXT + "more") == where
    (only,) = hub.on(3)
    assert (only["body"], only["edits"]) == (TEXT + "more", 1)


def test_a_marker_that_somebody_else_wrote_is_not_ours(hub: GitHub, tracker: GitHubTracker) -> None:
    forged = hub.say(3, "stranger", f"{marker(3)}\nI won")
    tracker.comment(3, TEXT)
    assert [(one["user"], one["body"]) for one in hub.on(3)] == [("stranger", hub.comments[forged]["body"]), (US, TEXT)]


def test_the_comment_is_found_behind_two_hundred_others(hub: GitHub, tracker: GitHubTracker) -> None:
    for number in range(230):
        hub.say(3, "researcher", f"remark {number}")
    tracker.comment(3, TEXT)
    tracker.comment(3, TEXT + "2")
    assert [one["body"] for one in hub.on(3) if one["user"] == US] == [TEXT + "2"]


@pytest.mark.parametrize("how", ["after-502", "after-drop", "502", "500", "drop"])
def test_a_comment_whose_answer_is_lost_is_there_once(hub: GitHub, tracker: GitHubTracker, how: str) -> None:
    hub.faults.append(Fault(COMMENT, how))
    tracker.comment(3, TEXT)
    assert [one["body"] for one in hub.on(3)] == [TEXT]
    assert hub.count(COMMENT) == (1 if how.startswith("after") else 2)


def test_a_restart_finds_the_comment_of_the_last_start(hub: GitHub) -> None:
    make_tracker(hub).comment(3, TEXT)
    make_tracker(hub).comment(3, TEXT)
    assert len(hub.on(3)) == 1


def test_of_two_harnesses_that_comment_at_once_one_comment_stays(hub: GitHub, tracker: GitHubTracker) -> None:
    other = make_tracker(hub)

    def interfere(request: str) -> None:
        if request.startswith("POST"):
            hub.on_request = lambda _: None
            other.comment(3, TEXT)

    hub.on_request = interfere
    tracker.comment(3, TEXT + "ours")
    other.comment(3, TEXT + "ours")
    assert [one["body"] for one in hub.on(3)] == [TEXT + "ours"]
    assert hub.count(COMMENT) == 2


def test_an_app_finds_its_own_comment_without_being_a_user(hub: GitHub, tracker: GitHubTracker) -> None:
    hub.app = True
    tracker.comment(3, TEXT)
    tracker.comment(3, TEXT + "2")
    assert [one["body"] for one in hub.on(3)] == [TEXT + "2"]


def test_a_comment_that_is_too_long_says_where_the_rest_is(hub: GitHub, tracker: GitHubTracker) -> None:
    tracker.comment(3, f"{TEXT}```\n" + "a line of a long table\n" * 5000 + "```\n")
    body = hub.on(3)[0]["body"]
    assert len(body) <= github.MAX_COMMENT
    assert body.count("```") == 2
    assert "--issue 3 --report` prints all of it" in body.splitlines()[-1]


# --- labels, closing, pull requests -----------------------------------------------------------------------


def test_a_status_replaces_the_one_before_and_leaves_the_other_labels(hub: GitHub, tracker: GitHubTracker) -> None:
    hub.labels["status: blocked"] = {"name": "status: blocked", "color": "ededed", "description": ""}
    hub.issues[3]["labels"].append("status: blocked")
    for status in ("queued", "running", "review", "done", "done"):
        tracker.set_status(3, status)
        assert labels(hub) == sorted(["experiment", "priority: high", "status: blocked", f"status: {status}"])
    assert hub.count(r"(PUT|PATCH) .*") == 0
    assert hub.count(r"POST .*/issues/3/labels") == 4
    assert hub.count(r"POST .*/labels") - 4 == 4  # the repository had none of them


def test_a_label_that_another_harness_just_made_or_took_away_is_no_error(hub: GitHub, tracker: GitHubTracker) -> None:
    tracker.set_status(3, "queued")
    hub.faults += [Fault(r"GET .*/labels/[^/]+", "404"), Fault(r"DELETE .*/labels/[^/]+", "404")]
    hub.labels["status: running"] = {"name": "status: running", "color": "ededed", "description": ""}
    tracker.set_status(3, "running")
    assert "status: running" in labels(hub)


@pytest.mark.parametrize("how", ["after-502", "502", "after-drop"])
def test_a_label_whose_answer_is_lost_is_there(hub: GitHub, tracker: GitHubTracker, how: str) -> None:
    hub.faults += [Fault(r"POST .*", how), Fault(r"DELETE .*", how)]
    tracker.set_status(3, "running")
    tracker.set_status(3, "done")
    assert labels(hub) == ["experiment", "priority: high", "status: done"]


def test_an_issue_is_closed_once(hub: GitHub, tracker: GitHubTracker) -> None:
    tracker.close(3)
    tracker.close(3)
    assert hub.issues[3]["state"] == "closed"
    assert hub.count("PATCH .*") == 1


def test_a_closed_pull_request_is_not_opened_again(hub: GitHub, tracker: GitHubTracker) -> None:
    hub.pulls.append(
        {"head": {"ref": "b"}, "base": {"ref": "main"}, "html_url": "there", "state": "closed", "url": "x"}
    )
    assert tracker.pull(3, "b", "a title", "a text") == "there"


def test_a_pull_request_of_a_branch_that_is_not_there_is_named(tracker: GitHubTracker) -> None:
    with pytest.raises(HarnessError, match=r"pull request of b: GitHub does not take it: Validation Failed; invalid"):
        tracker.pull(3, "b", "a title", "a text")


# --- when GitHub says no ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("401", r"issue 3: GitHub does not know the token: Bad credentials\n  set GITHUB_TOKEN"),
        ("403", r"issue 3: the token may not do that: .*\n  give it issues, pull requests and contents"),
        ("404", r"issue 3: GitHub knows no such thing, .*\n  check the number"),
        ("410", r"issue 3: it was deleted, .*\n  give another issue"),
    ],
)
def test_what_will_not_pass_is_said_at_once_with_the_next_step(
    hub: GitHub, tracker: GitHubTracker, how: str, expected: str
) -> None:
    hub.faults.append(Fault(r"GET .*/issues/3", how, times=9))
    with pytest.raises(BadInput, match=expected) as error:
        tracker.fetch(3)
    assert error.value.exit_code == 2
    assert TOKEN not in str(error.value)
    assert hub.count(r"GET .*/issues/3") == 1


def test_a_comment_that_github_does_not_take_is_an_error_with_its_reason(hub: GitHub, tracker: GitHubTracker) -> None:
    hub.faults.append(Fault(COMMENT, "422"))
    with pytest.raises(HarnessError, match="the comment on issue 3: GitHub does not take it: Validation Failed"):
        tracker.comment(3, TEXT)


@pytest.mark.parametrize("how", ["500", "502", "503", "drop"])
def test_what_passes_is_waited_for_and_what_does_not_is_unreachable(
    hub: GitHub, tracker: GitHubTracker, how: str
) -> None:
    hub.faults.append(Fault(r"GET .*/issues/3", how, times=2))
    assert tracker.fetch(3).body == "the body"
    hub.faults.append(Fault(r"GET .*/issues/3", how, times=99))
    with pytest.raises(Unreachable, match=r"issue 3: GitHub (answered 50|cannot be reached)") as error:
        tracker.fetch(3)
    assert error.value.exit_code == 3
    assert hub.count(r"GET .*/issues/3") == 3 + github_calls.MAX_ATTEMPTS


@pytest.mark.parametrize("how", ["secondary", "primary"])
def test_a_rate_limit_is_waited_for_as_long_as_it_asks(hub: GitHub, tracker: GitHubTracker, how: str) -> None:
    hub.faults.append(Fault(COMMENT, how, wait=1))
    began = time.monotonic()
    tracker.comment(3, TEXT)
    assert 0.9 < time.monotonic() - began < 10
    assert len(hub.on(3)) == 1


@pytest.mark.parametrize("how", ["secondary", "primary"])
def test_a_rate_limit_that_asks_for_an_hour_is_not_waited_for(hub: GitHub, tracker: GitHubTracker, how: str) -> None:
    hub.faults.append(Fault(COMMENT, how, wait=3600))
    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"GitHub asks to wait 3\d\d\d s \(its rate limit\)"):
        tracker.comment(3, TEXT)
    assert time.monotonic() - began < 5
    assert hub.on(3) == []


def test_an_answer_that_does_not_come_is_given_up(hub: GitHub) -> None:
    hub.faults.append(Fault(r"GET .*/issues/3", "slow", times=9, wait=1.5))
    with pytest.raises(Unreachable, match="GitHub cannot be reached"):
        make_tracker(hub, timeout_s=1).fetch(3)


def test_without_a_network_it_says_so() -> None:
    nowhere = GitHubTracker(Settings(REPOSITORY, TOKEN, "http://127.0.0.1:9", pace=0.0))
    with pytest.raises(Unreachable, match=r"GitHub cannot be reached \(ConnectionError\)") as error:
        nowhere.fetch(3)
    assert TOKEN not in str(error.value)


def test_a_token_that_is_no_token_is_named_without_being_shown(hub: GitHub) -> None:
    with pytest.raises(BadInput, match="GitHub does not know the token") as error:
        make_tracker(hub, token="ghp_" + "wrong000" * 4).fetch(3)
    assert "wrong000" not in str(error.value)


def test_an_answer_that_leads_to_another_host_is_not_followed(hub: GitHub, tracker: GitHubTracker) -> None:
    hub.faults.append(Fault(r"GET .*/issues/3", "301"))
    with pytest.raises(HarnessError, match=r"issue 3: GitHub's answer is of no use: .*elsewhere"):
        tracker.fetch(3)


def test_neither_settings_nor_upstream_show_the_token() -> None:
    settings = Settings(REPOSITORY, TOKEN, env={"GIT_CONFIG_VALUE_0": TOKEN})
    assert TOKEN not in repr(settings) + repr(GitHubTracker(settings).upstream)
