"""Load generators: clients that wait for their responses, and requests at a fixed rate."""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import aiohttp

from tools.benchmarks.serving.figures import RequestOutcome

__all__ = ["RequestOutcome", "closed_loop", "open_loop", "sequential"]

_BOUNDARY = "a-boundary-that-no-photo-holds"
_HEAD = (
    f"--{_BOUNDARY}\r\n"
    'Content-Disposition: form-data; name="image"; filename="key.jpg"\r\n'
    "Content-Type: image/jpeg\r\n\r\n"
).encode()
_TAIL = f"\r\n--{_BOUNDARY}--\r\n".encode()
# Headers of a request. "identity" asks for an uncompressed response: some servers would otherwise
# spend processor time on compression.
_HEADERS = {
    "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
    "Accept-Encoding": "identity",
}
# A request fails after this many seconds. No compared server took so long to answer.
_TIMEOUT = aiohttp.ClientTimeout(total=120)


async def closed_loop(
    url: str, photo: Callable[[], bytes], clients: int, seconds: float
) -> list[RequestOutcome]:
    """Run concurrent clients. Each sends a photo, waits for the response, and sends the next.

    Args:
        url: Address to which photos are sent.
        photo: Function that returns the next photo.
        clients: Number of concurrent clients.
        seconds: Duration in seconds. Each client sends at least one photo.
    """
    outcomes: list[RequestOutcome] = []
    async with _LoadClient(url) as client:

        async def run_client() -> None:
            while True:
                outcomes.append(await client.send(photo(), client.now()))
                if client.now() >= seconds:
                    return

        await asyncio.gather(*(run_client() for _ in range(clients)))
    return outcomes


async def open_loop(
    url: str, photo: Callable[[], bytes], rate: float, seconds: float
) -> list[RequestOutcome]:
    """Send requests at a fixed rate, even if the server is too slow to answer them.

    Args:
        url: Address to which photos are sent.
        photo: Function that returns the next photo.
        rate: Requests per second.
        seconds: Duration in seconds.
    """
    async with _LoadClient(url) as client:
        tasks = []
        for number in range(round(rate * seconds)):
            due = number / rate
            await asyncio.sleep(max(0.0, due - client.now()))
            tasks.append(asyncio.create_task(client.send(photo(), due)))
        return await asyncio.gather(*tasks)


def sequential(url: str, photos: Sequence[bytes]) -> list[RequestOutcome]:
    """Send the photos one after the other from a single client.

    It uses the HTTP client of the standard library, because that client takes little processor
    time compared with the server.
    """
    address = urlsplit(url)
    connection, began = http.client.HTTPConnection(address.netloc, timeout=120), time.perf_counter()
    outcomes = []
    for photo in photos:
        sent = time.perf_counter()
        try:
            connection.request("POST", address.path, _HEAD + photo + _TAIL, _HEADERS)
            response = connection.getresponse()
            response.read()
            status, retry_after = response.status, "Retry-After" in response.headers
        except (http.client.HTTPException, OSError):
            connection.close()
            status, retry_after = 0, False
        outcomes.append(
            RequestOutcome(status, sent - began, time.perf_counter() - began, 0.0, retry_after)
        )
    connection.close()
    return outcomes


class _LoadClient:
    """Client with any number of connections. Its times start when it is created."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._began = time.perf_counter()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=_TIMEOUT
        )

    async def __aenter__(self) -> _LoadClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def now(self) -> float:
        return time.perf_counter() - self._began

    async def send(self, photo: bytes, due: float) -> RequestOutcome:
        """Send one request that was scheduled for `due`."""
        sent = self.now()
        try:
            async with self._session.post(
                self._url, data=_HEAD + photo + _TAIL, headers=_HEADERS
            ) as response:
                await response.read()
                status, retry_after = response.status, "Retry-After" in response.headers
        except (aiohttp.ClientError, OSError, TimeoutError):
            status, retry_after = 0, False
        return RequestOutcome(status, sent, self.now(), sent - due, retry_after)
