"""Find and load tracks: a folder under experiments/ with a track.toml."""

import tomllib
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from agent.core.errors import BadInput
from agent.core.experiment import Budget, Range, Track

FOLDER = Path("experiments")


class _RangeEntry(BaseModel):
    """What track.toml may say of the values of a constant."""

    model_config = ConfigDict(extra="forbid")

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None


class _TrackFile(BaseModel):
    """What track.toml may say. Paths are relative to the repository's root."""

    model_config = ConfigDict(extra="forbid")

    script: str
    metric: str
    goal: str = Field(pattern="^(min|max)$")
    budget_s: float | None = Field(None, gt=0)  # the same as budget = "300 s"
    budget: Budget | None = None
    editable: list[str] = Field(min_length=1)
    seeds: list[int] = Field(min_length=1)
    min_gain: float = Field(ge=0)
    prepare: str | None = None
    corpus: str = "stdlib"
    fixed: list[str] = []
    aliases: dict[str, list[str]] = {}
    absent: dict[str, str] = {}
    units: dict[str, list[str]] = {}
    ranges: dict[str, _RangeEntry] = {}

    @field_validator("budget", mode="before")
    @classmethod
    def _read_budget(cls, text: str) -> str:
        return str(text).replace(" ", "")

    @model_validator(mode="after")
    def _has_one_budget(self) -> Self:
        if (self.budget is None) == (self.budget_s is None) or (self.budget and self.budget.amount <= 0):
            raise ValueError('expected budget_s = 300 or one above zero such as budget = "5000 steps"')
        return self


def names(root: Path) -> list[str]:
    """The tracks of a repository."""
    return sorted(path.parent.name for path in (root / FOLDER).glob("*/track.toml"))


def load(root: Path, name: str) -> Track:
    """The track `name`. Raises BadInput where there is none, or where its track.toml is wrong."""
    path = root / FOLDER / name / "track.toml"
    if not path.is_file():
        known = ", ".join(names(root)) or "none"
        raise BadInput(f"there is no track {name!r}", where=str(path), next_step=f"tracks here: {known}")
    try:
        fields = _TrackFile.model_validate(tomllib.loads(path.read_text()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise BadInput(_first(error), where=str(path)) from None
    return Track(
        name=name,
        script=fields.script,
        metric=fields.metric,
        goal="min" if fields.goal == "min" else "max",
        budget=fields.budget or Budget("seconds", fields.budget_s or 0),
        editable=tuple(fields.editable),
        seeds=tuple(fields.seeds),
        min_gain=fields.min_gain,
        prepare=fields.prepare,
        corpus=fields.corpus,
        fixed=tuple(dict.fromkeys([*([fields.prepare] if fields.prepare else []), *fields.fixed])),
        aliases={name: tuple(aliases) for name, aliases in fields.aliases.items()},
        absent=fields.absent,
        units={name: tuple(units) for name, units in fields.units.items()},
        ranges={name: Range(**limits.model_dump()) for name, limits in fields.ranges.items()},
    )


def _first(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'budget'}: {first['msg']}"
    return str(error)
