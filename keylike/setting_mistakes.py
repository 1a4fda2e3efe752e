"""Messages for unknown settings and bad values."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

PREFIX = "KEYLIKE_"
# Longest value, in characters, that a message shows. A longer one may be a token that was put into
# the wrong setting.
_LONGEST_SHOWN = 12
# Pattern of variables that Kubernetes and Docker links set for a service whose name starts with
# keylike, such as KEYLIKE_SERVICE_HOST, KEYLIKE_PORT_5000_TCP_ADDR or
# KEYLIKE_REDIS_SERVICE_PORT_MAIN. They are not settings.
_SERVICE_LINK = re.compile(
    r"KEYLIKE_([A-Z0-9_]+_)?"
    r"(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://.*")


def is_service_link(name: str, value: str) -> bool:
    """Return True if Kubernetes has set a variable for a service whose name starts with keylike."""
    other_service = name.startswith(PREFIX) and name.endswith("_PORT")
    return bool(
        _SERVICE_LINK.fullmatch(name) or (other_service and _SERVICE_ADDRESS.fullmatch(value))
    )


def unknown_names(names: Collection[str], known: Iterable[str]) -> Iterator[str]:
    """Yield a line for each variable that is probably meant as a setting but is not one.

    It begins with KEYLIKE_, or it differs from the name of a setting by one typing mistake.

    Args:
        names: names of all environment variables, including those of other programs.
        known: names of all settings, in upper case.
    """
    known = list(known)
    given = {name.upper() for name in names}
    # Compare without the prefix, because it makes all names similar.
    ends = {one.removeprefix(PREFIX): one for one in known}
    for name in names:
        upper = name.upper()
        if upper in known:
            continue
        if upper.startswith(PREFIX):
            near = difflib.get_close_matches(upper.removeprefix(PREFIX), ends, n=1)
            hint = f"did you mean {ends[near[0]]}?" if near else f"known: {', '.join(known)}"
            yield f"unknown setting {name} ({hint})"
            continue
        meant = next((one for one in known if _one_mistake(upper, one)), None)
        if meant and meant not in given:
            yield f"unknown setting {name} (did you mean {meant}?)"


def _one_mistake(typed: str, meant: str) -> bool:
    """Return True if one letter is missing, added or wrong, or two neighbours are swapped."""
    if abs(len(typed) - len(meant)) > 1 or typed == meant:
        return False
    start = next(
        (at for at, pair in enumerate(zip(typed, meant, strict=False)) if len(set(pair)) > 1),
        min(len(typed), len(meant)),
    )
    a, b = typed[start:], meant[start:]
    return a[1:] == b or a == b[1:] or a[1:] == b[1:] or (a[1::-1], a[2:]) == (b[:2], b[2:])


def bad_value(name: str, field: FieldInfo, error: ErrorDetails) -> str:
    """Return a line for a value that is not valid for a setting."""
    value = str(error["input"])
    if name == f"{PREFIX}PORT" and _SERVICE_ADDRESS.fullmatch(value):
        return (
            f"{name}: {value.partition(':')[0]}://… comes from Kubernetes, for a service that is "
            'named keylike; set KEYLIKE_PORT to a port, such as "5000", or enableServiceLinks to '
            "false"
        )
    if error["type"] == "value_error":
        return f"{name}: {error['ctx']['error']}"
    kinds = [field.annotation, *get_args(field.annotation)]
    shown = SecretStr not in kinds and len(value) <= _LONGEST_SHOWN
    return f"{name}: must be {_expected(field)}{f', not {value!r}' if shown else ''}"


def _expected(field: FieldInfo) -> str:
    """Return a phrase that describes the valid values of a field."""
    if get_origin(field.annotation) is Literal:
        *others, last = get_args(field.annotation)
        return f"{', '.join(others)} or {last}"
    phrases: Mapping[Any, str] = {
        bool: "true or false",
        int: f"a whole number{_range(field)}",
        float: f"a number{_range(field)}",
    }
    return phrases.get(field.annotation, "valid text")


def _range(field: FieldInfo) -> str:
    bounds = {type(bound): bound for bound in field.metadata}
    if Ge in bounds and Le in bounds:
        return f" from {bounds[Ge].ge} to {bounds[Le].le}"
    texts = [
        f"{words} {getattr(bounds[kind], key)}"
        for kind, key, words in (
            (Ge, "ge", "of at least"),
            (Gt, "gt", "above"),
            (Le, "le", "at most"),
        )
        if kind in bounds
    ]
    return f" {' and '.join(texts)}" if texts else ""
