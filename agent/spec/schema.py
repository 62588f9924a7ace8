"""The settings block as a schema: what it may say, checked by pydantic. Imported only where an issue has a block."""

import difflib
import re
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    Tag,
    field_validator,
)
from pydantic_core import PydanticCustomError

from agent.core.experiment import STRATEGIES
from agent.spec.amounts import read_budget

MOST_PROPOSALS = 12  # of a round: each costs money, and the more there are the luckier is the best
Scalar = StrictBool | StrictInt | StrictFloat | StrictStr
Name = Annotated[StrictStr | StrictInt, Field(description="the ID of a variant")]
Seed = Annotated[StrictInt, Field(ge=0, lt=2**32)]
Amount = StrictInt | StrictFloat | StrictStr


def _as_number(given: object) -> object:
    """Return 2e-3 as a number: to YAML, which looks for a point, it is text."""
    return float(given) if isinstance(given, str) and re.fullmatch(r"[0-9]+[eE]-?[0-9]{1,2}", given) else given


class VariantSettings(BaseModel):
    """One variant: its ID, the constants that it sets, and why."""

    model_config = ConfigDict(extra="forbid")

    id: Name
    set: Annotated[dict[StrictStr, Scalar], Field(min_length=1)]
    why: StrictStr = ""


class Range(BaseModel):
    """A range of a constant for strategy search."""

    model_config = ConfigDict(extra="forbid")

    low: StrictInt | StrictFloat
    high: StrictInt | StrictFloat
    log: StrictBool = False
    step: StrictInt | StrictFloat | None = None


Finite = Annotated[StrictInt | StrictFloat, Field(allow_inf_nan=False)]
CLAIM_FORMS = ("better", "order", "value", "flat", "parameters")


class _Claim(BaseModel):
    """What all claims may say: who makes it."""

    model_config = ConfigDict(extra="forbid")

    source: StrictStr = Field("", description="who claims it")


class BetterForm(_Claim):
    """`better` is better than `than`, by `by` or more in units of the metric."""

    better: Name
    than: Name
    by: Annotated[Finite, Field(ge=0)] = 0


class OrderForm(_Claim):
    """The spread of each of these factors is larger than that of the next."""

    order: Annotated[list[StrictStr], Field(min_length=2)]


class ValueForm(_Claim):
    """The metric of the variant `value` lies within these two bounds."""

    value: Name
    within: Annotated[list[Finite], Field(min_length=2, max_length=2)]

    @field_validator("within")
    @classmethod
    def _ascending(cls, bounds: list[int | float]) -> list[int | float]:
        if bounds[0] > bounds[1]:
            raise PydanticCustomError("bounds", "the lower bound stands first")
        return bounds


class FlatForm(_Claim):
    """No level of the factor `flat` above `after` is better than that one by more than `within`."""

    flat: StrictStr
    after: Finite
    within: Annotated[Finite, Field(ge=0)]


class ParametersForm(_Claim):
    """The variant `parameters` has exactly `equal` parameters."""

    parameters: Name
    equal: Annotated[StrictInt, Field(ge=0)]


def _form(claim: object) -> str | None:
    """Return the form of a claim, in brackets: they keep it out of the place that an error names."""
    if isinstance(claim, str):
        return "(text)"
    keys = claim if isinstance(claim, dict) else type(claim).model_fields if isinstance(claim, BaseModel) else ()
    return next((f"({form})" for form in CLAIM_FORMS if form in keys), None)


ClaimForm = Annotated[
    Annotated[StrictStr, Tag("(text)")]
    | Annotated[BetterForm, Tag("(better)")]
    | Annotated[OrderForm, Tag("(order)")]
    | Annotated[ValueForm, Tag("(value)")]
    | Annotated[FlatForm, Tag("(flat)")]
    | Annotated[ParametersForm, Tag("(parameters)")],
    Discriminator(
        _form,
        custom_error_type="claim",
        custom_error_message="no form of a claim: write better and than, order, value and within, flat and after and "
        "within, parameters and equal, or a sentence",
    ),
]


class EvolveBlock(BaseModel):
    """What strategy evolve does: see docs/strategies.md."""

    model_config = ConfigDict(extra="forbid")

    generations: Annotated[StrictInt, Field(ge=1, le=1000)] = 10
    population: Annotated[StrictInt, Field(ge=4, le=200)] = 8
    parsimony: Annotated[StrictInt | StrictFloat, Field(ge=0, description="times ln(parameters x steps), added")] = 0.0
    blacklist_above: StrictInt | StrictFloat | None = Field(
        None, description="a species with two losses above this is left out"
    )
    not_species: list[StrictStr] = Field(["LR", "STEPS"], description="discrete constants that make no species")


class SearchBlock(BaseModel):
    """What strategy search does: see docs/strategies.md."""

    model_config = ConfigDict(extra="forbid")

    trials: Annotated[StrictInt, Field(ge=1, le=10_000)] = 30
    sampler: Literal["tpe", "gp", "random"] = "tpe"
    batch: Annotated[StrictInt, Field(ge=1, le=64, description="trials that are proposed at once")] = 1


