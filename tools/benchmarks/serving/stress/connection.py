"""A low-level HTTP connection that can also send incomplete requests."""

from __future__ import annotations

import asyncio
import io
import socket
from dataclasses import dataclass
from http.client import parse_headers
from typing import Self

_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Response:
    """A response. `closes` is True if the server closes the connection after it."""

    status: int
    retry_after: bool
    closes: bool
    body: bytes


class TruncatedResponse(Exception):
    """The connection ended in the middle of a response."""


class Connection:
    """Connection to a port of this machine. It has one request at a time.

    `connect` and `send` raise OSError if the server does not accept or has closed the connection.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def connect(cls, port: int, source: str | None = None) -> Self:
        """Open a connection. `source` is the client's address, by default the system's choice."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            if source:
                sock.bind((source, 0))
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        except OSError:
            sock.close()
            raise
        return cls(sock)

    async def send(self, data: bytes) -> None:
        """Send all bytes of `data`."""
        await self._loop.sock_sendall(self._socket, memoryview(data))

    async def response(self) -> Response | None:
        """Return the next response, or None if the connection ends before it begins.

        Raises:
            TruncatedResponse: The connection ended in the middle of the response.
        """
        read = b""
        while (end := read.find(_HEAD_END)) < 0:
            if not (more := await self._more()) and not read:
                return None
            read = _joined(read, more)
        status_line, _, fields = read[:end].partition(b"\r\n")
        headers = parse_headers(io.BytesIO(fields + _HEAD_END))
        body = read[end + len(_HEAD_END) :]
        while len(body) < int(headers["Content-Length"]):
            body = _joined(body, await self._more())
        return Response(
            int(status_line.split()[1]),
            "Retry-After" in headers,
            headers.get("Connection", "").lower() == "close",
            body,
        )

    async def quiet(self, seconds: float) -> bool:
        """Wait for `seconds`. Return True if the server sent nothing and did not disconnect."""
        try:
            await asyncio.wait_for(self._loop.sock_recv(self._socket, 1), seconds)
        except TimeoutError:
            return True
        except ConnectionError:
            return False
        return False

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    async def _more(self) -> bytes:
        """Return the next bytes, or an empty value at the end of the connection."""
        try:
            return await self._loop.sock_recv(self._socket, 1 << 16)
        except ConnectionError:
            return b""


def _joined(read: bytes, more: bytes) -> bytes:
    if not more:
        raise TruncatedResponse
    return read + more


def head(length: int, path: str = "/predict") -> bytes:
    """Return the head of a request with a JPEG file of `length` bytes.

    Its Host header must name this machine. Otherwise the server applies rate limits.
    """
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n"
    ).encode()
