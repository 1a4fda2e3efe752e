"""One thread owns the model, and memory that runs short makes batches smaller before it makes a 503."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from utils.errors import Overloaded

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.gemma


class Card:
    """A GPU with room for so many at once; PyTorch's own error where they are more."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.tried: list[int] = []
        self.freed = 0

    def run(self, items: Sequence[int]) -> list[int]:
        """Doubles every item."""
        self.tried.append(len(items))
        if len(items) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [2 * item for item in items]

    def free(self) -> None:
        """Counts."""
        self.freed += 1


def batches(card: Card, items: Sequence[int], size: int) -> list[int]:
    """Through the engine's own loop."""
    from readers.gemma.engine import in_batches

    return in_batches(card.run, items, size, card.free)


def test_everything_in_order_in_batches_of_the_given_size() -> None:
    card = Card(room=4)
    assert batches(card, range(10), 4) == [2 * item for item in range(10)]
    assert card.tried == [4, 4, 2] and card.freed == 0


def test_a_batch_that_does_not_fit_is_halved_and_nothing_is_lost() -> None:
    card = Card(room=3)
    assert batches(card, range(10), 8) == [2 * item for item in range(10)]
    assert card.tried == [8, 4, 2, 2, 2, 2, 2]
    assert card.freed == 2


def test_a_single_one_that_does_not_fit_is_overloaded_and_the_next_still_runs() -> None:
    card = Card(room=0)
    with pytest.raises(Overloaded) as refused:
        batches(card, range(4), 4)
    assert refused.value.retry_after_s > 0
    assert card.tried == [4, 2, 1] and card.freed == 3
    card.room = 4
    assert batches(card, range(4), 4) == [0, 2, 4, 6]


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    def broken(items: Sequence[int]) -> list[int]:
        raise RuntimeError("shapes do not match")

    from readers.gemma.engine import in_batches

    with pytest.raises(RuntimeError, match="shapes"):
        in_batches(broken, [1, 2], 2, lambda: None)
