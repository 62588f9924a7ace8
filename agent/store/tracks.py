"""Find and load tracks: a folder under experiments/ with a track.toml."""

import tomllib
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal, cast

from pydantic_core import ValidationError

from agent.core.errors import BadInput
from agent.core.experiment import Bounds, Budget, Track
from agent.core.frozen import frozen
from agent.store.structure import validator

FOLDER = Path("experiments")


@frozen
class _TrackFile:
    """What track.toml may say. Paths are relative to the repository's root."""

    script: str
    metric: str
    goal: Literal["min", "max"]
    editable: Annotated[tuple[str, ...], ("min_length", 1)]
    seeds: Annotated[tuple[int, ...], ("min_length", 1)]
    min_gain: Annotated[float, ("ge", 0)]
    budget_s: Annotated[float, ("gt", 0)] | None = None  # the same as budget = "300 s"
    budget: str | None = None
    prepare: str | None = None
    corpus: str = "stdlib"
    threads: Annotated[int, ("ge", 1)] | None = None
    fixed: tuple[str, ...] = ()
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ranges: Mapping[str, Bounds] = field(default_factory=dict)


def names(root: Path) -> list[str]:
    """The tracks of a repository."""
    return sorted(path.parent.name for path in (root / FOLDER).glob("*/track.toml"))


def load(root: Path, name: str) -> Track:
    """The track `name`. Raises BadInput where there is none, or where its track.toml is wrong."""
    path = root / FOLDER / name / "track.toml"
    if name not in names(root):  # which no path to another folder is
        known = ", ".join(names(root)) or "none"
        raise BadInput(f"there is no track {name!r}", where=str(path), next_step=f"tracks here: {known}")
    try:
        fields = _read(path.read_text(encoding="utf-8"))
        budget = _budget(fields)
    except ValueError as error:
        raise BadInput(_first(error), where=str(path)) from None
    return Track(
        name=name,
        script=fields.script,
        metric=fields.metric,
        goal=fields.goal,
        budget=budget,
        editable=fields.editable,
        seeds=fields.seeds,
        min_gain=fields.min_gain,
        prepare=fields.prepare,
        corpus=fields.corpus,
        threads=fields.threads,
        fixed=tuple(dict.fromkeys([*([fields.prepare] if fields.prepare else []), *fields.fixed])),
        aliases=fields.aliases,
        absent=fields.absent,
        units=fields.units,
        ranges=fields.ranges,
    )


def _read(text: str) -> _TrackFile:
    return cast(_TrackFile, validator(_TrackFile, extra="forbid").validate_python(tomllib.loads(text)))


def _budget(fields: _TrackFile) -> Budget:
    """Return the one budget of a track. Raises ValueError where there is none, or two, or none above zero."""
    budget = Budget.parse(fields.budget.replace(" ", "")) if fields.budget is not None else None
    if (budget is None) == (fields.budget_s is None) or (budget and budget.amount <= 0):
        raise ValueError('budget: expected budget_s = 300 or one above zero such as budget = "5000 steps"')
    return budget or Budget("seconds", fields.budget_s or 0)


def _first(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
