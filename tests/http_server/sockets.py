"""Raw sockets to a server on this machine, for requests that a client library cannot send."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from typing import Any

PATIENCE_S = 20
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


def connect(port: int, source: str = "127.0.0.1") -> socket.socket:
    """Open a connection from the address `source` of this machine."""
    return socket.create_connection(
        ("127.0.0.1", port), timeout=PATIENCE_S, source_address=(source, 0)
    )


def photo_head(length: int, version: str = "1.1") -> bytes:
    """Return the request line and the headers of a request that posts a JPEG of `length` bytes."""
    return (
        f"POST /predict HTTP/{version}\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def photo_request(photo: bytes, version: str = "1.1") -> bytes:
    """Return a request that posts `photo`."""
    return photo_head(len(photo), version) + photo


def read_response(
    connection: socket.socket,
) -> tuple[int, http.client.HTTPMessage, dict[str, Any]]:
    """Read one response and return the status, the headers and the JSON body."""
    with contextlib.closing(http.client.HTTPResponse(connection)) as response:
        response.begin()
        return response.status, response.headers, json.loads(response.read())


def check_live(connection: socket.socket) -> None:
    """Request /health/live on this connection and check that the status is 200."""
    connection.sendall(LIVE)
    assert read_response(connection)[0] == 200


def is_closed(connection: socket.socket) -> bool:
    """Wait until the server sends something or closes the connection; return True if it closed."""
    return connection.recv(1) == b""


def is_open(connection: socket.socket) -> bool:
    """Return True if the server has not closed the connection and has sent nothing so far."""
    connection.setblocking(False)
    try:
        connection.recv(1)
    except BlockingIOError:
        return True
    finally:
        connection.settimeout(PATIENCE_S)
    return False
