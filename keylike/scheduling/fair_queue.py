"""Whose turn is next: callers take turns, and what one caller sent keeps its order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """What waits, by caller. Not safe between threads: whoever owns it holds a lock."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[T]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self._lanes.values())

    def put(self, client: str, item: T) -> None:
        """Behind all that this caller already has here; a caller who had nothing comes after the others."""
        self._lanes.setdefault(client, deque()).append(item)

    def take(self) -> T:
        """The oldest of the caller whose turn it is, who then comes last. Raises StopIteration where nothing waits."""
        client = next(iter(self._lanes))
        lane = self._lanes.pop(client)
        item = lane.popleft()
        if lane:
            self._lanes[client] = lane
        return item

    def remove(self, client: str, item: T) -> None:
        """Takes one out of its place. Raises KeyError or ValueError where it does not wait."""
        lane = self._lanes[client]
        lane.remove(item)
        if not lane:
            del self._lanes[client]
