"""Which of the open experiments goes next: by priority, and after what it says that it comes after. Pure.

An issue says "after #3" or "depends on #3". What another depends on is at least as urgent as that.
"""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from markdown_it import MarkdownIt

from agent.core.errors import BadInput, Paused
from agent.core.experiment import Issue
from agent.core.sanitize import end_line, strip_hidden
from agent.core.values import PRIORITY_RANK

_REFERENCES = r"#\d{1,9}(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*)#\d{1,9})*"
_AFTER = re.compile(rf"\b(?:after|depends\s+on)\s+({_REFERENCES})(?!\w)", re.IGNORECASE)


@dataclass(frozen=True)
class IssueStates:
    """What is known of the issues that wait: those they depend on (None: there is none), and how each stands.

    `decided` have a verdict here; `tried` were run by this queue and have none.
    """

    others: Mapping[int, Issue | None]
    decided: AbstractSet[int] = frozenset()
    tried: AbstractSet[int] = frozenset()


@dataclass(frozen=True)
class Skipped:
    """Why an issue does not run, and the exit status that this amounts to."""

    reason: str
    status: int


@dataclass(frozen=True)
class Backlog:
    """The issues in the order in which they run, why each stands where it does, who is left out, what to know."""

    order: tuple[int, ...]
    why: Mapping[int, str]
    left_out: Mapping[int, Skipped]
    notices: tuple[str, ...] = ()


def after(issue: Issue) -> tuple[int, ...]:
    """The issues that an issue says it comes after: outside of code and of hidden text, itself not among them."""
    texts = [strip_hidden(issue.title), *_texts(strip_hidden(issue.body))]
    found = [int(number) for text in texts for told in _AFTER.findall(text) for number in re.findall(r"\d+", told)]
    return tuple(dict.fromkeys(found))


def _texts(body: str) -> list[str]:
    """The texts of a page without its code and its HTML."""
    shown = {"softbreak": "\n", "hardbreak": "\n", "code_inline": "\n\n", "html_inline": "", "image": ""}
    tokens = MarkdownIt("commonmark").enable("table").parse(end_line(body))
    inline = [token for token in tokens if token.type == "inline"]
    return ["".join(shown.get(part.type, part.content) for part in token.children or ()) for token in inline]


def rank(issue: Issue) -> int:
    """How urgent an issue is by its labels: 0 is first; the most urgent counts, an unknown one does not."""
    pairs = [label.partition(":") for label in issue.labels]
    told = [value.strip().upper() for name, _, value in pairs if name.strip().lower() == "priority"]
    return min((PRIORITY_RANK[value] for value in told if value in PRIORITY_RANK), default=PRIORITY_RANK[""])


def ordered(waiting: Sequence[Issue], known: IssueStates) -> Backlog:
    """Put the issues that wait in order. None of them has been decided or tried."""
    named = {issue.number: issue for issue in waiting}
    needs = {number: after(issue) for number, issue in named.items()}
    found = Backlog((), {}, _unmet(needs, known), _notices(needs, known))
    open_ = {number: {need for need in needs[number] if need in named} for number in named}
    ranks = _inherited({number: rank(issue) for number, issue in named.items()}, open_)
    while free := [n for n in _left(open_, found) if not open_[n] - set(found.order)]:
        found = _placed(found, min(free, key=lambda number: (ranks[number], number)), named, needs, ranks)
    return replace(found, left_out={**found.left_out, **_stuck(open_, found)})


def _left(open_: Mapping[int, AbstractSet[int]], found: Backlog) -> list[int]:
    return [number for number in open_ if number not in found.order and number not in found.left_out]


def _unmet(needs: Mapping[int, Sequence[int]], known: IssueStates) -> dict[int, Skipped]:
    """The issues one of whose dependencies keeps them from running, whatever the order."""
    told = {number: [why for need in them if (why := _obstacle(need, needs, known))] for number, them in needs.items()}
    return {number: whys[0] for number, whys in told.items() if whys}


def _obstacle(need: int, needs: Mapping[int, Sequence[int]], known: IssueStates) -> Skipped | None:
    if need in known.decided or need in needs:
        return None
    issue = known.others.get(need)
    if issue is None:
        return Skipped(f"it comes after #{need}, and there is no issue {need}", BadInput.exit_code)
    if need in known.tried:
        return Skipped(f"it comes after #{need}, which has no verdict", Paused.exit_code)
    if issue.state.lower() == "open":
        return Skipped(f"it comes after #{need}, which is open and no experiment here", Paused.exit_code)
    return None


def _notices(needs: Mapping[int, Sequence[int]], known: IssueStates) -> tuple[str, ...]:
    """That a closed issue counts as done though it has no verdict in this ledger."""
    return tuple(
        f"#{need} is closed without a verdict in this ledger; #{number}, which comes after it, goes ahead"
        for number, them in needs.items()
        for need in them
        if need not in known.decided
        and need not in needs
        and (issue := known.others.get(need)) is not None
        and issue.state.lower() != "open"
    )


def _inherited(ranks: Mapping[int, int], open_: Mapping[int, AbstractSet[int]]) -> dict[int, int]:
    """Each issue's rank, or that of the most urgent one that waits for it, directly or not."""
    found = dict(ranks)
    for _ in found:  # the longest chain has as many links as there are issues
        for number, needs in open_.items():
            found |= {need: min(found[need], found[number]) for need in needs}
    return found


def _placed(
    found: Backlog,
    number: int,
    named: Mapping[int, Issue],
    needs: Mapping[int, Sequence[int]],
    ranks: Mapping[int, int],
) -> Backlog:
    own = rank(named[number])
    label = next((name for name, value in PRIORITY_RANK.items() if value == own), "")
    told = [f"priority {label.lower() if len(label) > 2 else label}" if label else "no priority"]
    told += ["something more urgent comes after it"] if ranks[number] < own else []
    told += [f"after {', '.join(f'#{need}' for need in needs[number])}"] if needs[number] else []
    return replace(found, order=(*found.order, number), why={**found.why, number: "; ".join(told)})


def _stuck(open_: Mapping[int, AbstractSet[int]], found: Backlog) -> dict[int, Skipped]:
    """Why each issue that found no place has none: it is in a circle, or waits for one that is left out."""
    stuck = _left(open_, found)
    return {number: _why_stuck(number, {n: open_[n] - set(found.order) for n in open_}) for number in stuck}


def _why_stuck(number: int, open_: Mapping[int, AbstractSet[int]]) -> Skipped:
    path = find_cycle(number, number, open_)
    if path:
        circle = " after ".join(f"#{one}" for one in path)
        return Skipped(f"it comes after itself: {circle}", BadInput.exit_code)
    return Skipped(f"it comes after #{min(open_[number])}, which is left out", Paused.exit_code)


def find_cycle(start: int, end: int, open_: Mapping[int, AbstractSet[int]]) -> list[int]:
    """The shortest way along dependencies from `start` to `end`, with at least one step; empty where there is none."""
    ways, seen = [[start]], set[int]()
    while ways:
        way = ways.pop(0)
        for need in sorted(open_.get(way[-1], ())):
            if need == end:
                return [*way, need]
            if need not in seen:
                seen.add(need)
                ways.append([*way, need])
    return []
