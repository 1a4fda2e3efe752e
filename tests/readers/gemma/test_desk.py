"""One thread owns the model, whoever waits shares a batch, and memory that runs short makes batches smaller before it makes a 503."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from utils.errors import Overloaded

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.gemma


class Card:
    """A GPU with room for so many at once; PyTorch's own error where they are more. Holds its work until `open` is set."""

    def __init__(self, room: int, error: BaseException | None = None) -> None:
        self.room, self.error = room, error or torch.OutOfMemoryError("CUDA out of memory")
        self.tried: list[int] = []
        self.threads: set[int] = set()
        self.freed, self.within = 0, 0
        self.begun, self.open = threading.Event(), threading.Event()
        self.open.set()

    def run(self, items: Sequence[int]) -> list[int]:
        """Doubles every item."""
        self.within += 1
        assert self.within == 1, "two threads at once"
        self.tried.append(len(items))
        self.threads.add(threading.get_ident())
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
    from readers.gemma.desk import Desk

    return Desk(card.run, most, card.free)


def ask_at_once(card: Card, most: int, count: int) -> list[int]:
    """All items wait when the first batch, a lone 100, is done."""
    table = desk(card, most)
    card.open.clear()
    with ThreadPoolExecutor(2) as callers:
        first = callers.submit(table.ask, [100])
        assert card.begun.wait(20)
        rest = callers.submit(table.ask, list(range(count)))
        while table._waiting.qsize() < count:
            pass
        card.open.set()
        assert first.result(20) == [200]
        return list(rest.result(20))


def test_whoever_waits_shares_a_batch() -> None:
    card = Card(room=4)
    assert ask_at_once(card, 4, 10) == [2 * item for item in range(10)]
    assert card.tried == [1, 4, 4, 2] and card.freed == 0


def test_a_batch_that_does_not_fit_is_halved_and_nothing_is_lost() -> None:
    card = Card(room=2)
    assert ask_at_once(card, 8, 8) == [2 * item for item in range(8)]
    assert card.tried == [1, 8, 4, 2, 2, 4, 2, 2]
    assert card.freed == 3


def test_one_thread_runs_it_however_many_ask() -> None:
    card = Card(room=4)
    table = desk(card, 4)
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(table.ask, [[item] for item in range(40)]))
    assert answers == [[2 * item] for item in range(40)]
    assert len(card.threads) == 1 and card.threads != {threading.get_ident()}


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")],
    ids=["gpu", "python", "processor"],
)
def test_a_single_one_that_does_not_fit_is_overloaded_and_the_next_still_runs(error: BaseException) -> None:
    card = Card(0, error)
    table = desk(card, 4)
    with pytest.raises(Overloaded) as refused:
        table.ask([1])
    assert refused.value.retry_after_s > 0 and card.freed == 1
    card.room = 4
    assert table.ask([1]) == [2]


def test_other_errors_are_told_to_whoever_asked_and_the_desk_stays_open() -> None:
    card = Card(0, RuntimeError("shapes do not match"))
    table = desk(card, 4)
    with pytest.raises(RuntimeError, match="shapes"):
        table.ask([1, 2])
    card.room = 4
    assert table.ask([3]) == [6]
