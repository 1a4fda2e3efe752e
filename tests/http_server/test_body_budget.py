"""Tests of request bodies and of the limit on the memory of all bodies together."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keylike.http_server.body_budget import BodyBudget, RequestBody

STEP = 32_768
BUDGET = 30 * STEP


class Clock:
    """A clock that shows `now`, in seconds, which the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def new_budget(max_bytes: int = BUDGET, clock: Clock | None = None) -> BodyBudget:
    """Return a budget of `max_bytes`, with a clock that does not advance by itself."""
    return BodyBudget(max_bytes, clock or Clock())


@given(
    st.lists(st.sampled_from([1, 2, 100, 32_767, 32_768, 70_000]), max_size=12),
    st.sampled_from([1000, 65_536, 1 << 20]),
)
def test_request_body_that_is_read_in_parts_has_all_pieces_in_order(
    sizes: list[int], part_size: int
) -> None:
    pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
    body = RequestBody(10_000_000, new_budget(10_000_000))
    for piece in pieces:
        body.append(piece)
    assert len(body) == sum(sizes)
    parts = []
    while part := body.read(part_size):
        assert len(part) <= part_size
        parts.append(part)
    assert b"".join(parts) == b"".join(pieces)


def test_request_body_returns_the_rest_if_read_without_a_size() -> None:
    body = RequestBody(1000, new_budget())
    for piece in (b"one ", b"two ", b"three"):
        body.append(piece)
    assert (body.read(4), body.read(), body.read()) == (b"one ", b"two three", b"")


def test_large_piece_of_a_request_body_is_not_copied() -> None:
    body, piece = RequestBody(10_000_000, new_budget(10_000_000)), bytes(100_000)
    body.append(piece)
    assert body.read(1 << 20) is piece


def test_tiny_pieces_of_a_request_body_take_less_than_twice_their_size() -> None:
    body = RequestBody(10_000_000, new_budget())
    for number in range(100_000):
        body.append(number.to_bytes(2, "big", signed=False) if number < 65_536 else b"xy")
    held = sys.getsizeof(body._small_pieces) + sum(map(sys.getsizeof, body._pieces))
    assert held < 2 * len(body)


def test_request_body_above_its_limit_is_counted_but_not_kept() -> None:
    budget = new_budget()
    body = RequestBody(300_000, budget)
    body.append(bytes(250_000))
    body.append(bytes(250_000))
    assert (len(body), body.read(), body.retry_after_s) == (500_000, b"", None)
    assert budget.available == BUDGET


def test_request_body_beyond_the_budget_is_rejected_and_not_kept() -> None:
    budget = new_budget()
    first, second = RequestBody(5_000_000, budget), RequestBody(5_000_000, budget)
    first.append(bytes(200_000 + BUDGET - STEP))
    second.append(bytes(150_000))
    second.append(bytes(300_000))
    assert (first.retry_after_s, second.retry_after_s) == (None, 1)
    assert (len(second), second.read()) == (450_000, b"")
    assert len(first.read()) == 200_000 + BUDGET - STEP


def test_request_body_of_200_kb_is_accepted_without_any_budget() -> None:
    body = RequestBody(5_000_000, new_budget(0))
    body.append(bytes(200_000))
    assert (body.retry_after_s, len(body.read())) == (None, 200_000)


def test_request_body_that_is_closed_twice_frees_its_budget_once() -> None:
    budget = new_budget()
    body = RequestBody(5_000_000, budget)
    body.append(bytes(200_000 + BUDGET))
    assert budget.available == 0
    for _ in range(2):
        body.close()
    assert budget.available == BUDGET


@pytest.mark.parametrize("trickles", [False, True])
def test_full_body_budget_evicts_the_upload_that_stalled_longest(trickles: bool) -> None:
    clock = Clock()
    budget = new_budget(clock=clock)
    bodies = [RequestBody(5_000_000, budget) for _ in range(3)]
    for body in bodies:
        body.append(bytes(200_000 + 10 * STEP - 10))
        clock.now += 1
    if trickles:
        for _ in range(3):
            clock.now += 0.5
            bodies[0].append(b".")
    clock.now = 4.9
    early = RequestBody(5_000_000, budget)
    early.append(bytes(200_000 + STEP))
    assert early.retry_after_s == 1, (
        "no upload may be evicted before it has stalled for five seconds"
    )
    clock.now = 5.5
    later = RequestBody(5_000_000, budget)
    later.append(bytes(200_000 + STEP))
    assert [body.retry_after_s for body in (*bodies, later)] == [1, None, None, None]


def test_full_body_budget_does_not_evict_a_complete_body() -> None:
    clock = Clock()
    budget = new_budget(clock=clock)
    complete = RequestBody(5_000_000, budget)
    complete.append(bytes(200_000 + BUDGET))
    complete.mark_complete()
    clock.now = 60
    late = RequestBody(5_000_000, budget)
    late.append(bytes(200_000 + STEP))
    assert (complete.retry_after_s, late.retry_after_s) == (None, 1)
    assert len(complete.read()) == 200_000 + BUDGET


@pytest.mark.parametrize("pieces", [[b""], [bytes(500_000)]])
def test_request_body_that_is_rejected_from_the_start_keeps_nothing(pieces: list[bytes]) -> None:
    body = RequestBody(5_000_000, new_budget(), retry_after_s=7)
    for piece in pieces:
        body.append(piece)
    assert (body.retry_after_s, body.read()) == (7, b"")
