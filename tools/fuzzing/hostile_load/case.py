"""One test case: the bytes to send, how the connection continues, and the expected response."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Ending(StrEnum):
    """Behaviour of the client after it has sent everything."""

    # Every request is complete and gets a response.
    ANSWERED = "answered"
    # The client half-closes. Any response must be valid, and the server must close too.
    ENDED = "ended"
    # The client resets the connection and expects nothing.
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Case:
    """Case of the hostile load.

    Attributes:
        kind: Name for the statistics.
        pieces: Bytes to send, one piece after the other.
        methods: Methods of the requests. With `ANSWERED`, each gets one response.
        ending: What the client does after sending.
        expected_reading: Keyway and bitting of a valid photo, hidden from the repr.
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
    """Return the bytes of a request in Latin-1, unchecked, with a Content-Length if there is a
    body."""
    lines = [_bytes(method) + b" " + _bytes(target) + b" " + version.encode(), b"Host: 127.0.0.1"]
    lines += [_bytes(name) + b": " + _bytes(value) for name, value in headers]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1", "replace")
