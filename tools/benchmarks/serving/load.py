"""The load: callers who each wait for their answer, or requests at a fixed rate whatever the answers do."""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import aiohttp

from tools.benchmarks.serving.figures import Shot

__all__ = ["Shot", "one_after_another", "steadily", "together"]

_BOUNDARY = "a-boundary-that-no-photo-holds"
_HEAD = (
    f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="key.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
).encode()
_TAIL = f"\r\n--{_BOUNDARY}--\r\n".encode()
# Answers as they are: some servers would compress them, and spend on that what the others do not.
_HEADERS = {
    "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
    "Accept-Encoding": "identity",
}
# Whoever has no answer by then never gets one.
_PATIENCE = aiohttp.ClientTimeout(total=120)


async def together(
    url: str, photo: Callable[[], bytes], callers: int, seconds: float
) -> list[Shot]:
    """So many callers, each of whom sends the next photo when the last is answered, for so many seconds; each sends one at least."""
    shots: list[Shot] = []
    async with _Gun(url) as gun:

        async def caller() -> None:
            while True:
                shots.append(await gun.shoot(photo(), gun.now()))
                if gun.now() >= seconds:
                    return

        await asyncio.gather(*(caller() for _ in range(callers)))
    return shots


async def steadily(url: str, photo: Callable[[], bytes], rate: float, seconds: float) -> list[Shot]:
    """So many requests a second for so many seconds, each sent at its time."""
    async with _Gun(url) as gun:
        under_way = []
        for number in range(round(rate * seconds)):
            due = number / rate
            await asyncio.sleep(max(0.0, due - gun.now()))
            under_way.append(asyncio.create_task(gun.shoot(photo(), due)))
        return await asyncio.gather(*under_way)


def one_after_another(url: str, photos: Sequence[bytes]) -> list[Shot]:
    """Each of the photos once, by one caller, whose client is the standard library's: its own time is the least part of the answer's."""
    address = urlsplit(url)
    connection, began = http.client.HTTPConnection(address.netloc, timeout=120), time.perf_counter()
    shots = []
    for photo in photos:
        sent = time.perf_counter()
        try:
            connection.request("POST", address.path, _HEAD + photo + _TAIL, _HEADERS)
            answer = connection.getresponse()
            answer.read()
            status, retry_after = answer.status, "Retry-After" in answer.headers
        except (http.client.HTTPException, OSError):
            connection.close()
            status, retry_after = 0, False
        shots.append(Shot(status, sent - began, time.perf_counter() - began, 0.0, retry_after))
    connection.close()
    return shots


class _Gun:
    """Sends photos to one address over as many connections as it takes, and counts seconds from its beginning."""

    def __init__(self, url: str) -> None:
        self._url, self._began = url, time.perf_counter()

    async def __aenter__(self) -> _Gun:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=_PATIENCE
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def now(self) -> float:
        return time.perf_counter() - self._began

    async def shoot(self, photo: bytes, due: float) -> Shot:
        """One request, that should have been sent when it was `due`."""
        sent = self.now()
        try:
            async with self._session.post(
                self._url, data=_HEAD + photo + _TAIL, headers=_HEADERS
            ) as answer:
                await answer.read()
                status, retry_after = answer.status, "Retry-After" in answer.headers
        except (aiohttp.ClientError, OSError, TimeoutError):
            status, retry_after = 0, False
        return Shot(status, sent, self.now(), sent - due, retry_after)
