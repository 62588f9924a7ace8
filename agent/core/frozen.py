"""The decorator of the harness's values: frozen dataclasses that share their methods. Standard library only.

`dataclass(frozen=True)` compiles six methods for every class. For the hundred classes that a command loads, that was a
quarter of its start (`python -m bench startup`); here one is compiled, `__init__`, and the others are the same for all.
"""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform, overload

Kind = TypeVar("Kind")


@overload
def frozen(kind: type[Kind], /) -> type[Kind]: ...
@overload
def frozen(*, kw_only: bool = False) -> Callable[[type[Kind]], type[Kind]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: Any = None, /, *, kw_only: bool = False) -> Any:
    """Make a class a dataclass whose fields are set once, equal and hashed by them, as dataclass(frozen=True) does."""

    def decorate(kind: type[Kind]) -> type[Kind]:
        made = dataclass(repr=False, eq=False, kw_only=kw_only)(kind)
        methods = (_set_once, _refuse_to_delete, _show, *_comparison(made))
        for method, name in zip(methods, _NAMES, strict=True):
            if name not in vars(made):
                setattr(made, name, method)
        return made

    return decorate if kind is None else decorate(kind)


_NAMES = ("__setattr__", "__delattr__", "__repr__", "__eq__", "__hash__")


def _set_once(self: Any, name: str, value: object) -> None:
    if name in self.__dict__ or name not in self.__dataclass_fields__:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")
    self.__dict__[name] = value


def _refuse_to_delete(_: object, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _show(self: Any) -> str:
    shown = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
    return f"{type(self).__qualname__}({shown})"


def _comparison(kind: Any) -> tuple[Callable[[Any, object], bool], Callable[[Any], int]]:
    """Return what compares and what hashes the values of a class."""
    values = attrgetter("__class__", *(one.name for one in fields(kind) if one.compare))

    def equal(self: Any, other: object) -> bool:
        return values(self) == values(other) if type(other) is type(self) else NotImplemented

    def hashed(self: Any) -> int:
        return hash(values(self))

    return equal, hashed
