"""The second net under the log: only fields that are known to be plain leave, and only values that look as they should.

The first net is whoever logs, who passes plain facts. This one is a list of what may pass, not of what may not: a name that nobody thought
of (a header, a new library's field) is then a gap in the log and no leak.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from structlog.typing import EventDict, WrappedLogger

REDACTED = "[redacted]"
_MOST = 300
# What a sentence must not hold: a path from the root, an address, a code, control characters.
_UNWANTED = re.compile(
    r"(?:^|[\s'\"(=])(?:/|[A-Za-z]:\\)\w|\d+\.\d+\.\d+\.\d+|::|\d\s*[,\-]\s*\d\s*[,\-]\s*\d|[^ -~\u2013-\u2026]"
)


def _like(pattern: str) -> Callable[[str], bool]:
    whole = re.compile(pattern)
    return lambda text: whole.fullmatch(text) is not None


def _sentence(text: str) -> bool:
    return _UNWANTED.search(text) is None


_WORD = _like(r"[A-Za-z_][\w.-]*")
_ROUTE = _like(r"/[\w/<>:.-]*")
_PLACE = _like(r"[\w.<> -]+:\d+(?: [\w.<>]+)?")
# Each field that may be in the log, and what a text in it looks like; numbers, True, False and None may stand in all of them.
PLAIN: Mapping[str, Callable[[str], bool]] = {
    "asked_by": _WORD,
    "backend": _WORD,
    "error": _WORD,
    "event": _like(r"[a-z][a-z_ ]{0,60}"),
    "failure": _WORD,
    "level": _WORD,
    "method": _WORD,
    "model": _like(r"\w[\w.+-]*"),
    "ms": _WORD,
    "place": _PLACE,
    "places": _PLACE,
    "reason": _sentence,
    "request_id": _like(r"[0-9a-f]{8}"),
    "route": _ROUTE,
    "status": _WORD,
    "timestamp": _like(r"[\dT:.+Z-]+"),
}
# Renderers turn these into tracebacks, whose last line is the message of the exception.
_NEVER = frozenset({"exc_info", "exception", "stack", "stack_info"})


def redact(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    """A line with the names of all its fields, but the values of plain ones alone."""
    return {
        _name_of(field): _value_of(field, value)
        for field, value in line.items()
        if field not in _NEVER
    }


def _name_of(field: str) -> str:
    """Whoever passes on somebody's headers as fields has their names from outside, too."""
    return field if field in PLAIN or re.fullmatch(r"[a-z][a-z_]{0,40}", field) else REDACTED


def _value_of(field: str, value: object) -> object:
    if field not in PLAIN:
        return REDACTED
    if isinstance(value, list | tuple):
        return [_scalar(field, each) for each in value]
    return _scalar(field, value)


def _scalar(field: str, value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    return (
        value
        if isinstance(value, str) and len(value) <= _MOST and PLAIN[field](value)
        else REDACTED
    )
