"""Client of one Keylike server."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from keylike_client.connections import Connections, Request, Response
from keylike_client.decoding import DecodeError, T, decode
from keylike_client.errors import KeylikeError, Refused, UnexpectedAnswer, Unreadable
from keylike_client.models import Health, Reading
from keylike_client.parallel import Outcome, Progress, map_in_order
from keylike_client.photos import Photo, upload
from keylike_client.retries import RetryPolicy, Sleep, retry_after_s, sleep

# Deadline that the client sends to the server, as a fraction of its own timeout. It is a little
# shorter, so that the server's own response to a missed deadline still arrives in time.
_SERVER_DEADLINE_SHARE = 0.9


class Client:
    """Client of one server. It is safe to use from many threads, and it is a context manager.

    The token is sent to this server only: redirects are not followed, and nothing is logged.
    Requests with the response status 429 or 503 and failed connections are retried.

    Args:
        address: Address of the server, such as https://keys.example.org.
        token: API token.
        timeout_s: Longest time for a response, in seconds.
        patience_s: Longest total time for the retries of one call, in seconds.
        ca_file: File with the certificates of a private certificate authority.
        clock: Function that returns the seconds of a monotonic clock. Tests replace it.
        wall: Function that returns the seconds since 1970. Tests replace it.
        sleep: Function that waits. Tests replace it.
        jitter: Function that returns random numbers from 0 to 1. Tests replace it.

    Raises:
        ValueError: The address or the token is invalid.
    """

    def __init__(
        self,
        address: str,
        token: str | None = None,
        *,
        timeout_s: float = 40.0,
        patience_s: float = 60.0,
        ca_file: Path | str | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        sleep: Sleep = sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        if timeout_s <= 0 or patience_s < 0:
            raise ValueError("timeout_s must be positive and patience_s must not be negative")
        if token is not None and (
            not token or not token.isascii() or not token.isprintable() or " " in token
        ):
            raise ValueError("the token contains invalid characters")
        self._connections = Connections(address, timeout_s, ca_file, clock)
        self._retry_policy = RetryPolicy(patience_s, clock, sleep, jitter)
        self._wall = wall
        self._shown_address = f"{urlsplit(address).scheme}://{urlsplit(address).netloc}"
        self._headers = {"Accept": "application/json", "User-Agent": "keylike-client"}
        self._headers["X-Request-Timeout"] = f"{timeout_s * _SERVER_DEADLINE_SHARE:.3f}"
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    def read(self, photo: Photo, *, zipcode: str | None = None, fresh: bool = False) -> Reading:
        """Read the key on a photo.

        Args:
            photo: Bytes or another buffer, a path, a file opened in binary mode, a Pillow image,
                or an array of RGB or grey pixels (uint8).
            zipcode: US ZIP code of five digits.
            fresh: True to read the photo again even if the server has a cached reading.

        Raises:
            Unreadable: The server cannot read a key in the photo.
            Refused: The server reports any other failure.
            Unreachable: No response arrived.
            UnexpectedAnswer: The response is not from a Keylike server of this version.
            UnusablePhoto: The file cannot be read.
        """
        return self._read(photo, zipcode, fresh, threading.Event())

    def read_many(
        self,
        photos: Iterable[Photo],
        *,
        zipcode: str | None = None,
        fresh: bool = False,
        at_once: int = 4,
        progress: Progress | None = None,
    ) -> Iterator[Outcome]:
        """Read many photos at the same time, and yield their outcomes in the order of the photos.

        A failed photo does not affect the others. Photos are taken from an iterator only when they
        are needed. If a loop over the outcomes ends early, it waits for the requests in progress.

        Args:
            photos: Photos of the types that `read` accepts.
            zipcode: US ZIP code of five digits.
            fresh: True to read photos again even if the server has cached readings.
            at_once: Number of requests at the same time.
            progress: Function that receives the number of finished photos and the total number,
                which is None for an iterator. It runs in the calling thread.
        """
        if at_once < 1:
            raise ValueError("at_once must be at least 1")

        def read_one(photo: Photo, cancelled: threading.Event) -> Reading:
            return self._read(photo, zipcode, fresh, cancelled)

        return map_in_order(read_one, photos, at_once, progress)

    def health(self) -> Health:
        """Return the state of the server.

        Raises:
            Refused: The server reports a failure.
            Unreachable: No response arrived.
            UnexpectedAnswer: The response is not from a Keylike server of this version.
        """
        return self._request_model(
            Request("GET", "/health", self._headers), Health, threading.Event()
        )

    def close(self) -> None:
        """Close all open connections."""
        self._connections.close()

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()

    def __repr__(self) -> str:
        """Return the address and whether there is a token, but not the token."""
        token = "with a token" if "Authorization" in self._headers else "without a token"
        return f"<keylike_client.Client {self._shown_address} {token}>"

    def _read(
        self, photo: Photo, zipcode: str | None, fresh: bool, cancelled: threading.Event
    ) -> Reading:
        photo_upload = upload(photo)
        headers = self._headers | {
            "Content-Type": photo_upload.content_type,
            "Content-Length": str(photo_upload.length),
        }
        if fresh:
            headers["Cache-Control"] = "no-cache"
        path = "/predict" if zipcode is None else "/predict?" + urlencode({"zipcode": zipcode})
        return self._request_model(
            Request("POST", path, headers, photo_upload.chunks), Reading, cancelled
        )

    def _request_model(self, request: Request, model: type[T], cancelled: threading.Event) -> T:
        def attempt() -> bytes:
            response = self._connections.exchange(request)
            if response.status != 200:
                raise self._failure(response)
            return response.body

        body = self._retry_policy.run(attempt, cancelled)
        try:
            return decode(model, json.loads(body))
        except DecodeError as error:
            raise UnexpectedAnswer(
                f"The response does not match this version of the client: {error}.", status=200
            ) from None
        except (ValueError, RecursionError):
            raise UnexpectedAnswer("The response is not JSON.", status=200) from None

    def _failure(self, response: Response) -> KeylikeError:
        """Return the exception for a response with a status other than 200."""
        retry_s = retry_after_s(response.headers.get("Retry-After"), self._wall())
        if 300 <= response.status < 400:
            return UnexpectedAnswer(
                "The server redirected the request. Redirects are not followed; "
                "use the final address.",
                status=response.status,
            )
        try:
            body = json.loads(response.body)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict) or not all(
            isinstance(body.get(name), str) for name in ("error", "code", "request_id")
        ):
            return UnexpectedAnswer(
                f"The response with status {response.status} is not from a Keylike server.",
                status=response.status,
                retry_after_s=retry_s,
            )
        return _error_from_body(body, response.status, retry_s)


def _error_from_body(body: dict[str, Any], status: int, retry_s: float | None) -> KeylikeError:
    """Return the exception for a failure in the format of the API contract."""
    details = body.get("details")
    details = details if isinstance(details, dict) else {}
    if body["code"] == "unreadable":
        reason, advice, model_used = (body.get(name) for name in ("reason", "advice", "model_used"))
        return Unreadable(
            body["error"],
            reason=str(reason),
            advice=str(advice),
            model_used=model_used if isinstance(model_used, str) else None,
            status=status,
            request_id=body["request_id"],
            details=details,
        )
    return Refused(
        body["error"],
        code=body["code"],
        status=status,
        request_id=body["request_id"],
        details=details,
        retry_after_s=retry_s,
    )
