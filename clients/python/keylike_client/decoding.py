"""From JSON to frozen values: each field by its type, nothing guessed, and what the client does not know of is passed over."""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class Mismatch(ValueError):
    """JSON that is not of the type that was expected. The message names the field and never its value."""


def decode(wanted: type[T], found: object) -> T:
    """A dataclass out of a JSON object. Raises Mismatch where a field is missing or of another type."""
    decoded: T = _decode(wanted, found, wanted.__name__)
    return decoded


def _decode(wanted: Any, found: object, place: str) -> Any:
    if is_dataclass(wanted) and isinstance(wanted, type):
        return _object(wanted, found, place)
    origin = get_origin(wanted)
    if origin in (Union, types.UnionType):
        (other,) = (one for one in get_args(wanted) if one is not type(None))
        return None if found is None else _decode(other, found, place)
    if origin is tuple:
        return _row(get_args(wanted), found, place)
    if wanted is float and type(found) is int:
        return float(found)
    if type(found) is not wanted:
        raise Mismatch(f"{place} is not of the type {wanted.__name__}")
    return found


def _object(wanted: Any, found: object, place: str) -> Any:
    if not isinstance(found, dict):
        raise Mismatch(f"{place} is not an object")
    values = {}
    for name, kind in _types(wanted).items():
        written = name if name in found else _camel(name)
        if written not in found:
            raise Mismatch(f"{place}.{name} is missing")
        values[name] = _decode(kind, found[written], f"{place}.{name}")
    return wanted(**values)


def _row(kinds: tuple[Any, ...], found: object, place: str) -> tuple[Any, ...]:
    if not isinstance(found, list):
        raise Mismatch(f"{place} is not a list")
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(found)
    if len(kinds) != len(found):
        raise Mismatch(f"{place} has not {len(kinds)} entries")
    return tuple(_decode(kind, one, place) for kind, one in zip(kinds, found, strict=True))


@cache
def _types(wanted: Any) -> dict[str, Any]:
    hints = get_type_hints(wanted)
    return {field.name: hints[field.name] for field in fields(wanted)}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
