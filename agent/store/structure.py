"""Dataclasses built of JSON or TOML by their fields' types: the core of pydantic, without the layer over it.

What that layer adds (models, adapters) a dataclass says itself, and its import and its adapters are a quarter of the
processor time of a command that shows an answer (`python -m bench startup`).
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic_core import SchemaValidator, core_schema
from pydantic_core.core_schema import CoreSchema, DataclassField

from agent.core.experiment import Budget

Name = Callable[[str], str]
Extra = Literal["ignore", "forbid"]
_SIMPLE: Mapping[type, CoreSchema] = {
    bool: core_schema.bool_schema(),
    int: core_schema.int_schema(),
    float: core_schema.float_schema(),
    str: core_schema.str_schema(),
    NoneType: core_schema.none_schema(),
    Budget: core_schema.no_info_plain_validator_function(Budget.parse),  # stored as its text
}


def validator(kind: type, name: Name = str, extra: Extra = "ignore") -> SchemaValidator:
    """Return what builds a dataclass of an object whose keys are its fields' names, each by the name that it has there.

    extra: whether a key that is no field's is an error, in values within values too. A field that is Annotated with
    pairs has them in its schema: `Annotated[float, ("gt", 0)]`. Raises TypeError or KeyError for a type that it does
    not know.
    """
    return SchemaValidator(_dataclass(kind, name, extra))


def _dataclass(kind: type, name: Name, extra: Extra) -> CoreSchema:
    every = [_field(one, name, extra) for one in fields(kind)]
    arguments = core_schema.dataclass_args_schema(kind.__name__, every, extra_behavior=extra)
    return core_schema.dataclass_schema(
        kind, arguments, [one["name"] for one in every], post_init=hasattr(kind, "__post_init__")
    )


def _field(field: Field[Any], name: Name, extra: Extra) -> DataclassField:
    schema = _schema(field.type, extra)
    if field.default is not MISSING:
        schema = core_schema.with_default_schema(schema, default=field.default)
    elif field.default_factory is not MISSING:
        schema = core_schema.with_default_schema(schema, default_factory=field.default_factory)
    return core_schema.dataclass_field(field.name, schema, kw_only=True, validation_alias=name(field.name))


def _schema(hint: Any, extra: Extra) -> CoreSchema:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return core_schema.literal_schema([*args])
    if origin is Annotated:
        return cast(CoreSchema, {**_schema(args[0], extra), **dict(args[1:])})
    if origin is not None:
        return _compound(origin, [_schema(one, extra) for one in args if one is not Ellipsis], Ellipsis in args)
    if hint not in _SIMPLE and is_dataclass(hint):
        return _dataclass(cast(type, hint), str, extra)
    return _SIMPLE[hint]


def _compound(origin: object, items: list[CoreSchema], repeated: bool) -> CoreSchema:
    if origin is Mapping:
        return core_schema.dict_schema(*items)
    if origin is tuple:
        return core_schema.tuple_schema(items, variadic_item_index=0 if repeated else None)
    if origin in (UnionType, Union):
        return _choice([one for one in items if one["type"] != "none"], len(items))
    raise TypeError(f"no schema for {origin}")


def _choice(items: list[CoreSchema], count: int) -> CoreSchema:
    """Return the schema of a union; of `count` types those that are not None are in `items`."""
    one = items[0] if len(items) == 1 else core_schema.union_schema([*items])
    return one if len(items) == count else core_schema.nullable_schema(one)
