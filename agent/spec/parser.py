"""Issue text in, Spec out; every error names the line. Here: labels and the yaml block. Pure; YAML and pydantic."""

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from agent.core.errors import BadInput
from agent.core.experiment import GateKind, Issue, Spec, Track
from agent.core.sanitize import strip_control
from agent.spec.markdown import IssueDocument, lines_of, parse_issue
from agent.spec.prose import Names, ordered, outcomes, parse_budget, readable, stated_budget
from agent.spec.table import find_table

PROSE = "freeform"  # the strategy of an issue that has no table: an editor reads it
MOST_PROPOSALS = 12  # of a round: each costs money, and the more there are the luckier is the best
_CAPS = {"S": 3600.0, "M": 4 * 3600.0, "L": 12 * 3600.0}  # size of an experiment -> seconds it may take in all


def parse(issue: Issue, track: Track, constants: Mapping[str, object]) -> Spec:
    """Read an issue as an experiment on `track`, whose script has the top-level `constants`.

    Raises BadInput, with the line, for whatever cannot be read as exactly one experiment: see the readers below.
    """
    _check_open(issue)
    page = parse_issue(issue)
    settings = _settings(page)
    if settings.track not in (None, track.name):
        problem = f"the issue is for track {settings.track}, not {track.name}"
        raise page.error(problem, None, f"load track {settings.track}")
    strategy = settings.strategy or _strategy(issue, page)
    table = find_table(page, track, constants, required=strategy == "table")
    variants, ranks = (table.variants(), table.ranks()) if table else ([], [])
    names = Names(tuple(variant.name for variant in variants))
    return Spec(
        issue=page.issue,
        track=track.name,
        strategy=strategy,
        variants=tuple(ordered(page, names, variants, ranks)),
        budget=stated_budget(page) if settings.budget is None else parse_budget(str(settings.budget)),
        cap_s=_cap(issue),
        gate=settings.gate,
        outcomes=tuple(outcomes(page, names)),
        body_sha256=digest(issue.body),
        seeds=None if settings.seeds is None else tuple(settings.seeds),
        proposals=settings.variants if strategy == PROSE else 0,
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
    return _settings(parse_issue(issue)).track


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


# --- the yaml block ---------------------------------------------------------------------------------------


class _Settings(BaseModel):
    """What a yaml block that begins with `# autoresearch` may say."""

    model_config = ConfigDict(extra="forbid")

    track: StrictStr | None = Field(default=None, min_length=1)
    strategy: StrictStr | None = Field(default=None, min_length=1)
    variants: Annotated[StrictInt, Field(ge=1, le=MOST_PROPOSALS)] = 3
    budget: StrictInt | StrictFloat | StrictStr | None = None
    seeds: list[Annotated[StrictInt, Field(ge=0, lt=2**32)]] | None = Field(default=None, min_length=1)
    gate: GateKind | None = None

    @field_validator("budget")
    @classmethod
    def _readable(cls, budget: int | float | str | None) -> int | float | str | None:
        if budget is not None and not readable(str(budget)):
            raise PydanticCustomError("budget", "{value} is no budget", {"value": repr(str(budget)[:40])})
        return budget

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int] | None) -> list[int] | None:
        if seeds and len(set(seeds)) < len(seeds):
            raise PydanticCustomError("seeds", "a seed is given twice")
        return seeds


_KEYS = (
    "keys: track, strategy (table, freeform), variants (3: how many to propose), budget (5 minutes, 500steps, 5Mtok), "
    "seeds ([0, 1]), gate (confirmed, lowest)"
)


def _settings(page: IssueDocument) -> _Settings:
    """Return what the page's one settings block says, or the defaults."""
    if not page.blocks:
        return _Settings()
    if len(page.blocks) > 1:
        raise page.error("a second autoresearch block", lines_of(page.blocks[1])[0], "keep one of the two")
    block, first = page.blocks[0].content, lines_of(page.blocks[0])[0] + 1
    lines = _key_lines(page, block, first)
    try:
        return _Settings.model_validate(_loaded(page, block, first))
    except ValidationError as error:
        worst = error.errors(include_input=False, include_url=False)[0]
        key = str([*worst["loc"], "the block"][0])
        problem = f"unknown key {key!r}" if worst["type"] == "extra_forbidden" else f"{key}: {worst['msg']}"
        raise page.error(problem, lines.get(key, first), _KEYS) from None


def _key_lines(page: IssueDocument, block: str, first: int) -> dict[str, int]:
    """Return the line of each key of the block, whose first line is `first`."""
    lines: dict[str, int] = {}
    for at, line in enumerate(block.split("\n"), first):
        key = re.match(r"(\w+)\s*:", line)
        if key and lines.setdefault(key[1], at) != at:  # YAML would take the last and say nothing
            raise page.error(f"key {key[1]!r} is given twice", at, "keep one of the two")
    return lines


def _loaded(page: IssueDocument, block: str, first: int) -> object:
    """Return what YAML makes of the block."""
    try:
        return yaml.safe_load(block) or {}
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        # all but the first come from YAML's own constructors: `!!int ''` is an IndexError
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise page.error(f"the block is no YAML: {problem}", first + (mark.line if mark else 0), _KEYS) from None
