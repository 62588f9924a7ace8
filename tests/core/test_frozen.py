"""Frozen classes: what dataclass(frozen=True) promises, tried beside one that it made."""

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import pytest

from agent.core.frozen import frozen


@frozen
class Point:
    """A value with a default, a field that is not compared, one that is not shown, and something computed once."""

    x: float
    y: float = 2.0
    note: str = field(default="", compare=False)
    trail: list[int] = field(default_factory=list, compare=False, repr=False)

    @cached_property
    def total(self) -> float:
        """The sum, computed once."""
        return self.x + self.y


@dataclass(frozen=True)
class Generated:
    """The same, as the standard library has it."""

    x: float
    y: float = 2.0
    note: str = field(default="", compare=False)
    trail: list[int] = field(default_factory=list, compare=False, repr=False)


@frozen
class OtherPoint:
    """Another class with the same fields."""

    x: float
    y: float = 2.0


@frozen(kw_only=True)
class Named:
    """A value whose one field is given by name."""

    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name.lower())


@frozen
class Empty:
    """A value without a field."""


@pytest.mark.parametrize("name", ["x", "note", "trail", "z"])
def test_no_field_is_set_again_or_deleted_and_no_other_is_added(name: str) -> None:
    point: Any = Point(1.0)
    with pytest.raises(FrozenInstanceError, match=name):
        setattr(point, name, 3.0)
    with pytest.raises(FrozenInstanceError, match=name):
        delattr(point, name)
    assert asdict(point) == asdict(Point(1.0))
    assert point.total == point.total == 3.0


def test_values_are_equal_and_hashed_by_the_fields_that_are_compared() -> None:
    assert Point(1.0) == Point(1.0, 2.0, "a", [1])
    assert hash(Point(1.0)) == hash(Point(1.0, 2.0, "a", [1]))
    assert len({Point(1.0), Point(1.0, note="b"), Point(1.0, 3.0)}) == 2
    assert Point(1.0) != Point(1.5)
    assert (Empty(), hash(Empty())) == (Empty(), hash(Empty()))


def test_values_of_two_classes_differ() -> None:
    here: object = Point(1.0)
    assert here != OtherPoint(1.0)
    assert here != (1.0, 2.0)


def test_a_value_is_shown_as_the_standard_library_shows_it() -> None:
    assert repr(Point(1.0, note="a")) == repr(Generated(1.0, note="a")).replace("Generated", "Point")


def test_a_field_may_have_to_be_given_by_name_and_may_be_changed_before_it_is_seen() -> None:
    assert Named(name="A").name == "a"
    assert [one.kw_only for one in fields(Named)] == [True]
    with pytest.raises(TypeError):
        Named("A")  # type: ignore[misc]


def test_a_value_is_replaced_copied_and_sent_as_any_dataclass() -> None:
    point = Point(1.0, trail=[1])
    assert replace(point, x=4.0) == Point(4.0)
    for other in (copy.copy(point), copy.deepcopy(point), pickle.loads(pickle.dumps(point))):
        assert (other, asdict(other)) == (point, asdict(point))
