"""The order of the open experiments: by priority, and each after those that it says it comes after. Pure.

An issue says "after #3" or "depends on #3". What another depends on is at least as urgent as that.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from itertools import pairwise

from markdown_it import MarkdownIt

from agent.core.errors import BadInput, Paused
from agent.core.experiment import Issue
from agent.core.frozen import frozen
from agent.core.sanitize import end_line, strip_hidden
from agent.core.values import PRIORITY_RANK
from agent.core.values import rank as rank_of

_REFERENCES = r"#\d{1,9}(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*)#\d{1,9})*"
_AFTER = re.compile(rf"\b(?:after|depends\s+on)\s+({_REFERENCES})(?!\w)", re.IGNORECASE)


@frozen
class IssueStates:
    """What is known of the issues that others depend on: `others` by number (None: there is none), and how each stands.

    `with_verdict` have a verdict here; `without_verdict` were run by this queue and have none.
    """

    others: Mapping[int, Issue | None]
    with_verdict: AbstractSet[int] = frozenset()
    without_verdict: AbstractSet[int] = frozenset()


@frozen
class Skipped:
    """Why an issue does not run, and the exit status that this amounts to."""

    reason: str
    status: int


@frozen
class Backlog:
    """The issues in the order in which they run, why each stands where it does, which are left out, and notices."""

    order: tuple[int, ...]
    why: Mapping[int, str]
    left_out: Mapping[int, Skipped]
    notices: tuple[str, ...] = ()


def dependencies(issue: Issue) -> tuple[int, ...]:
    """Return the issues that an issue says it comes after, outside of code and of hidden text."""
    texts = [strip_hidden(issue.title), *_texts(strip_hidden(issue.body))]
    references = [reference for text in texts for reference in _AFTER.findall(text)]
    return tuple(dict.fromkeys(int(number) for reference in references for number in re.findall(r"\d+", reference)))


def _texts(body: str) -> list[str]:
    """Return the texts of a page without its code and its HTML."""
    shown = {"softbreak": "\n", "hardbreak": "\n", "code_inline": "\n\n", "html_inline": "", "image": ""}
    tokens = MarkdownIt("commonmark").enable("table").parse(end_line(body))
    inline = [token for token in tokens if token.type == "inline"]
    return ["".join(shown.get(part.type, part.content) for part in token.children or ()) for token in inline]


def rank(issue: Issue) -> int:
    """Return how urgent an issue is by its labels: 0 is first; the most urgent counts, an unknown one does not."""
    pairs = [label.partition(":") for label in issue.labels]
    values = [rank_of(value) for name, _, value in pairs if name.strip().lower() == "priority"]
    return min((value for value in values if value is not None), default=PRIORITY_RANK[""])


def order_issues(waiting: Sequence[Issue], known: IssueStates) -> Backlog:
    """Put the issues that wait in order. None of them has a verdict or was run by this queue."""
    issues = {issue.number: issue for issue in waiting}
    needs = {number: dependencies(issue) for number, issue in issues.items()}
    inside = {number: {need for need in needs[number] if need in issues} for number in issues}
    acyclic, cycles = break_cycles(inside)
    ranks = _inherited({number: rank(issue) for number, issue in issues.items()}, inside)
    left_out, order = {**_in_cycles(cycles), **_unmet(needs, known)}, []
    for number in _sorted(acyclic, ranks):
        missing = inside[number] & left_out.keys()
        if number not in left_out and missing:
            left_out[number] = Skipped(f"it comes after #{min(missing)}, which is left out", Paused.exit_code)
        elif number not in left_out:
            order.append(number)
    why = {number: _why(issues[number], needs[number], ranks[number]) for number in order}
    return Backlog(tuple(order), why, left_out, _notices(needs, known))


def break_cycles(graph: Mapping[int, AbstractSet[int]]) -> tuple[dict[int, set[int]], list[list[int]]]:
    """Return a graph (each number with those it comes after) without its cycles' edges, and the cycles.

    A cycle begins and ends with the same number, and each of its numbers comes after the next.
    """
    acyclic, cycles = {number: set(needs) for number, needs in graph.items()}, list[list[int]]()
    while True:
        try:
            TopologicalSorter(acyclic).prepare()
        except CycleError as error:
            cycle = error.args[1][::-1]
            cycles.append(cycle)
            for number, need in pairwise(cycle):
                acyclic[number].discard(need)
        else:
            return acyclic, cycles


def _in_cycles(cycles: Sequence[Sequence[int]]) -> dict[int, Skipped]:
    """Return why each member of a cycle does not run: the cycle, from itself to itself."""
    members: dict[int, Skipped] = {}
    for cycle in cycles:
        for at, number in enumerate(cycle[:-1]):
            path = " after ".join(f"#{one}" for one in (*cycle[at:-1], *cycle[: at + 1]))
            members.setdefault(number, Skipped(f"it comes after itself: {path}", BadInput.exit_code))
    return members


def _sorted(graph: Mapping[int, AbstractSet[int]], ranks: Mapping[int, int]) -> Iterator[int]:
    """Yield every number after those it comes after; of several that may come next the most urgent, then the lowest."""
    sorter, ready = TopologicalSorter(graph), list[tuple[int, int]]()
    sorter.prepare()
    while sorter.is_active():
        for number in sorter.get_ready():
            heappush(ready, (ranks[number], number))
        _, number = heappop(ready)
        yield number
        sorter.done(number)


def _unmet(needs: Mapping[int, Sequence[int]], known: IssueStates) -> dict[int, Skipped]:
    """Return the issues one of whose dependencies keeps them from running, whatever the order."""
    obstacles = {
        number: [skipped for need in those if (skipped := _obstacle(need, needs, known))]
        for number, those in needs.items()
    }
    return {number: those[0] for number, those in obstacles.items() if those}


def _obstacle(need: int, needs: Mapping[int, Sequence[int]], known: IssueStates) -> Skipped | None:
    if need in known.with_verdict or need in needs:
        return None
    issue = known.others.get(need)
    if issue is None:
        return Skipped(f"it comes after #{need}, and there is no issue {need}", BadInput.exit_code)
    if need in known.without_verdict:
        return Skipped(f"it comes after #{need}, which has no verdict", Paused.exit_code)
    if issue.state.lower() == "open":
        return Skipped(f"it comes after #{need}, which is open and no experiment here", Paused.exit_code)
    return None


def _notices(needs: Mapping[int, Sequence[int]], known: IssueStates) -> tuple[str, ...]:
    """Return that a closed issue counts as done though it has no verdict in this ledger."""
    return tuple(
        f"#{need} is closed without a verdict in this ledger; #{number}, which comes after it, goes ahead"
        for number, those in needs.items()
        for need in those
        if need not in known.with_verdict
        and need not in needs
        and (issue := known.others.get(need)) is not None
        and issue.state.lower() != "open"
    )


def _inherited(ranks: Mapping[int, int], graph: Mapping[int, AbstractSet[int]]) -> dict[int, int]:
    """Return each issue's rank, or that of the most urgent one that waits for it, directly or not."""
    inherited = dict(ranks)
    for _ in inherited:  # the longest chain has as many links as there are issues
        for number, needs in graph.items():
            inherited |= {need: min(inherited[need], inherited[number]) for need in needs}
    return inherited


def _why(issue: Issue, needs: Sequence[int], inherited: int) -> str:
    """Return why an issue stands where it does."""
    own = rank(issue)
    label = next((name for name, value in PRIORITY_RANK.items() if value == own), "")
    reasons = [f"priority {label.lower() if len(label) > 2 else label}" if label else "no priority"]
    reasons += ["something more urgent comes after it"] if inherited < own else []
    reasons += [f"after {', '.join(f'#{need}' for need in needs)}"] if needs else []
    return "; ".join(reasons)
