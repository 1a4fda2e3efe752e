"""Converts JSON to frozen dataclasses. Types are checked strictly. Unknown fields are ignored."""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class DecodeError(ValueError):
    """A field of the JSON is missing or has the wrong type.

    The message contains the name of the field, but never its value.
    """


def decode(target: type[T], value: object) -> T:
    """Return a dataclass from a JSON object.

    Raises:
        DecodeError: A field is missing or has another type.
    """
    decoded: T = _decode(target, value, target.__name__)
    return decoded


def _decode(target: Any, value: object, path: str) -> Any:
    if is_dataclass(target) and isinstance(target, type):
        return _object(target, value, path)
    origin = get_origin(target)
    if origin in (Union, types.UnionType):
        (other,) = (item for item in get_args(target) if item is not type(None))
        return None if value is None else _decode(other, value, path)
    if origin is tuple:
        return _row(get_args(target), value, path)
    if target is float and type(value) is int:
        return float(value)
    if type(value) is not target:
        raise DecodeError(f"{path} is not of type {target.__name__}")
    return value


def _object(target: Any, value: object, path: str) -> Any:
    if not isinstance(value, dict):
        raise DecodeError(f"{path} is not an object")
    values = {}
    for name, type_ in _types(target).items():
        key = name if name in value else _camel(name)
        if key not in value:
            raise DecodeError(f"{path}.{name} is missing")
        values[name] = _decode(type_, value[key], f"{path}.{name}")
    return target(**values)


def _row(types_: tuple[Any, ...], value: object, path: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise DecodeError(f"{path} is not a list")
    if types_[-1] is Ellipsis:
        types_ = (types_[0],) * len(value)
    if len(types_) != len(value):
        raise DecodeError(f"{path} does not have {len(types_)} entries")
    return tuple(_decode(type_, item, path) for type_, item in zip(types_, value, strict=True))


@cache
def _types(target: Any) -> dict[str, Any]:
    hints = get_type_hints(target)
    return {field.name: hints[field.name] for field in fields(target)}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
