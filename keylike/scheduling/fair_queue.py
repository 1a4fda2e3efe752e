"""A queue in which clients take turns. Items of one client keep their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """A queue of items by client. It is not thread-safe, so the caller must hold a lock."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[T]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self._lanes.values())

    def put(self, client: str, item: T) -> None:
        """Append an item for a client. A client without waiting items gets the last turn."""
        self._lanes.setdefault(client, deque()).append(item)

    def take(self) -> T:
        """Remove and return the oldest item of the client whose turn it is.

        Raises:
            StopIteration: The queue is empty.
        """
        client = next(iter(self._lanes))
        lane = self._lanes.pop(client)
        item = lane.popleft()
        if lane:
            self._lanes[client] = lane
        return item

    def remove(self, client: str, item: T) -> None:
        """Remove an item from any position.

        Raises:
            KeyError, ValueError: The item is not in the queue.
        """
        lane = self._lanes[client]
        lane.remove(item)
        if not lane:
            del self._lanes[client]
