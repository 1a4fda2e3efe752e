"""Tests of clients that half-close: they end their output and still wait for responses."""

from __future__ import annotations

import json
import socket

from tests.http_server.sockets import (
    LIVE,
    connect,
    is_closed,
    photo_head,
    photo_request,
    read_response,
)
from tests.running import PatientReader, Running, until
from tools.plain_pictures import GREEN, plain


def received(client: socket.socket) -> bytes:
    """Return everything that the server sends until it closes the connection."""
    return b"".join(iter(lambda: client.recv(65_536), b""))


def test_half_closed_client_gets_its_response(running: Running, reader: PatientReader) -> None:
    reader.allowed.clear()
    with connect(running.server.port) as client:
        client.sendall(photo_request(plain()))
        client.shutdown(socket.SHUT_WR)
        assert reader.asked.wait(20)
        running.wait_a_turn()
        reader.allowed.set()
        status, headers, body = read_response(client)
        assert (status, body["bitting"]) == (200, "2,5,4,7,3")
        assert headers["Connection"] == "close"
        assert is_closed(client)
    until(lambda: not running.server._listener.active_channels)


def test_half_closed_client_gets_all_pipelined_responses(
    running: Running, reader: PatientReader
) -> None:
    reader.allowed.clear()
    with connect(running.server.port) as client:
        client.sendall(photo_request(plain()) + photo_request(plain(GREEN)) + LIVE)
        client.shutdown(socket.SHUT_WR)
        assert reader.asked.wait(20)
        running.wait_a_turn()
        reader.allowed.set()
        responses = received(client)
    assert responses.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert responses.index(b'"2,5,4,7,3"') < responses.index(b'"1,1,1,1,1"')
    assert responses.index(b'"1,1,1,1,1"') < responses.index(b'"alive"')


def test_half_closed_http_1_0_client_gets_no_interim_response(
    running: Running, reader: PatientReader
) -> None:
    """Send a request by HTTP/1.0, which has no interim responses (RFC 9110, section 15.2)."""
    reader.allowed.clear()
    with connect(running.server.port) as client:
        client.sendall(photo_request(plain(), "1.0"))
        client.shutdown(socket.SHUT_WR)
        assert reader.asked.wait(20)
        running.wait_a_turn()
        reader.allowed.set()
        response = received(client)
    assert response.startswith(b"HTTP/1.0 200 OK\r\n")
    assert json.loads(response.partition(b"\r\n\r\n")[2])["bitting"] == "2,5,4,7,3"


def test_half_closed_connection_with_an_incomplete_request_is_closed(running: Running) -> None:
    with connect(running.server.port) as client:
        client.sendall(photo_head(1000) + bytes(10))
        client.shutdown(socket.SHUT_WR)
        assert received(client) == b""
    until(lambda: not running.server._listener.active_channels)


def test_half_closed_idle_connection_is_closed(running: Running) -> None:
    with connect(running.server.port) as client:
        client.sendall(LIVE)
        assert read_response(client)[0] == 200
        client.shutdown(socket.SHUT_WR)
        assert is_closed(client)
