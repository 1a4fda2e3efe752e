"""Tests of the limits on the number of connections, in total and per address.

At the limit the server closes idle connections. If there are none, up to 32 more connections are
admitted with restrictions: they get health checks, and status 503 for everything else.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from keylike.settings import Settings
from tests.http_server.sockets import (
    check_live,
    connect,
    is_closed,
    is_open,
    photo_head,
    photo_request,
    read_response,
)
from tests.running import PatientReader, Running, until
from tools.plain_pictures import plain

LIMIT = 8
Start = Callable[..., Running]
Connect = Callable[..., socket.socket]


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    """Return a function that runs a server with at most `LIMIT` connections."""
    started: list[Running] = []

    def run(**changes: Any) -> Running:
        reader = PatientReader()
        reader.allowed.set()
        started.append(Running(settings.model_copy(update=changes), reader))
        started[-1].server._listener.max_connections = LIMIT
        return started[-1]

    yield run
    for each in started:
        each.stop()


@pytest.fixture
def connected() -> Iterator[Connect]:
    """Return a function that opens connections. Close them after the test."""
    with ExitStack() as stack:
        yield lambda *place: stack.enter_context(connect(*place))


def open_count(running: Running) -> int:
    """Return the number of open connections of the server."""
    return len(running.server._listener.active_channels)


def hold(running: Running, connected: Connect, count: int) -> list[socket.socket]:
    """Open `count` connections, one after the other."""
    held = []
    for _ in range(count):
        before = open_count(running)
        held.append(connected(running.server.port))
        until(lambda: open_count(running) == before + 1)  # noqa: B023
    return held


def let_idle(running: Running) -> None:
    """Advance the clock so far that the server may close connections that are idle now."""
    listener = running.server._listener
    until(lambda: listener.task_dispatcher.active_count == 0)
    for step_s in (1, 2.5):
        running.now += step_s
        listener.pull_trigger()
        until(lambda: running.server._last_check == running.now)


def waiting_count(running: Running) -> int:
    """Return the number of accepted connections that wait until another one is closed."""
    return sum(map(len, running.server._listener._waiting.values()))


def upload(running: Running, connected: Connect, count: int, *source: str) -> list[socket.socket]:
    """Begin `count` uploads that then send nothing more."""
    before = open_count(running)
    begun = [connected(running.server.port, *source) for _ in range(count)]
    for each in begun:
        each.sendall(photo_head(1000) + b"1")
    until(
        lambda: (
            open_count(running) == before + count
            and not any(
                each.is_idle() for each in running.server._listener.active_channels.values()
            )
        )
    )
    return begun


def test_least_recently_used_idle_connection_is_closed_at_the_limit(
    start: Start, connected: Connect
) -> None:
    running = start()
    held = [connected(running.server.port) for _ in range(5)]
    for each in [*held, held[0]]:
        check_live(each)
    held += [connected(running.server.port) for _ in range(LIMIT - len(held))]
    until(lambda: open_count(running) == LIMIT)
    let_idle(running)
    check_live(connected(running.server.port))
    assert is_closed(held[1])
    assert all(is_open(each) for each in [held[0], *held[2:]])


def test_new_connection_waits_until_another_was_idle_for_two_seconds(
    start: Start, connected: Connect
) -> None:
    running = start()
    held = hold(running, connected, LIMIT)
    late = connected(running.server.port)
    late.sendall(photo_request(plain()))
    until(lambda: waiting_count(running) == 1)
    assert all(is_open(each) for each in held)
    let_idle(running)
    assert read_response(late)[0] == 200
    assert is_closed(held[0])


def test_newest_waiting_connection_is_admitted_first(start: Start, connected: Connect) -> None:
    running = start()
    held = hold(running, connected, LIMIT)
    early, late = connected(running.server.port), connected(running.server.port)
    photo = photo_request(plain())
    late.sendall(photo[:-1])
    until(lambda: waiting_count(running) == 2)
    held[0].close()
    until(lambda: waiting_count(running) == 1)
    late.sendall(photo[-1:])
    assert read_response(late)[0] == 200
    # Near the limit, the response closes its connection. So the older connection is admitted now.
    check_live(early)


def test_address_with_fewer_connections_is_admitted_first(start: Start, connected: Connect) -> None:
    running = start()
    held = hold(running, connected, LIMIT)
    other = connected(running.server.port, "127.0.0.2")
    until(lambda: waiting_count(running) == 1)
    connected(running.server.port)
    until(lambda: waiting_count(running) == 2)
    held[0].close()
    until(lambda: waiting_count(running) == 1)
    assert [*running.server._listener._waiting] == ["127.0.0.1"]
    check_live(other)


def test_waiting_connections_are_closed_after_half_a_minute(
    start: Start, connected: Connect
) -> None:
    running = start(connections_per_address=1)
    (_,) = upload(running, connected, 1)
    reserve = [connected(running.server.port) for _ in range(32)]
    for each in reserve:
        each.sendall(photo_head(1000)[:10])
    until(lambda: open_count(running) == 33)
    late = connected(running.server.port)
    until(lambda: waiting_count(running) == 1)
    running.server._listener._drop_waiting(running.now + 31)
    assert is_closed(late)


def test_oldest_waiting_connections_are_closed_if_too_many_wait(
    start: Start, connected: Connect
) -> None:
    running = start()
    running.server._listener._max_waiting = 3
    held = hold(running, connected, LIMIT)
    waiting = [connected(running.server.port) for _ in range(5)]
    assert all(is_closed(each) for each in waiting[:2])
    assert all(is_open(each) for each in [*held, *waiting[2:]])


def test_idle_connection_is_closed_at_once_if_none_may_wait(
    start: Start, connected: Connect
) -> None:
    running = start()
    running.server._listener._max_waiting = 0
    held = hold(running, connected, LIMIT)
    check_live(connected(running.server.port))
    assert is_closed(held[0])
    assert is_open(held[1])
    check_live(held[1])


def test_waiting_connections_are_served_during_a_stop(start: Start, connected: Connect) -> None:
    running = start()
    hold(running, connected, LIMIT)
    late = connected(running.server.port)
    late.sendall(photo_request(plain()))
    until(lambda: waiting_count(running) == 1)
    running.server.stop()
    assert read_response(late)[0] == 200


def test_response_closes_its_connection_near_the_limit(start: Start, connected: Connect) -> None:
    running = start()
    first = connected(running.server.port)
    first.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
    assert read_response(first)[1]["Connection"] is None
    _ = [connected(running.server.port) for _ in range(LIMIT * 3 // 4)]
    until(lambda: open_count(running) > LIMIT * 3 // 4)
    first.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
    assert read_response(first)[1]["Connection"] == "close"
    assert is_closed(first)


def test_uploads_stay_open_at_the_limit_and_new_clients_get_503(
    start: Start, connected: Connect
) -> None:
    running = start()
    uploads = upload(running, connected, LIMIT)
    late = connected(running.server.port)
    late.sendall(photo_request(plain()))
    status, headers, body = read_response(late)
    assert (status, body["code"], headers["Retry-After"]) == (503, "overloaded", "1")
    assert headers["Connection"] == "close"
    assert all(is_open(each) for each in uploads)


@pytest.mark.parametrize(
    "path", ["/health", "/health/live", "/health/ready", "/health/startup", "/v1/health/live"]
)
def test_health_check_works_while_uploads_use_all_connections(
    start: Start, connected: Connect, path: str
) -> None:
    running = start()
    upload(running, connected, LIMIT)
    probe = connected(running.server.port)
    probe.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    status, headers, _ = read_response(probe)
    assert (status, headers["Connection"]) == (200, "close")


def test_client_that_waits_for_100_continue_gets_503_at_the_limit(
    start: Start, connected: Connect
) -> None:
    running = start()
    upload(running, connected, LIMIT)
    late = connected(running.server.port)
    late.sendall(
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
        b"Content-Length: 100000\r\nExpect: 100-continue\r\n\r\n"
    )
    assert late.recv(12) == b"HTTP/1.1 503"


def test_restricted_connection_may_send_a_photo_after_another_is_closed(
    start: Start, connected: Connect
) -> None:
    running = start()
    uploads = upload(running, connected, LIMIT)
    late = connected(running.server.port)
    until(lambda: open_count(running) == LIMIT + 1)
    uploads[0].close()
    until(lambda: open_count(running) == LIMIT)
    late.sendall(photo_request(plain()))
    assert read_response(late)[0] == 200


def test_oldest_restricted_connection_is_closed_if_there_are_too_many(
    start: Start, connected: Connect
) -> None:
    running = start()
    upload(running, connected, LIMIT)
    silent = hold(running, connected, 32)
    late = connected(running.server.port)
    until(lambda: waiting_count(running) == 1)
    let_idle(running)
    check_live(late)
    assert is_closed(silent[0])
    assert open_count(running) <= LIMIT + 32


def test_silent_restricted_connection_is_closed_after_nine_seconds(
    start: Start, connected: Connect
) -> None:
    running = start()
    upload(running, connected, LIMIT)
    silent = connected(running.server.port)
    until(lambda: open_count(running) == LIMIT + 1)
    for _ in range(3):
        running.now += 3
        running.wait_a_turn()
    assert is_closed(silent)


def test_address_at_its_limit_loses_only_its_own_idle_connections(
    start: Start, connected: Connect
) -> None:
    running = start(connections_per_address=2)
    other = connected(running.server.port, "127.0.0.2")
    check_live(other)
    held = hold(running, connected, 2)
    let_idle(running)
    check_live(connected(running.server.port))
    assert is_closed(held[0])
    assert is_open(held[1]) and is_open(other)


def test_address_at_its_limit_gets_health_checks_and_503(start: Start, connected: Connect) -> None:
    running = start(connections_per_address=2)
    upload(running, connected, 2)
    check_live(connected(running.server.port))
    refused, other = connected(running.server.port), connected(running.server.port, "127.0.0.2")
    for each in (refused, other):
        each.sendall(photo_request(plain()))
    assert read_response(refused)[0] == 503
    assert read_response(other)[0] == 200


@pytest.mark.parametrize("changes", [{"proxy": "127.0.0.1"}, {"tunnel": True}])
def test_proxies_and_tunnels_have_no_limit_per_address(
    start: Start, connected: Connect, changes: dict[str, Any]
) -> None:
    running = start(connections_per_address=2, **changes)
    held = [connected(running.server.port) for _ in range(5)]
    for each in held:
        check_live(each)
    assert all(is_open(each) for each in held)


def test_addresses_of_one_ipv6_network_count_together(running: Running) -> None:
    find = running.server._listener._find_network
    assert find("2001:db8::1") == find("2001:db8::ffff:1") != find("2001:db8:0:1::1")
    assert find("::ffff:192.0.2.1") == find("192.0.2.1")
