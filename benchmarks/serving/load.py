"""The load: callers who each wait for their answer, or requests at a fixed rate whatever the answers do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

_BOUNDARY = "a-boundary-that-no-photo-holds"
_HEAD = (f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="key.jpg"\r\nContent-Type: image/jpeg\r\n\r\n').encode()
_TAIL = f"\r\n--{_BOUNDARY}--\r\n".encode()
_HEADERS = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
# Whoever has no answer by then never gets one.
_PATIENCE = aiohttp.ClientTimeout(total=120)


@dataclass(frozen=True, slots=True)
class Shot:
    """One request: its status, 0 where the connection broke; seconds to the whole answer; whether it says when to come back."""

    status: int
    seconds: float
    retry_after: bool


async def together(url: str, photo: Callable[[], bytes], callers: int, seconds: float) -> list[Shot]:
    """So many callers, each of whom sends the next photo when the last is answered, for so many seconds."""
    until = time.perf_counter() + seconds
    shots: list[Shot] = []

    async def caller(session: aiohttp.ClientSession) -> None:
        while time.perf_counter() < until:
            shots.append(await _shoot(session, url, photo()))

    async with _session() as session:
        await asyncio.gather(*(caller(session) for _ in range(callers)))
    return shots


async def steadily(url: str, photo: Callable[[], bytes], rate: float, seconds: float) -> list[Shot]:
    """So many requests a second for so many seconds, each sent at its time."""
    began = time.perf_counter()
    async with _session() as session:
        under_way = []
        for number in range(round(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            under_way.append(asyncio.create_task(_shoot(session, url, photo())))
        return await asyncio.gather(*under_way)


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=_PATIENCE)


async def _shoot(session: aiohttp.ClientSession, url: str, photo: bytes) -> Shot:
    began = time.perf_counter()
    try:
        async with session.post(url, data=_HEAD + photo + _TAIL, headers=_HEADERS) as answer:
            await answer.read()
            status, retry_after = answer.status, "Retry-After" in answer.headers
    except (aiohttp.ClientError, OSError, TimeoutError):
        status, retry_after = 0, False
    return Shot(status, time.perf_counter() - began, retry_after)
