"""A filter for log lines: only known fields pass, and only with values in the expected format.

It is a second safeguard, because the code that logs should not pass secrets at all. A list of
allowed fields is used so that an unexpected field, such as a header, is redacted and not logged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from structlog.typing import EventDict, WrappedLogger

REDACTED = "[redacted]"
# Largest length of a logged text, in characters.
_MOST = 300
# Pattern of what is not allowed in a sentence: absolute paths, IP addresses, codes of keys, and
# control characters.
_UNWANTED = re.compile(
    r"(?:^|[\s'\"(=])(?:/|[A-Za-z]:\\)\w|\d+\.\d+\.\d+\.\d+|::"
    r"|\d\s*[,\-]\s*\d\s*[,\-]\s*\d|[^ -~\u2013-\u2026]|://\S*@"
)
# Patterns of the user and password of a URL, and of a secret in its query.
_USER_INFO = re.compile(r"([A-Za-z][\w+.-]*://)[^\s'\"]*@")
_SECRET_PARAMETER = re.compile(r"([?&](?:password|token|secret)=)[^\s&'\"]+")


def hide_credentials(text: str) -> str:
    """Replace the credentials in all URLs of a text."""
    text = _USER_INFO.sub(rf"\1{REDACTED}@", text)
    return _SECRET_PARAMETER.sub(rf"\1{REDACTED}", text)


def _like(pattern: str) -> Callable[[str], bool]:
    whole = re.compile(pattern)
    return lambda text: whole.fullmatch(text) is not None


def _sentence(text: str) -> bool:
    return _UNWANTED.search(text) is None


_WORD = _like(r"[A-Za-z_][\w.-]*")
_ROUTE = _like(r"/[\w/<>:.-]*")
_PLACE = _like(r"[\w.<> -]+:\d+(?: [\w.<>]+)?")
# The allowed fields, each with the format of its text values. Numbers, booleans and None pass in
# every field.
PLAIN: Mapping[str, Callable[[str], bool]] = {
    "asked_by": _WORD,
    "backend": _WORD,
    "error": _WORD,
    "event": _like(r"[a-z][a-z_ ]{0,60}"),
    "failure": _WORD,
    "level": _WORD,
    "lines": _WORD,
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
# Fields that are always removed. Renderers would print them as tracebacks, which contain the
# message of the exception.
_NEVER = frozenset({"exc_info", "exception", "stack", "stack_info"})


def redact(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    """Return the line with the values of unknown fields, and values in a wrong format, redacted."""
    return {
        _name_of(field): _value_of(field, value)
        for field, value in line.items()
        if field not in _NEVER
    }


def _name_of(field: str) -> str:
    """Return the name of a field, redacted if it is not an identifier.

    If code logged headers as fields, their names would come from the client.
    """
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
