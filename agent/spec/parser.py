"""Issue text in, Spec out; every error names the line. Here: the labels, and what the other readers find. Pure."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from agent.core.errors import BadInput
from agent.core.experiment import Issue, Spec, Track
from agent.core.sanitize import strip_control
from agent.spec.markdown import IssueDocument, parse_issue
from agent.spec.prose import Names, ordered, outcomes, parse_budget, stated_budget
from agent.spec.table import find_table

PROSE = "freeform"  # the strategy of an issue that has no table: an editor reads it
PROPOSALS = 3  # of a round, where an issue does not say how many
_CAPS = {"S": 3600.0, "M": 4 * 3600.0, "L": 12 * 3600.0}  # size of an experiment -> seconds it may take in all


def parse(issue: Issue, track: Track, constants: Mapping[str, object]) -> Spec:
    """Read an issue as an experiment on `track`, whose script has the top-level `constants`.

    Raises BadInput, with the line, for whatever cannot be read as exactly one experiment: see the readers below.
    """
    _check_open(issue)
    page = parse_issue(issue)
    settings = _settings(page)
    named, budget, seeds = settings.get("track"), settings.get("budget"), settings.get("seeds")
    if named not in (None, track.name):
        raise page.error(f"the issue is for track {named}, not {track.name}", None, f"load track {named}")
    strategy = settings.get("strategy") or _strategy(issue, page)
    table = find_table(page, track, constants, required=strategy == "table")
    variants, ranks = (table.variants(), table.ranks()) if table else ([], [])
    names = Names(tuple(variant.name for variant in variants))
    return Spec(
        issue=page.issue,
        track=track.name,
        strategy=strategy,
        variants=tuple(ordered(page, names, variants, ranks)),
        budget=stated_budget(page) if budget is None else parse_budget(str(budget)),
        cap_s=_cap(issue),
        gate=settings.get("gate"),
        outcomes=tuple(outcomes(page, names)),
        body_sha256=digest(issue.body),
        seeds=None if seeds is None else tuple(seeds),
        proposals=settings.get("variants", PROPOSALS) if strategy == PROSE else 0,
    )


def _strategy(issue: Issue, page: IssueDocument) -> str:
    """Return PROSE where there is text and nothing like a table; a table that cannot be read is an error."""
    tabular = page.tables or re.search(r"\|[ \t:]*-", strip_control(issue.body))
    return PROSE if page.prose and not tabular else "table"


def digest(body: str) -> str:
    """Return the sha256 of the body as it was fetched, hidden text included. How lines end is the tracker's affair."""
    return hashlib.sha256(body.replace("\r\n", "\n").encode(errors="backslashreplace")).hexdigest()


def named_track(issue: Issue) -> str | None:
    """Return the track that the issue's yaml block names, to be loaded before `parse`. Raises BadInput."""
    return _settings(parse_issue(issue)).get("track")


def _settings(page: IssueDocument) -> dict[str, Any]:
    """Return what the page's settings block says; nothing where it has none."""
    if not page.blocks:
        return {}
    from agent.spec.settings import read_settings  # YAML and pydantic's types: few issues have a block

    return read_settings(page)


# --- labels -----------------------------------------------------------------------------------------------


def _check_open(issue: Issue) -> None:
    where, labels = issue.source or f"issue #{issue.number}", ", ".join(issue.labels) or "none"
    if issue.state.lower() != "open":
        raise BadInput(f"issue {issue.number} is {issue.state}", where=where, next_step="reopen it, or file a new one")
    if "experiment" not in (label.strip().lower() for label in issue.labels):
        raise BadInput("no label experiment", where=where, next_step=f"add it; the labels there are: {labels}")


def _cap(issue: Issue) -> float | None:
    """Return the seconds that the label `size: S`, `M` or `L` allows."""
    pairs = [label.partition(":") for label in issue.labels]
    sizes = {size.strip().upper() for name, _, size in pairs if name.strip().lower() == "size"}
    if len(sizes) > 1 or not sizes <= _CAPS.keys():
        problem = f"unknown size: {' and '.join(sorted(sizes - _CAPS.keys()) or sorted(sizes))}"
        valid = "size: S (1 hour), size: M (4 hours), size: L (12 hours)"
        where = issue.source or f"issue #{issue.number}"
        raise BadInput(problem, where=where, next_step=f"give one of the labels {valid}")
    return _CAPS[sizes.pop()] if sizes else None
