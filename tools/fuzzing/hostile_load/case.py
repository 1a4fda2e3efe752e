"""One test case: the bytes to send, how the connection ends, and the expected response."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Ending(StrEnum):
    """How the client treats its connection after the last byte that it sends."""

    # It waits for one response to each request. All requests are complete.
    ANSWERED = "answered"
    # It closes its sending side. Any response must be valid, and the server must close too.
    ENDED = "ended"
    # It resets the connection and expects no response.
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Case:
    """One case of the hostile load.

    Attributes:
        kind: Name of the kind of case, for the statistics.
        pieces: Bytes to send, one piece after the other.
        methods: HTTP methods of the requests, in order.
        ending: What the client does after sending.
        expected_reading: Expected keyway and bitting of a valid photo, or None. It is left out of
            the repr, so that no code is printed.
    """

    kind: str
    pieces: tuple[bytes, ...]
    methods: tuple[str, ...] = ("POST",)
    ending: Ending = Ending.ANSWERED
    expected_reading: tuple[str, str] | None = field(default=None, repr=False)


def request(
    method: str,
    target: str | bytes,
    headers: Iterable[tuple[str | bytes, str | bytes]] = (),
    body: bytes | None = None,
    version: str = "HTTP/1.1",
) -> bytes:
    """Return the bytes of a request without checking that it is valid.

    Text is encoded as Latin-1. If there is a body, Content-Length is added.
    """
    lines = [_bytes(method) + b" " + _bytes(target) + b" " + version.encode(), b"Host: 127.0.0.1"]
    lines += [_bytes(name) + b": " + _bytes(value) for name, value in headers]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1", "replace")
