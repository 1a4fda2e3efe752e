"""One case of the storm: the bytes that are sent, how the connection goes on, and what must come back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Ending(StrEnum):
    """What happens once everything is sent."""

    ANSWERED = "answered"  # every request is complete: each gets its answer
    ENDED = "ended"  # the sending side closes; whatever comes back must be sound, and the server must close too
    DROPPED = "dropped"  # the caller is gone, and asks for nothing


@dataclass(frozen=True, slots=True)
class Case:
    """`pieces` go out one after the other. `methods` are those of the requests in it, in order, an answer each where `ending` is ANSWERED.
    `reading` is keyway and bitting where a sound photo was sent; they are held back from the repr."""

    kind: str
    pieces: tuple[bytes, ...]
    methods: tuple[str, ...] = ("POST",)
    ending: Ending = Ending.ANSWERED
    reading: tuple[str, str] | None = field(default=None, repr=False)


def request(
    method: str,
    target: str | bytes,
    headers: Iterable[tuple[str | bytes, str | bytes]] = (),
    body: bytes | None = None,
    version: str = "HTTP/1.1",
) -> bytes:
    """A request as it stands on the wire, with its length where it has a body, and nothing checked. Latin-1."""
    lines = [_bytes(method) + b" " + _bytes(target) + b" " + version.encode(), b"Host: 127.0.0.1"]
    lines += [_bytes(name) + b": " + _bytes(value) for name, value in headers]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1", "replace")
