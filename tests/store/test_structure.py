"""Dataclasses built by their fields' types: what fits is built, and whatever does not is refused at its place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from pydantic_core import ValidationError

from agent.core.experiment import Budget
from agent.store.structure import validator


@dataclass(frozen=True)
class Inner:
    """A value in a value."""

    pair: tuple[float, float] | None
    budget: Budget


@dataclass(frozen=True)
class Outer:
    """One field of every type that a record has."""

    name: str
    kind: Literal["a", "b"]
    count: Annotated[int, ("ge", 1)]
    inner: Inner
    many: tuple[Inner, ...] = ()
    values: Mapping[str, float] = field(default_factory=dict)
    done: bool = False
    rate: Annotated[float, ("gt", 0)] | None = None
    value: int | str | None = None


INNER = {"pair": [1, 2.5], "budget": "3steps"}
OUTER = {"name": "x", "kind": "a", "count": 1, "inner": INNER}


def test_values_in_values_are_built_and_what_is_missing_has_its_default() -> None:
    inner = Inner((1.0, 2.5), Budget("steps", 3))
    built = validator(Outer).validate_python({**OUTER, "many": [INNER, {**INNER, "pair": None}], "values": {"v": 1}})
    assert built == Outer("x", "a", 1, inner, (inner, Inner(None, inner.budget)), {"v": 1.0})
    assert validator(Outer).validate_python(OUTER) == Outer("x", "a", 1, inner)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"name": 1}, ("name",)),
        ({"kind": "c"}, ("kind",)),
        ({"count": 0}, ("count",)),
        ({"count": 1.5}, ("count",)),
        ({"done": "perhaps"}, ("done",)),
        ({"rate": 0}, ("rate",)),
        ({"value": 0.5}, ("value",)),
        ({"values": {"v": "much"}}, ("values", "v")),
        ({"many": [INNER, {**INNER, "pair": [1]}]}, ("many", 1, "pair")),
        ({"inner": {**INNER, "budget": "3"}}, ("inner", "budget")),
        ({"inner": {"pair": None}}, ("inner", "budget")),
    ],
)
def test_what_does_not_fit_is_refused_at_its_place(change: Mapping[str, Any], place: tuple[str | int, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        validator(Outer).validate_python({**OUTER, **change})
    assert caught.value.errors()[0]["loc"][: len(place)] == place


def test_a_key_that_is_no_fields_is_ignored_or_refused() -> None:
    more = {**OUTER, "more": 1}
    assert validator(Outer).validate_python(more).name == "x"
    for wrong in (more, {**OUTER, "inner": {**INNER, "more": 1}}):
        with pytest.raises(ValidationError, match="more"):
            validator(Outer, extra="forbid").validate_python(wrong)


def test_a_field_goes_by_its_stored_name() -> None:
    stored = {f"the_{name}": value for name, value in OUTER.items()}
    assert validator(Outer, lambda name: f"the_{name}").validate_python(stored).count == 1


def test_a_type_without_a_schema_is_refused_before_anything_is_read() -> None:
    @dataclass
    class Odd:
        names: list[str]

    with pytest.raises(TypeError, match="list"):
        validator(Odd)
