"""The client of a request in the queue: a name for fairness, a deadline and a connection."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from keylike.errors import RETRY_AFTER_S, ClientGone, DeadlineExceeded, KeylikeError, ModelLoading

# Interval in seconds at which the queue checks whether a waiting client is still connected.
POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Client:
    """The sender of one request.

    Attributes:
        name: Identifies the client, so that clients can take turns. It is a digest and never
            logged.
        deadline: Time, in seconds of the queue's clock, until which the client waits.
        hung_up: Returns True if the client has closed the connection. It is called often, so it
            must not block.
    """

    name: str = field(default="", repr=False)
    deadline: float = math.inf
    hung_up: Callable[[], bool] = field(default=lambda: False, repr=False)

    def failure(self, now: float) -> KeylikeError | None:
        """Return why the client no longer waits at the time `now`, or None if it still waits."""
        if self.hung_up():
            return ClientGone("The client disconnected before the answer was ready.")
        if now >= self.deadline:
            return DeadlineExceeded(
                "The photo could not be read in the time that the request may take."
            )
        return None

    def time_left(self, now: float) -> float:
        """Return the seconds to wait before calling this again, at most `POLL_S`.

        Raises:
            ClientGone: The client has disconnected.
            DeadlineExceeded: Its deadline has passed.
        """
        failure = self.failure(now)
        if failure is not None:
            raise failure
        return min(POLL_S, max(0.0, self.deadline - now))


# A client that waits without limit and never disconnects.
NO_CLIENT = Client()


def shutting_down() -> ModelLoading:
    """Return the error for photos that wait or arrive when the queue is closed."""
    return ModelLoading("The server is shutting down.", retry_after_s=RETRY_AFTER_S)
