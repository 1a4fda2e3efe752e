"""Whose turn is next: callers take turns, and what one caller sent keeps its order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import Generic, TypeVar

T = TypeVar("T")


class Line(Generic[T]):
    """What waits, by caller. Not safe between threads: whoever owns it holds a lock."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[T]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self._lanes.values())

    def put(self, caller: str, item: T) -> None:
        """Behind all that this caller already has here; a caller who had nothing comes after the others."""
        self._lanes.setdefault(caller, deque()).append(item)

    def take(self) -> T:
        """The oldest of the caller whose turn it is, who then comes last. Raises StopIteration where nothing waits."""
        caller = next(iter(self._lanes))
        lane = self._lanes.pop(caller)
        item = lane.popleft()
        if lane:
            self._lanes[caller] = lane
        return item

    def remove(self, caller: str, item: T) -> None:
        """Takes one out of its place. Raises KeyError or ValueError where it does not wait."""
        lane = self._lanes[caller]
        lane.remove(item)
        if not lane:
            del self._lanes[caller]
