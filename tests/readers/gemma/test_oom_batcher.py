"""Tests that only one thread at a time runs the model, and that batches that do not fit shrink.

Only a single photo that does not fit into memory is refused with status 503.
"""

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


class FakeGpu:
    """Fake GPU that raises PyTorch's error for batches of more than `capacity` items.

    `run` blocks until `unblocked` is set.
    """

    def __init__(self, capacity: int, error: BaseException | None = None) -> None:
        self.capacity = capacity
        self.error = error or torch.OutOfMemoryError("CUDA out of memory")
        self.batch_sizes: list[int] = []
        self.freed = 0
        self.running = 0
        self.started = threading.Event()
        self.unblocked = threading.Event()
        self.unblocked.set()

    def run(self, items: Sequence[int]) -> list[int]:
        """Double every item."""
        self.running += 1
        assert self.running == 1, "two threads must not run the model at the same time"
        self.batch_sizes.append(len(items))
        self.started.set()
        assert self.unblocked.wait(20)
        self.running -= 1
        if len(items) > self.capacity:
            raise self.error
        return [2 * item for item in items]

    def free(self) -> None:
        """Count this call."""
        self.freed += 1


def batcher(gpu: FakeGpu, max_batch: int) -> Any:
    """Return a batcher that runs batches on the fake GPU."""
    from keylike.readers.gemma.oom_batcher import AdaptiveBatcher

    return AdaptiveBatcher(gpu.run, max_batch, gpu.free)


def test_items_for_several_batches_are_run_in_sequence() -> None:
    gpu = FakeGpu(capacity=4)
    assert batcher(gpu, 4).run(list(range(10))) == [2 * item for item in range(10)]
    assert gpu.batch_sizes == [4, 4, 2] and gpu.freed == 0
    assert batcher(gpu, 4).run([]) == []


def test_batch_that_does_not_fit_into_memory_is_halved() -> None:
    gpu = FakeGpu(capacity=2)
    assert batcher(gpu, 8).run(list(range(9))) == [2 * item for item in range(9)]
    assert gpu.batch_sizes == [8, 4, 2, 2, 4, 2, 2, 1]
    assert gpu.freed == 3


def test_memory_of_a_failed_batch_is_free_before_the_next_attempt() -> None:
    """Check that a failed batch is not kept in memory by the traceback of its error."""
    references: list[weakref.ref[FakeGpu]] = []
    alive: list[bool] = []

    def run(items: Sequence[int]) -> list[int]:
        tensors = FakeGpu(0)
        references.append(weakref.ref(tensors))
        if len(items) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return list(items)

    from keylike.readers.gemma.oom_batcher import AdaptiveBatcher

    assert AdaptiveBatcher(run, 2, lambda: alive.append(references[-1]() is not None)).run(
        [1, 2]
    ) == [
        1,
        2,
    ]
    assert alive == [False]


def test_concurrent_calls_run_one_after_the_other() -> None:
    gpu = FakeGpu(capacity=4)
    batches = batcher(gpu, 4)
    gpu.unblocked.clear()
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(batches.run, [item]) for item in range(8)]
        assert gpu.started.wait(20)
        gpu.unblocked.set()
        assert [future.result(20) for future in futures] == [[2 * item] for item in range(8)]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["gpu", "python", "processor"],
)
def test_single_item_that_does_not_fit_into_memory_raises_overloaded(
    error: BaseException,
) -> None:
    gpu = FakeGpu(0, error)
    batches = batcher(gpu, 4)
    with pytest.raises(Overloaded) as refused:
        batches.run([1])
    assert refused.value.retry_after_s > 0 and gpu.freed == 1
    gpu.capacity = 4
    assert batches.run([1]) == [2]


def test_other_errors_of_the_model_are_raised() -> None:
    gpu = FakeGpu(0, RuntimeError("shapes do not match"))
    batches = batcher(gpu, 4)
    with pytest.raises(RuntimeError, match="shapes"):
        batches.run([1, 2])
    gpu.capacity = 4
    assert batches.run([3]) == [6]
