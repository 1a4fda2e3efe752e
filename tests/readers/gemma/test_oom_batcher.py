"""One thread at a time runs the model, and memory that runs short makes batches smaller before it makes a 503."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from keylike.errors import Overloaded

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.gemma


class Card:
    """A GPU with room for so many at once; PyTorch's own error where they are more. Holds its work until `open` is set."""

    def __init__(self, room: int, error: BaseException | None = None) -> None:
        self.room, self.error = room, error or torch.OutOfMemoryError("CUDA out of memory")
        self.tried: list[int] = []
        self.freed, self.within = 0, 0
        self.begun, self.open = threading.Event(), threading.Event()
        self.open.set()

    def run(self, items: Sequence[int]) -> list[int]:
        """Doubles every item."""
        self.within += 1
        assert self.within == 1, "two threads at once"
        self.tried.append(len(items))
        self.begun.set()
        assert self.open.wait(20)
        self.within -= 1
        if len(items) > self.room:
            raise self.error
        return [2 * item for item in items]

    def free(self) -> None:
        """Counts."""
        self.freed += 1


def desk(card: Card, most: int) -> Any:
    """A desk before it."""
    from keylike.readers.gemma.oom_batcher import AdaptiveBatcher

    return AdaptiveBatcher(card.run, most, card.free)


def test_more_than_fit_go_one_batch_behind_the_other() -> None:
    card = Card(room=4)
    assert desk(card, 4).ask(list(range(10))) == [2 * item for item in range(10)]
    assert card.tried == [4, 4, 2] and card.freed == 0
    assert desk(card, 4).ask([]) == []


def test_a_batch_that_does_not_fit_is_halved_and_nothing_is_lost() -> None:
    card = Card(room=2)
    assert desk(card, 8).ask(list(range(9))) == [2 * item for item in range(9)]
    assert card.tried == [8, 4, 2, 2, 4, 2, 2, 1]
    assert card.freed == 3


def test_what_a_failed_batch_held_is_free_before_it_is_tried_again() -> None:
    """The traceback of the error would hold it."""
    held: list[weakref.ref[Card]] = []
    alive: list[bool] = []

    def run(items: Sequence[int]) -> list[int]:
        tensors = Card(0)
        held.append(weakref.ref(tensors))
        if len(items) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return list(items)

    from keylike.readers.gemma.oom_batcher import AdaptiveBatcher

    assert AdaptiveBatcher(run, 2, lambda: alive.append(held[-1]() is not None)).ask([1, 2]) == [
        1,
        2,
    ]
    assert alive == [False]


def test_one_thread_at_a_time_runs_it() -> None:
    card = Card(room=4)
    table = desk(card, 4)
    card.open.clear()
    with ThreadPoolExecutor(8) as callers:
        asked = [callers.submit(table.ask, [item]) for item in range(8)]
        assert card.begun.wait(20)
        card.open.set()
        assert [one.result(20) for one in asked] == [[2 * item] for item in range(8)]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["gpu", "python", "processor"],
)
def test_a_single_one_that_does_not_fit_is_overloaded_and_the_next_still_runs(
    error: BaseException,
) -> None:
    card = Card(0, error)
    table = desk(card, 4)
    with pytest.raises(Overloaded) as refused:
        table.ask([1])
    assert refused.value.retry_after_s > 0 and card.freed == 1
    card.room = 4
    assert table.ask([1]) == [2]


def test_other_errors_go_up_and_the_next_still_runs() -> None:
    card = Card(0, RuntimeError("shapes do not match"))
    table = desk(card, 4)
    with pytest.raises(RuntimeError, match="shapes"):
        table.ask([1, 2])
    card.room = 4
    assert table.ask([3]) == [6]
