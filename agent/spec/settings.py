"""The yaml block of an issue that begins with `# autoresearch`: read, and checked by pydantic. Pure.

`spec/parser.py` imports this where an issue has such a block: it is most of what reading one takes.
"""

import re
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from agent.core.experiment import GateKind
from agent.spec.markdown import IssueDocument, lines_of
from agent.spec.prose import readable

MOST_PROPOSALS = 12  # of a round: each costs money, and the more there are the luckier is the best


class _Settings(BaseModel):
    """What the block may say. A key that it leaves out, or leaves empty, is up to the issue's text."""

    model_config = ConfigDict(extra="forbid")

    track: StrictStr | None = Field(default=None, min_length=1)
    strategy: StrictStr | None = Field(default=None, min_length=1)
    variants: Annotated[StrictInt, Field(ge=1, le=MOST_PROPOSALS)] = 3  # parser.PROPOSALS, too
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


def read_settings(page: IssueDocument) -> dict[str, Any]:
    """Return what the page's one settings block says, by key. Raises BadInput, with the line, where it is none."""
    if len(page.blocks) > 1:
        raise page.error("a second autoresearch block", lines_of(page.blocks[1])[0], "keep one of the two")
    block, first = page.blocks[0].content, lines_of(page.blocks[0])[0] + 1
    lines = _key_lines(page, block, first)
    try:
        return _Settings.model_validate(_loaded(page, block, first)).model_dump()
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
