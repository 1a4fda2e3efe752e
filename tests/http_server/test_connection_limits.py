"""Tests of the limits on connections: which one is closed, and what a restricted one may do."""

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
    """Return a function that runs a server with room for `LIMIT` connections."""
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
    """Return a function that opens connections; close them after the test."""
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
    """Let so much time pass that connections which are idle now may be closed."""
    listener = running.server._listener
    until(lambda: listener.task_dispatcher.active_count == 0)
    for step_s in (1, 2.5):
        running.now += step_s
        listener.pull_trigger()
        until(lambda: running.server._last_check == running.now)


def waiting_count(running: Running) -> int:
    """Return the number of accepted connections that wait for a place."""
    return sum(map(len, running.server._listener._waiting.values()))


def upload(running: Running, connected: Connect, count: int, *source: str) -> list[socket.socket]:
    """Begin `count` uploads that do not continue."""
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


def test_new_connection_waits_until_one_has_been_idle_for_two_seconds(
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
    # The response closed the connection, because the server is crowded.
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


def test_too_many_waiting_connections_close_the_oldest(start: Start, connected: Connect) -> None:
    running = start()
    running.server._listener._max_waiting = 3
    held = hold(running, connected, LIMIT)
    waiting = [connected(running.server.port) for _ in range(5)]
    assert all(is_closed(each) for each in waiting[:2])
    assert all(is_open(each) for each in [*held, *waiting[2:]])


def test_without_files_for_waiting_connections_idle_ones_close_at_once(
    start: Start, connected: Connect
) -> None:
    running = start()
    running.server._listener._max_waiting = 0
    held = hold(running, connected, LIMIT)
    check_live(connected(running.server.port))
    assert is_closed(held[0])
    assert is_open(held[1])
    check_live(held[1])


def test_stop_answers_waiting_connections(start: Start, connected: Connect) -> None:
    running = start()
    hold(running, connected, LIMIT)
    late = connected(running.server.port)
    late.sendall(photo_request(plain()))
    until(lambda: waiting_count(running) == 1)
    running.server.stop()
    assert read_response(late)[0] == 200


def test_responses_close_the_connection_when_crowded(start: Start, connected: Connect) -> None:
    running = start()
    first = connected(running.server.port)
    first.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
    assert read_response(first)[1]["Connection"] is None
    _ = [connected(running.server.port) for _ in range(LIMIT * 3 // 4)]
    until(lambda: open_count(running) > LIMIT * 3 // 4)
    first.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
    assert read_response(first)[1]["Connection"] == "close"
    assert is_closed(first)


def test_uploads_at_the_limit_stay_open_and_new_clients_get_503(
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
def test_health_is_answered_although_uploads_use_all_connections(
    start: Start, connected: Connect, path: str
) -> None:
    running = start()
    upload(running, connected, LIMIT)
    probe = connected(running.server.port)
    probe.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    status, headers, _ = read_response(probe)
    assert (status, headers["Connection"]) == (200, "close")


def test_expected_body_is_refused_before_it_is_sent(start: Start, connected: Connect) -> None:
    running = start()
    upload(running, connected, LIMIT)
    late = connected(running.server.port)
    late.sendall(
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
        b"Content-Length: 100000\r\nExpect: 100-continue\r\n\r\n"
    )
    assert late.recv(12) == b"HTTP/1.1 503"


def test_restricted_connection_is_served_once_there_is_room(
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


def test_restricted_connections_are_bounded_and_the_oldest_give_way(
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


def test_silent_restricted_connection_is_closed_after_seconds(
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


def test_address_at_its_limit_loses_its_own_idle_connections_only(
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


def test_address_at_its_limit_gets_health_and_503(start: Start, connected: Connect) -> None:
    running = start(connections_per_address=2)
    upload(running, connected, 2)
    check_live(connected(running.server.port))
    refused, other = connected(running.server.port), connected(running.server.port, "127.0.0.2")
    for each in (refused, other):
        each.sendall(photo_request(plain()))
    assert read_response(refused)[0] == 503
    assert read_response(other)[0] == 200


@pytest.mark.parametrize("changes", [{"proxy": "127.0.0.1"}, {"tunnel": True}])
def test_proxies_and_tunnels_have_no_limit_of_their_own(
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
