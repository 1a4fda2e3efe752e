"""Tests of quotas and of the moving time windows in memory that count photos per client."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keylike.access.quotas import Quotas, Windows
from keylike.access.tokens import Tier, Token


class FakeClocks:
    """A monotonic clock and a wall clock that a test sets independently."""

    def __init__(self) -> None:
        self.now = 50.0
        self.wall = 1_795_000_000.0

    def windows(self, max_names: int = 100) -> Windows:
        """Return an in-memory storage of moving windows that uses these clocks."""
        return Windows(
            "keylike-memory://", clock=lambda: self.now, wall=lambda: self.wall, max_names=max_names
        )


@given(
    st.lists(st.tuples(st.floats(0, 30), st.integers(1, 4)), max_size=60),
    st.integers(1, 6),
    st.integers(1, 60),
)
def test_acquire_entry_never_exceeds_the_limit_in_any_window(
    steps: list[tuple[float, int]], limit: int, expiry: int
) -> None:
    time = FakeClocks()
    taken: list[float] = []
    windows = time.windows()
    for wait, amount in steps:
        time.now += wait
        inside = [moment for moment in taken if moment > time.now - expiry]
        assert windows.get_moving_window("name", limit, expiry)[1] == len(inside)
        let_in = windows.acquire_entry("name", limit, expiry, amount)
        assert let_in == (len(inside) + amount <= limit)
        taken += [time.now] * amount if let_in else []


def test_acquire_entry_ignores_jumps_of_the_wall_clock() -> None:
    time = FakeClocks()
    windows = time.windows()
    assert windows.acquire_entry("name", 1, 60)
    for jump in (86_400.0, -172_800.0):
        time.wall += jump
        assert not windows.acquire_entry("name", 1, 60)
        time.now += 30
        start, count = windows.get_moving_window("name", 1, 60)
        if count:
            assert start == time.wall - 30
    time.now += 1
    assert windows.acquire_entry("name", 1, 60)


def test_acquire_entry_drops_the_client_that_was_idle_longest() -> None:
    windows = FakeClocks().windows(max_names=3)
    for name in ("a", "b", "c", "a", "d"):
        windows.acquire_entry(name, 5, 60)
    kept = {name: windows.get_moving_window(name, 5, 60)[1] for name in "abcd"}
    assert kept == {"a": 2, "b": 0, "c": 1, "d": 1}
    assert windows.reset() == 3


def test_quotas_of_returns_the_limit_of_the_tier() -> None:
    quotas = Quotas("1 per day", "2 per day", "3 per day")
    found = [quotas.of(Token("phone", tier, created=0.0)) for tier in Tier]
    assert [quotas.of(None), *found] == ["1 per day", "2 per day", "3 per day", ""]
