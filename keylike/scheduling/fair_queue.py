"""A queue in which clients take turns; items of one client keep their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Waiting items by client. Not thread-safe: the owner holds a lock."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[T]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self._lanes.values())

    def put(self, client: str, item: T) -> None:
        """Append an item to its client's lane. A new client takes its turn after the others."""
        self._lanes.setdefault(client, deque()).append(item)

    def take(self) -> T:
        """Remove and return the next client's oldest item. Raise StopIteration if empty."""
        client = next(iter(self._lanes))
        lane = self._lanes.pop(client)
        item = lane.popleft()
        if lane:
            self._lanes[client] = lane
        return item

    def remove(self, client: str, item: T) -> None:
        """Remove one item from the middle. Raise KeyError or ValueError if it does not wait."""
        lane = self._lanes[client]
        lane.remove(item)
        if not lane:
            del self._lanes[client]
