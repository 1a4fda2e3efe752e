"""Who asks, and for how long they wait: the request's caller as the scheduler knows it."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from typing import Any

from flask import request

from serving.scheduler import Caller
from utils.errors import BadRequest

TIMEOUT: dict[str, Any] = {
    "name": "X-Request-Timeout",
    "in": "header",
    "required": False,
    "schema": {"type": "number", "exclusiveMinimum": 0},
    "example": 5,
    "description": "Seconds that the answer is waited for, from when the request is there; the server's own limit holds as well",
}
_SECONDS = re.compile(r"[0-9]{1,15}(\.[0-9]{0,15})?([eE][+-]?[0-9]{1,3})?")


class Callers:
    """Makes a Caller of the request at hand. `longest_s` is what a request may take at most; `clock` is the scheduler's.

    Callers are told apart by their address, of which only a digest leaves this class; its salt dies with the process.
    """

    def __init__(self, longest_s: float, clock: Callable[[], float]) -> None:
        self._longest_s, self._clock = longest_s, clock
        self._salt = secrets.token_bytes(16)

    def current(self) -> Caller:
        """Who asks now. Raises BadRequest where X-Request-Timeout is no number of seconds."""
        name = hashlib.blake2b((request.remote_addr or "").encode(), key=self._salt, digest_size=8).hexdigest()
        # Given by waitress alone.
        hung_up = request.environ.get("waitress.client_disconnected", lambda: False)
        return Caller(name, self._clock() + self._patience_s(), hung_up)

    def _patience_s(self) -> float:
        asked = request.headers.get("X-Request-Timeout")
        if asked is None:
            return self._longest_s
        seconds = float(asked) if _SECONDS.fullmatch(asked) else 0.0
        if seconds <= 0:
            raise BadRequest("X-Request-Timeout is not a number of seconds above 0.")
        return min(seconds, self._longest_s)
