"""Who asks, and for how long they wait: the request's caller as the scheduler knows it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from flask import g, request

from keylike.errors import BadRequest
from keylike.http_server.tasks import CLIENT_DISCONNECTED_KEY
from keylike.scheduling.client import Client

TIMEOUT: dict[str, Any] = {
    "name": "X-Request-Timeout",
    "in": "header",
    "required": False,
    "schema": {"type": "number", "exclusiveMinimum": 0},
    "example": 5,
    "description": "Seconds that the answer is waited for, from when the request is there; the server's own limit holds as well",
}
_SECONDS = re.compile(r"[0-9]{1,15}(\.[0-9]{0,15})?([eE][+-]?[0-9]{1,3})?")


class ClientDeadlines:
    """Makes a Caller of the request at hand. `longest_s` is what a request may take at most; `clock` is the scheduler's.

    Callers are told apart as keylike.api.client_identity names them.
    """

    def __init__(self, longest_s: float, clock: Callable[[], float]) -> None:
        self._longest_s, self._clock = longest_s, clock

    def current(self) -> Client:
        """Who asks now. Raises BadRequest where X-Request-Timeout is no number of seconds."""
        hung_up = request.environ.get(CLIENT_DISCONNECTED_KEY, lambda: False)
        return Client(g.visitor.name, self._clock() + self._patience_s(), hung_up)

    def _patience_s(self) -> float:
        asked = request.headers.get("X-Request-Timeout")
        if asked is None:
            return self._longest_s
        seconds = float(asked) if _SECONDS.fullmatch(asked) else 0.0
        if seconds <= 0:
            raise BadRequest("X-Request-Timeout is not a number of seconds above 0.")
        return min(seconds, self._longest_s)
