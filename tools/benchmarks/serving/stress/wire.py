"""One HTTP connection spoken by hand: only so is it known which bytes were handed over when, and half a request can be sent."""

from __future__ import annotations

import asyncio
import io
import socket
from dataclasses import dataclass
from http.client import parse_headers
from typing import Self

_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """`closes`: the server says that no other request is taken on this connection."""

    status: int
    retry_after: bool
    closes: bool
    body: bytes


class Torn(Exception):
    """The connection ended in the middle of an answer."""


class Wire:
    """A connection to this machine, with one request at a time. Connecting and sending raise OSError where the other side has hung up."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket, self._loop = connected, asyncio.get_running_loop()

    @classmethod
    async def connect(cls, port: int) -> Self:
        """A new one."""
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", port))
        except OSError:
            made.close()
            raise
        return cls(made)

    async def send(self, data: bytes) -> None:
        """Comes back once the system has taken all of it; never holds a copy."""
        await self._loop.sock_sendall(self._socket, memoryview(data))

    async def answer(self) -> Answer | None:
        """The next answer, or None where the connection ends before it begins. Raises Torn."""
        read = b""
        while (end := read.find(_HEAD_END)) < 0:
            if not (more := await self._more()) and not read:
                return None
            read = _joined(read, more)
        line, _, fields = read[:end].partition(b"\r\n")
        headers = parse_headers(io.BytesIO(fields + _HEAD_END))
        body = read[end + len(_HEAD_END) :]
        while len(body) < int(headers["Content-Length"]):
            body = _joined(body, await self._more())
        return Answer(
            int(line.split()[1]),
            "Retry-After" in headers,
            headers.get("Connection", "").lower() == "close",
            body,
        )

    async def quiet(self, seconds: float) -> bool:
        """Waits; whether the other side neither said anything nor hung up meanwhile."""
        try:
            await asyncio.wait_for(self._loop.sock_recv(self._socket, 1), seconds)
        except TimeoutError:
            return True
        except ConnectionError:
            return False
        return False

    def close(self) -> None:
        """Hangs up."""
        self._socket.close()

    async def _more(self) -> bytes:
        """Nothing at the end, however it came."""
        try:
            return await self._loop.sock_recv(self._socket, 1 << 16)
        except ConnectionError:
            return b""


def _joined(read: bytes, more: bytes) -> bytes:
    if not more:
        raise Torn
    return read + more


def head(length: int, path: str = "/predict") -> bytes:
    """What stands before a JPEG of so many bytes."""
    return f"POST {path} HTTP/1.1\r\nHost: keylike\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n".encode()