class SettingsBlock(BaseModel):
    """What a yaml block whose first line is `# autoresearch` may say. It outranks the prose of the issue."""

    model_config = ConfigDict(extra="forbid", title="autoresearch settings block")

    track: Annotated[StrictStr, Field(min_length=1)] | None = Field(None, description="a folder under experiments/")
    strategy: Annotated[StrictStr, Field(min_length=1)] | None = Field(None, description=", ".join(STRATEGIES))
    budget: Amount | None = Field(None, description="of one run: 300 (seconds), 5 minutes, 500steps, 5Mtok")
    cap: Amount | None = Field(None, description="of all runs together: 3600 (seconds), 2 hours")
    seeds: Annotated[list[Seed], Field(min_length=1)] | None = Field(None, description="the baseline's first seeds")
    gate: Literal["confirmed", "fixed", "lowest"] | None = Field(
        None, description="confirmed, fixed: three confirmations and one look, or lowest: one run each, the lowest wins"
    )
    min_gain: (
        Annotated[StrictInt | StrictFloat, BeforeValidator(_as_number), Field(ge=0, allow_inf_nan=False)] | None
    ) = Field(None, description="the gain that a winner must reach, in units of the metric")
    order: list[Name] | None = Field(None, description="these variants run first, in this order")
    skip: list[Name] | dict[StrictStr, StrictStr] | None = Field(
        None, description="variants that do not run, as a list or each with the reason"
    )
    only: Annotated[list[Name], Field(min_length=1)] | None = Field(None, description="no other variants run")
    table: StrictInt | StrictStr | list[StrictInt | StrictStr] | None = Field(
        None, description="the tables that are meant: by number among those with an ID column, or by heading"
    )
    describe: list[StrictStr] | None = Field(None, description="columns that set nothing")
    grid: Annotated[dict[StrictStr, Annotated[list[Scalar], Field(min_length=1)]], Field(min_length=1)] | None = Field(
        None, description="every combination of these values is a variant"
    )
    space: dict[StrictStr, Annotated[list[Scalar], Field(min_length=1)] | Range] | None = Field(
        None, description="where the strategies evolve, search and sweep look: values, or a range"
    )
    claims: list[ClaimForm] | None = Field(
        None, description="what somebody says will be seen; a sentence is shown, the other forms are judged"
    )
    variants: Annotated[StrictInt, Field(ge=1, le=MOST_PROPOSALS)] | list[VariantSettings] | None = Field(
        None, description="the variants themselves, in place of a table; of an issue in prose how many to propose"
    )
    baseline_only: StrictBool = Field(False, description="only the baseline is measured, once on each of `seeds`")
    confirm: StrictBool = Field(False, description="nothing runs before a person comments /go")
    promote: StrictBool = Field(True, description="false: a strategy that explores only reports, no baseline moves")
    base: dict[StrictStr, Scalar] | None = Field(None, description="what all variants of a strategy that explores set")
    evolve: EvolveBlock | None = Field(None, description="of strategy evolve")
    search: SearchBlock | None = Field(None, description="of strategy search")
    mix: Annotated[StrictFloat, Field(gt=0, lt=1)] | None = Field(
        None, description="of an issue in prose: the share of its proposals that strategy search makes, in `space`"
    )

    @field_validator("strategy")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None and name not in STRATEGIES:
            near = "".join(f" did you mean {one}?" for one in difflib.get_close_matches(name, STRATEGIES, n=1))
            facts = {"value": repr(name[:40]), "near": near, "known": ", ".join(STRATEGIES)}
            raise PydanticCustomError("strategy", "there is no strategy {value};{near} there is {known}", facts)
        return name

    @field_validator("budget", "cap")
    @classmethod
    def _readable(cls, amount: int | float | str | None) -> int | float | str | None:
        if amount is not None and read_budget(str(amount)) is None:
            raise PydanticCustomError("budget", "{value} is no budget", {"value": repr(str(amount)[:40])})
        return amount

    @field_validator("cap")
    @classmethod
    def _timed(cls, amount: int | float | str | None) -> int | float | str | None:
        budget = None if amount is None else read_budget(str(amount))
        if budget is not None and budget.kind != "seconds":
            raise PydanticCustomError("cap", "a cap is a time, such as 2 hours")
        return amount

    @field_validator("seeds", "order", "only")
    @classmethod
    def _distinct(cls, values: list[int | str] | None) -> list[int | str] | None:
        if values and len(set(map(str, values))) < len(values):
            twice = next(value for value in values if values.count(value) > 1)
            raise PydanticCustomError("twice", "{value} is given twice", {"value": str(twice)})
        return values


def json_schema() -> dict[str, object]:
    """Return the JSON schema of the settings block, which `--schema` prints and docs/settings.schema.json holds."""
    return SettingsBlock.model_json_schema()
