"""The deadline of a request, from X-Request-Timeout and the server's limit."""

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
    "description": "Seconds that the client waits after the whole request has arrived. "
    "The server's limit still applies.",
}
_SECONDS = re.compile(r"[0-9]{1,15}(\.[0-9]{0,15})?([eE][+-]?[0-9]{1,3})?")


class ClientDeadlines:
    """A factory of `Client` objects: name, deadline and connection of the current request.

    Args:
        longest_s: Longest time that a request may take, in seconds.
        clock: The queue's clock.
    """

    def __init__(self, longest_s: float, clock: Callable[[], float]) -> None:
        self._longest_s = longest_s
        self._clock = clock

    def current(self) -> Client:
        """Return the client of the current request, for the queue.

        Raises:
            BadRequest: X-Request-Timeout is not a positive number.
        """
        hung_up = request.environ.get(CLIENT_DISCONNECTED_KEY, lambda: False)
        return Client(g.client.name, self._clock() + self._timeout_s(), hung_up)

    def _timeout_s(self) -> float:
        sent = request.headers.get("X-Request-Timeout")
        if sent is None:
            return self._longest_s
        seconds = float(sent) if _SECONDS.fullmatch(sent) else 0.0
        if seconds <= 0:
            raise BadRequest("X-Request-Timeout must be a number of seconds above 0.")
        return min(seconds, self._longest_s)
