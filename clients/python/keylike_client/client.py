"""The client: one server, its readings, and its health."""

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

from keylike_client.answers import Health, Reading
from keylike_client.connections import Answer, Connections, Request
from keylike_client.decoding import Mismatch, T, decode
from keylike_client.errors import KeylikeError, Refused, UnexpectedAnswer, Unreadable
from keylike_client.many import Outcome, Progress, in_order
from keylike_client.patience import Patience, Rest, rest, retry_after_s
from keylike_client.photos import Photo, upload

# The server gives up a little before the client does, so that its own word arrives.
_SERVERS_SHARE = 0.9


class Client:
    """Asks the server at `address`, which is like https://keys.example.org; good for many threads, and a context manager.

    `token` is sent to that server alone: redirects are not followed, and nothing is ever logged. `timeout_s` is the longest that an answer
    may take; where the server turns a request away and says when to come back (429, 503), or cannot be connected to, it is asked again for
    `patience_s` seconds in all. `ca_file` holds the certificates of an authority of one's own; they are always checked. `clock`, `wall`,
    `rest` and `chance` are for tests: seconds, seconds since 1970, waiting, numbers from 0 to 1.

    Raises ValueError for an address or a token that cannot be one.
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
        rest: Rest = rest,
        chance: Callable[[], float] = random.random,
    ) -> None:
        if timeout_s <= 0 or patience_s < 0:
            raise ValueError("timeout_s is above 0, and patience_s not below")
        if token is not None and (
            not token or not token.isascii() or not token.isprintable() or " " in token
        ):
            raise ValueError("the token has characters that no token has")
        self._connections = Connections(address, timeout_s, ca_file, clock)
        self._patience = Patience(patience_s, clock, rest, chance)
        self._wall = wall
        self._shown = f"{urlsplit(address).scheme}://{urlsplit(address).netloc}"
        self._headers = {"Accept": "application/json", "User-Agent": "keylike-client"}
        self._headers["X-Request-Timeout"] = f"{timeout_s * _SERVERS_SHARE:.3f}"
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    def read(self, photo: Photo, *, zipcode: str | None = None, fresh: bool = False) -> Reading:
        """Reads the key on a photo (bytes, a path, or a file opened for bytes); `fresh` has a photo read again that was read before.

        Raises Unreadable with reason and advice, Refused with the server's code, Unreachable, UnexpectedAnswer and UnusablePhoto.
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
        """What became of each photo, in order, while up to `at_once` others are under way; one that fails spoils no other.

        `progress` is called in the thread of the caller with how many are done, and of how many if that is known. Photos are taken from an
        iterator only as they are needed. Whoever leaves the loop early waits for the answers that are on their way.
        """
        if at_once < 1:
            raise ValueError("at_once is 1 or more")

        def one(photo: Photo, given_up: threading.Event) -> Reading:
            return self._read(photo, zipcode, fresh, given_up)

        return in_order(one, photos, at_once, progress)

    def health(self) -> Health:
        """The state of the server. Raises as `read` does, but for Unreadable and UnusablePhoto."""
        return self._ask(Request("GET", "/health", self._headers), Health, threading.Event())

    def close(self) -> None:
        """Closes the connections that are kept."""
        self._connections.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the connections."""
        self.close()

    def __repr__(self) -> str:
        """Where it asks, and whether with a token; never which."""
        return f"<keylike_client.Client {self._shown} {'with a' if 'Authorization' in self._headers else 'without a'} token>"

    def _read(
        self, photo: Photo, zipcode: str | None, fresh: bool, given_up: threading.Event
    ) -> Reading:
        sent = upload(photo)
        headers = self._headers | {
            "Content-Type": sent.content_type,
            "Content-Length": str(sent.length),
        }
        if fresh:
            headers["Cache-Control"] = "no-cache"
        path = "/predict" if zipcode is None else "/predict?" + urlencode({"zipcode": zipcode})
        return self._ask(Request("POST", path, headers, sent.pieces), Reading, given_up)

    def _ask(self, request: Request, wanted: type[T], given_up: threading.Event) -> T:
        def once() -> bytes:
            answer = self._connections.exchange(request)
            if answer.status != 200:
                raise self._failure(answer)
            return answer.body

        body = self._patience.keep_asking(once, given_up)
        try:
            return decode(wanted, json.loads(body))
        except Mismatch as error:
            raise UnexpectedAnswer(
                f"The answer is not as this client knows it: {error}.", status=200
            ) from None
        except (ValueError, RecursionError):
            raise UnexpectedAnswer("The answer is not JSON.", status=200) from None

    def _failure(self, answer: Answer) -> KeylikeError:
        """The exception that an answer other than 200 means."""
        after_s = retry_after_s(answer.headers.get("Retry-After"), self._wall())
        if 300 <= answer.status < 400:
            return UnexpectedAnswer(
                "The server sends elsewhere; that is not followed: give the address itself.",
                status=answer.status,
            )
        try:
            body = json.loads(answer.body)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict) or not all(
            isinstance(body.get(name), str) for name in ("error", "code", "request_id")
        ):
            return UnexpectedAnswer(
                f"Something else than Keylike answered, with {answer.status}.",
                status=answer.status,
                retry_after_s=after_s,
            )
        return _named(body, answer.status, after_s)


def _named(body: dict[str, Any], status: int, after_s: float | None) -> KeylikeError:
    """A failure in the contract's own shape."""
    found = body.get("details")
    details = found if isinstance(found, dict) else {}
    if body["code"] == "unreadable":
        reason, advice, model = (body.get(name) for name in ("reason", "advice", "model_used"))
        return Unreadable(
            body["error"],
            reason=str(reason),
            advice=str(advice),
            model_used=model if isinstance(model, str) else None,
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
        retry_after_s=after_s,
    )
