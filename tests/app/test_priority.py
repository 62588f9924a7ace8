"""The order of a queue: priority, number, dependencies; circles and gaps are named, and the rest runs."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.app.priority import Backlog, IssueStates, break_cycles, dependencies, order_issues, rank
from agent.core.experiment import Issue


def issue(number: int, body: str = "", *labels: str, state: str = "open") -> Issue:
    return Issue(number, "t", body, ("experiment", *labels), state=state)


def put(*waiting: Issue, known: IssueStates = IssueStates({})) -> Backlog:  # noqa: B008 (frozen)
    return order_issues(waiting, known)


@pytest.mark.parametrize(
    ("body", "numbers"),
    [
        ("after #3", (3,)),
        ("Run this After #3.", (3,)),
        ("Depends  on #3, #4 and #5", (3, 4, 5)),
        ("after #3 & #4; depends on #9", (3, 4, 9)),
        ("- depends on #3\n\n> after #4", (3, 4)),
        ("| a |\n|---|\n| after #3 |", (3,)),
        ("depends on\n#3", (3,)),
        ("after #3 and after #3", (3,)),
        ("see #3; thereafter #4; after the run #5", ()),
        ("`after #3`", ()),
        ("after `#3`", ()),
        ("```\nafter #3\n```", ()),
        ("    after #3", ()),
        ("<!-- after #3 -->", ()),
        ("after #3x", ()),
    ],
)
def test_dependencies_are_read_where_a_person_reads_text(body: str, numbers: tuple[int, ...]) -> None:
    assert dependencies(issue(1, body)) == numbers


@pytest.mark.parametrize(
    ("labels", "number"),
    [
        (["priority: P0"], 0),
        (["Priority:high"], 1),
        (["priority: medium"], 2),
        (["priority: low", "priority: P1"], 1),
        (["priority: whenever"], 4),
        ([], 4),
    ],
)
def test_the_label_gives_the_rank(labels: list[str], number: int) -> None:
    assert rank(issue(1, "", *labels)) == number


def test_the_urgent_go_first_then_the_lower_number() -> None:
    backlog = put(issue(5), issue(4), issue(6, "", "priority: high"), issue(7, "", "priority: P0"))
    assert backlog.order == (7, 6, 4, 5)
    assert backlog.why[6] == "priority high"
    assert backlog.why[4] == "no priority"


def test_what_another_depends_on_goes_first_and_is_as_urgent() -> None:
    waiting = issue(1, "after #9", "priority: P0"), issue(9, "after #8"), issue(8), issue(2, "", "priority: high")
    backlog = put(*waiting)
    assert backlog.order == (8, 9, 1, 2)
    assert backlog.why[9] == "no priority; something more urgent comes after it; after #8"


def test_a_circle_is_named_and_what_waits_for_it_and_the_rest_runs() -> None:
    backlog = put(issue(1, "after #2"), issue(2, "after #3"), issue(3, "after #2"), issue(4))
    assert backlog.order == (4,)
    assert {number: left.reason for number, left in backlog.left_out.items()} == {
        1: "it comes after #2, which is left out",
        2: "it comes after itself: #2 after #3 after #2",
        3: "it comes after itself: #3 after #2 after #3",
    }


def test_an_issue_after_itself_is_a_circle() -> None:
    assert put(issue(1, "after #1")).left_out[1].reason == "it comes after itself: #1 after #1"


def test_dependencies_outside_of_the_queue_are_judged_by_what_is_known_of_them() -> None:
    waiting = [issue(n, f"after #{n + 10}") for n in range(1, 6)] + [issue(6, "after #1")]
    others = {11: None, 12: issue(12), 13: issue(13, state="closed"), 14: issue(14)}
    backlog = put(*waiting, known=IssueStates(others, with_verdict={15}, without_verdict={14}))
    assert backlog.order == (3, 5)
    assert {number: (left.status, left.reason) for number, left in backlog.left_out.items()} == {
        1: (2, "it comes after #11, and there is no issue 11"),
        2: (3, "it comes after #12, which is open and no experiment here"),
        4: (3, "it comes after #14, which has no verdict"),
        6: (3, "it comes after #1, which is left out"),
    }
    assert backlog.notices == ("#13 is closed without a verdict in this ledger; #3, which comes after it, goes ahead",)


@given(st.dictionaries(st.integers(1, 8), st.tuples(st.sets(st.integers(1, 9)), st.sampled_from(["P0", "P1", "low"]))))
def test_every_issue_is_placed_or_left_out_and_none_before_what_it_depends_on(
    issues: dict[int, tuple[set[int], str]],
) -> None:
    waiting = [
        issue(n, " ".join(f"after #{need}." for need in needs), f"priority: {word}")
        for n, (needs, word) in issues.items()
    ]
    backlog = put(*waiting, known=IssueStates({9: None}))
    assert sorted([*backlog.order, *backlog.left_out]) == sorted(issues)
    for at, number in enumerate(backlog.order):
        assert issues[number][0] <= set(backlog.order[:at])


def test_two_circles_through_one_issue_are_both_named() -> None:
    backlog = put(issue(1, "after #2"), issue(2, "after #1, #3"), issue(3, "after #2"))
    assert {number: left.status for number, left in backlog.left_out.items()} == {1: 2, 2: 2, 3: 2}
    assert backlog.left_out[3].reason == "it comes after itself: #3 after #2 after #3"


def test_a_graph_without_cycles_is_left_as_it_is() -> None:
    graph = {1: {2, 3}, 2: {3}, 3: set[int]()}
    assert break_cycles(graph) == (graph, [])


def test_of_a_cycle_each_number_comes_after_the_next_and_its_edges_are_gone() -> None:
    acyclic, [cycle] = break_cycles({1: {2, 4}, 2: {3}, 3: {1}, 4: set()})
    assert (cycle[0] == cycle[-1], len(cycle)) == (True, 4)
    assert {(1, 2), (2, 3), (3, 1)} == set(pairwise(cycle))
    assert acyclic == {1: {4}, 2: set(), 3: set(), 4: set()}
