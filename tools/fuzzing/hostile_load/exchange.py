"""Sends one case over a new connection and parses the responses."""

from __future__ import annotations

import io
import socket
import struct
import time
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any, cast

from tools.fuzzing.hostile_load.case import Case, Ending

_MAX_RESPONSES = 600


@dataclass(frozen=True, slots=True)
class Response:
    """One response.

    Attributes:
        status: HTTP status.
        headers: Headers, with names in lower case.
        body: Body.
        seconds: Seconds that the client waited for the response.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class Exchange:
    """The responses to one case, and how the connection ended.

    Attributes:
        responses: Responses in order.
        problem: What was wrong with the connection, or None.
        seconds: Seconds from connecting to the end.
    """

    responses: tuple[Response, ...]
    problem: str | None
    seconds: float


class _PersistentReader(io.BufferedReader):
    """Buffered reader that `HTTPResponse` cannot close, so that the next response can be read."""

    def close(self) -> None:
        """Do nothing, so that the connection stays open."""


class _SocketFile:
    """The part of a socket's interface that `HTTPResponse` uses."""

    def __init__(self, file: _PersistentReader) -> None:
        self._file = file

    def makefile(self, *_: Any) -> _PersistentReader:
        return self._file


def exchange(address: tuple[str, int], case: Case, timeout_s: float) -> Exchange:
    """Send a case and return the exchange. Connecting and each wait take at most `timeout_s`.

    No behaviour of the server raises an exception.
    """
    began = time.monotonic()
    try:
        with socket.create_connection(address, timeout=timeout_s) as connection:
            return _send_and_receive(connection, case, began)
    except OSError as error:
        return Exchange((), f"no connection: {type(error).__name__}", time.monotonic() - began)


def _send_and_receive(connection: socket.socket, case: Case, began: float) -> Exchange:
    try:
        for piece in case.pieces:
            connection.sendall(piece)
        if case.ending is Ending.ENDED:
            connection.shutdown(socket.SHUT_WR)
    except TimeoutError:
        return Exchange((), "timeout", time.monotonic() - began)
    except OSError:
        # The server may have answered and closed the connection before it received everything. Its
        # response may still arrive.
        pass
    if case.ending is Ending.DROPPED:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return Exchange((), None, time.monotonic() - began)
    file = _PersistentReader(socket.SocketIO(connection, "rb"))
    responses: list[Response] = []
    problem = _receive(file, case, responses)
    if problem == "truncated" and case.ending is Ending.ENDED:
        # If the server closes before it has read all bytes, its kernel resets the connection. Then
        # the response may be lost.
        problem = None
    return Exchange(tuple(responses), problem, time.monotonic() - began)


def _receive(file: _PersistentReader, case: Case, responses: list[Response]) -> str | None:
    """Read responses, append them to `responses`, and return the problem or None."""
    expected = len(case.methods) if case.ending is Ending.ANSWERED else _MAX_RESPONSES
    while len(responses) < expected:
        method = case.methods[min(len(responses), len(case.methods) - 1)]
        sent = time.monotonic()
        try:
            if not file.peek(1):
                return (
                    None
                    if case.ending is Ending.ENDED or _closing(responses)
                    else "closed without a response"
                )
            responses.append(_parse_response(file, method, sent))
        except TimeoutError:
            return "timeout"
        except (ConnectionError, HTTPException, ValueError) as error:
            return (
                "truncated"
                if isinstance(error, ConnectionError | HTTPException)
                else f"not HTTP: {type(error).__name__}"
            )
    return None


def _parse_response(file: _PersistentReader, method: str, sent: float) -> Response:
    response = HTTPResponse(cast(socket.socket, _SocketFile(file)), method=method)
    response.begin()
    body = response.read()
    return Response(
        response.status,
        {name.lower(): value for name, value in response.getheaders()},
        body,
        time.monotonic() - sent,
    )


def _closing(responses: list[Response]) -> bool:
    """Return True if the last response announced that the server closes the connection."""
    return bool(responses) and responses[-1].headers.get("connection", "").lower() == "close"
