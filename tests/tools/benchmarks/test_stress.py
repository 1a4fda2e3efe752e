"""Tests of the stress tests: classes of requests, growth of memory, and parsing of responses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tools.benchmarks.serving.stress.connection import Connection, Response, TruncatedResponse, head
from tools.benchmarks.serving.stress.memory import growth_per_1000
from tools.benchmarks.serving.stress.stop import RequestResult, RequestTimes

STOPPED = 10.0
GOOD_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nread"
REFUSED_RESPONSE = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\n"
    b"Content-Length: 2\r\n\r\nno"
)


@pytest.mark.parametrize(
    ("began", "completed", "response", "result"),
    [
        (9.0, 9.5, Response(200, False, False, b""), RequestResult.READ),
        (11.0, 11.5, Response(200, False, False, b""), RequestResult.READ),
        (9.0, 9.5, Response(503, True, True, b""), RequestResult.REFUSED),
        (9.0, 9.5, Response(503, False, True, b""), RequestResult.OTHER),
        (9.0, 9.5, Response(500, False, False, b""), RequestResult.OTHER),
        (9.0, 9.5, None, RequestResult.LOST),
        (9.0, 10.5, None, RequestResult.CUT),
        (9.0, None, None, RequestResult.CUT),
        (10.5, 10.6, None, RequestResult.LATE),
        (10.5, None, None, RequestResult.LATE),
    ],
)
def test_result_of_a_request_depends_on_response_and_stop_time(
    began: float, completed: float | None, response: Response | None, result: RequestResult
) -> None:
    assert RequestTimes(began, completed).outcome(response, STOPPED) is result


def test_memory_growth_is_measured_on_the_second_half_of_requests() -> None:
    requests = list(range(0, 11_000, 1000))
    filling = [min(requested, 5000) * 50_000 for requested in requests]
    assert growth_per_1000(requests, filling) == pytest.approx(0)
    leaking = [held + 2_000 * requested for held, requested in zip(filling, requests, strict=True)]
    assert growth_per_1000(requests, leaking) == pytest.approx(2.0)


def exchange(
    reply: bytes, use: Callable[[Connection], Awaitable[None]], sent: bytes = b""
) -> bytes:
    """Connect to a stub server, and return the bytes that the server received.

    Args:
        reply: Bytes that the server sends before it closes the connection.
        use: Function that is called with the connection.
        sent: Bytes that are sent to the server first.
    """
    received = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.extend(await reader.readexactly(len(sent)))
        writer.write(reply)
        await writer.drain()
        writer.close()

    async def run() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            connection = await Connection.connect(server.sockets[0].getsockname()[1])
            if sent:
                await connection.send(sent)
            await use(connection)
            connection.close()

    asyncio.run(asyncio.wait_for(run(), 20))
    return bytes(received)


@pytest.mark.parametrize(
    ("reply", "response"),
    [
        (GOOD_RESPONSE, Response(200, False, False, b"read")),
        (REFUSED_RESPONSE, Response(503, True, True, b"no")),
        (b"", None),
    ],
    ids=["read", "refused", "no response"],
)
def test_connection_returns_the_parsed_response(reply: bytes, response: Response | None) -> None:
    async def use(connection: Connection) -> None:
        assert await connection.response() == response

    sent = head(5) + b"photo"
    assert exchange(reply, use, sent) == sent


@pytest.mark.parametrize("length", [5, len(GOOD_RESPONSE) - 4, len(GOOD_RESPONSE) - 1])
def test_incomplete_response_raises_truncated_response(length: int) -> None:
    async def use(connection: Connection) -> None:
        with pytest.raises(TruncatedResponse):
            await connection.response()

    exchange(GOOD_RESPONSE[:length], use)


def test_connection_that_the_server_closed_is_not_quiet() -> None:
    async def use(connection: Connection) -> None:
        assert not await connection.quiet(20)

    exchange(b"", use)
