"""Tests of requests that arrive slowly: their deadlines, and the response that ends them."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.http_server.sockets import connect, is_closed, is_open, photo_head, read_response
from tests.running import Running, until
from tools.plain_pictures import plain

UPLOAD = photo_head(1_000_000)


@pytest.fixture
def client(running: Running) -> Iterator[socket.socket]:
    """Open one connection."""
    with connect(running.server.port) as opened:
        yield opened


def pass_time(running: Running, *steps_s: float) -> None:
    """Advance the clock in steps. The server checks its connections after each of them."""
    for step_s in steps_s:
        running.wait_a_turn()
        running.now += step_s
        running.wait_a_turn()


def check_request_timeout(client: socket.socket) -> None:
    """Check that the response has status 408 and closes the connection."""
    status, headers, body = read_response(client)
    assert (status, body["code"], body["success"]) == (408, "request_timeout", False)
    assert headers["Connection"] == "close"
    assert is_closed(client)


def test_request_with_incomplete_headers_after_a_minute_gets_408(
    running: Running, client: socket.socket
) -> None:
    client.sendall(b"POST / HT")
    pass_time(running, 1, 30, 29)
    client.sendall(b"TP/1.1\r\n")
    pass_time(running, 1)
    assert is_open(client)
    pass_time(running, 1)
    check_request_timeout(client)


def test_upload_at_70_kb_per_second_is_read(running: Running, client: socket.socket) -> None:
    """Upload 8 MB in two minutes."""
    photo = plain() + bytes(8_000_000)
    client.sendall(photo_head(len(photo)))
    for start in range(0, len(photo), 700_000):
        client.sendall(photo[start : start + 700_000])
        pass_time(running, 10)
    status, _, body = read_response(client)
    assert (status, body["bitting"]) == (200, "2,5,4,7,3")


def test_upload_that_pauses_for_half_a_minute_gets_408(
    running: Running, client: socket.socket
) -> None:
    client.sendall(UPLOAD + bytes(10))
    pass_time(running, 1, 29)
    client.sendall(bytes(10))
    pass_time(running, 2, 29)
    assert is_open(client)
    pass_time(running, 2)
    check_request_timeout(client)


def test_upload_below_the_minimum_rate_gets_408(running: Running, client: socket.socket) -> None:
    """Upload more slowly than 4 kB per second, which is allowed only in the first minute."""
    client.sendall(UPLOAD)
    for _ in range(7):
        client.sendall(bytes(8_000))
        pass_time(running, 10)
    client.sendall(bytes(8_000))
    pass_time(running, 10)
    assert is_open(client)
    client.sendall(bytes(8_000))
    pass_time(running, 10)
    check_request_timeout(client)


def test_client_that_continues_to_send_can_still_read_the_408(
    running: Running, client: socket.socket
) -> None:
    client.sendall(UPLOAD)
    pass_time(running, 1, 31)
    for _ in range(100):
        client.sendall(bytes(10_000))
        running.wait_a_turn()
    check_request_timeout(client)


def test_connection_is_closed_if_the_client_sends_long_after_the_408(
    running: Running, client: socket.socket
) -> None:
    client.sendall(UPLOAD)
    pass_time(running, 1, 31)
    assert read_response(client)[0] == 408
    client.sendall(bytes(10))
    pass_time(running, 5, 4)
    client.sendall(bytes(10))
    pass_time(running, 2)
    until(lambda: not running.server._listener.active_channels)


def test_bytes_that_arrive_after_a_408_are_not_parsed_as_a_request(
    running: Running, client: socket.socket
) -> None:
    client.sendall(UPLOAD)
    pass_time(running, 1, 31)
    client.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
    running.wait_a_turn()
    check_request_timeout(client)
