"""Bodies on their way in: whole whatever pieces they came in, and never more than there is room for."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keylike.http_server.body_budget import BodyBudget, RequestBody

STEP = 32_768
ROOM = 30 * STEP


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def room(most: int = ROOM, clock: Clock | None = None) -> BodyBudget:
    """A room in which the time stands still."""
    return BodyBudget(most, clock or Clock())


def free(of: BodyBudget, count: int) -> bool:
    """Whether so much is left."""
    return of.take(RequestBody(0, of), count)


@given(
    st.lists(st.sampled_from([1, 2, 100, 32_767, 32_768, 70_000]), max_size=12),
    st.sampled_from([1000, 65_536, 1 << 20]),
)
def test_what_came_in_pieces_is_read_whole_and_in_order(sizes: list[int], at_a_time: int) -> None:
    pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
    body = RequestBody(10_000_000, room(10_000_000))
    for piece in pieces:
        body.append(piece)
    assert len(body) == sum(sizes)
    read = []
    while piece := body.read(at_a_time):
        assert len(piece) <= at_a_time
        read.append(piece)
    assert b"".join(read) == b"".join(pieces)


def test_read_at_once_it_is_whole_too() -> None:
    body = RequestBody(1000, room())
    for piece in (b"one ", b"two ", b"three"):
        body.append(piece)
    assert (body.read(4), body.read(), body.read()) == (b"one ", b"two three", b"")


def test_large_pieces_are_passed_on_as_they_are() -> None:
    body, piece = RequestBody(10_000_000, room(10_000_000)), bytes(100_000)
    body.append(piece)
    assert body.read(1 << 20) is piece


def test_tiny_pieces_do_not_take_many_times_their_bytes() -> None:
    body = RequestBody(10_000_000, room())
    for number in range(100_000):
        body.append(number.to_bytes(2, "big", signed=False) if number < 65_536 else b"xy")
    held = sys.getsizeof(body._crumbs) + sum(map(sys.getsizeof, body._pieces))
    assert held < 2 * len(body)


def test_above_its_limit_nothing_is_kept_but_all_is_counted() -> None:
    all_of_it = room()
    body = RequestBody(300_000, all_of_it)
    body.append(bytes(250_000))
    body.append(bytes(250_000))
    assert (len(body), body.read(), body.turned_away) == (500_000, b"", None)
    assert free(all_of_it, ROOM)


def test_what_there_is_no_room_for_is_turned_away_and_leaves_its_place() -> None:
    shared = room()
    first, second = RequestBody(5_000_000, shared), RequestBody(5_000_000, shared)
    first.append(bytes(200_000 + ROOM - STEP))
    second.append(bytes(150_000))
    second.append(bytes(300_000))
    assert (first.turned_away, second.turned_away) == (None, 1)
    assert (len(second), second.read()) == (450_000, b"")
    assert len(first.read()) == 200_000 + ROOM - STEP


def test_small_ones_ask_for_no_room() -> None:
    body = RequestBody(5_000_000, room(0))
    body.append(bytes(200_000))
    assert (body.turned_away, len(body.read())) == (None, 200_000)


def test_the_room_is_given_back_once() -> None:
    shared = room()
    body = RequestBody(5_000_000, shared)
    body.append(bytes(200_000 + ROOM))
    for _ in range(2):
        body.close()
    assert free(shared, ROOM)
    assert not free(shared, 1)


@pytest.mark.parametrize("trickles", [False, True])
def test_who_has_stalled_makes_room_for_others_the_longest_first(trickles: bool) -> None:
    clock = Clock()
    shared = room(clock=clock)
    bodies = [RequestBody(5_000_000, shared) for _ in range(3)]
    for body in bodies:
        body.append(bytes(200_000 + 10 * STEP - 10))
        clock.now += 1
    if trickles:
        for _ in range(3):
            clock.now += 0.5
            bodies[0].append(b".")
    clock.now = 4.9
    late = RequestBody(5_000_000, shared)
    late.append(bytes(200_000 + STEP))
    assert late.turned_away == 1, "nobody has stalled for five seconds"
    clock.now = 5.5
    later = RequestBody(5_000_000, shared)
    later.append(bytes(200_000 + STEP))
    assert [body.turned_away for body in (*bodies, later)] == [1, None, None, None]


def test_who_is_whole_has_not_stalled() -> None:
    clock = Clock()
    shared = room(clock=clock)
    whole = RequestBody(5_000_000, shared)
    whole.append(bytes(200_000 + ROOM))
    whole.arrived()
    clock.now = 60
    late = RequestBody(5_000_000, shared)
    late.append(bytes(200_000 + STEP))
    assert (whole.turned_away, late.turned_away) == (None, 1)
    assert len(whole.read()) == 200_000 + ROOM


@pytest.mark.parametrize("pieces", [[b""], [bytes(500_000)]])
def test_who_comes_when_all_is_full_leaves_nothing_here(pieces: list[bytes]) -> None:
    body = RequestBody(5_000_000, room(), turned_away=7)
    for piece in pieces:
        body.append(piece)
    assert (body.turned_away, body.read()) == (7, b"")
