"""What the trials judge by: the fate of a request, the trend of memory, and a connection spoken by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tools.benchmarks.serving.stress.memory import growth
from tools.benchmarks.serving.stress.stop import Fate, Sent
from tools.benchmarks.serving.stress.wire import Answer, Torn, Wire, head

STOPPED = 10.0
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nread"
NOT_NOW = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"


@pytest.mark.parametrize(
    ("began", "whole", "answer", "fate"),
    [
        (9.0, 9.5, Answer(200, False, False, b""), Fate.READ),
        (11.0, 11.5, Answer(200, False, False, b""), Fate.READ),
        (9.0, 9.5, Answer(503, True, True, b""), Fate.TOLD),
        (9.0, 9.5, Answer(503, False, True, b""), Fate.OTHER),
        (9.0, 9.5, Answer(500, False, False, b""), Fate.OTHER),
        (9.0, 9.5, None, Fate.LOST),
        (9.0, 10.5, None, Fate.CUT),
        (9.0, None, None, Fate.CUT),
        (10.5, 10.6, None, Fate.LATE),
        (10.5, None, None, Fate.LATE),
    ],
)
def test_the_fate_of_a_request(
    began: float, whole: float | None, answer: Answer | None, fate: Fate
) -> None:
    assert Sent(began, whole).fate(answer, STOPPED) is fate


def test_growth_is_what_the_last_half_grows_by() -> None:
    requests = list(range(0, 11_000, 1000))
    filling = [min(requested, 5000) * 50_000 for requested in requests]
    assert growth(requests, filling) == pytest.approx(0)
    leaking = [held + 2_000 * requested for held, requested in zip(filling, requests, strict=True)]
    assert growth(requests, leaking) == pytest.approx(2.0)


def ask(reply: bytes, use: Callable[[Wire], Awaitable[None]], sent: bytes = b"") -> bytes:
    """Gives `use` a connection to somebody who reads what is `sent`, says `reply` and hangs up; what was read."""
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.readexactly(len(sent)))
        writer.write(reply)
        await writer.drain()
        writer.close()

    async def both() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            wire = await Wire.connect(server.sockets[0].getsockname()[1])
            if sent:
                await wire.send(sent)
            await use(wire)
            wire.close()

    asyncio.run(asyncio.wait_for(both(), 20))
    return bytes(heard)


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (GOOD, Answer(200, False, False, b"read")),
        (NOT_NOW, Answer(503, True, True, b"no")),
        (b"", None),
    ],
    ids=["read", "not now", "nothing"],
)
def test_an_answer_is_taken_apart(reply: bytes, answer: Answer | None) -> None:
    async def use(wire: Wire) -> None:
        assert await wire.answer() == answer

    sent = head(5) + b"photo"
    assert ask(reply, use, sent) == sent


@pytest.mark.parametrize("length", [5, len(GOOD) - 4, len(GOOD) - 1])
def test_an_answer_that_ends_early_is_torn(length: int) -> None:
    async def use(wire: Wire) -> None:
        with pytest.raises(Torn):
            await wire.answer()

    ask(GOOD[:length], use)


def test_whoever_hangs_up_is_not_quiet() -> None:
    async def use(wire: Wire) -> None:
        assert not await wire.quiet(20)

    ask(b"", use)
