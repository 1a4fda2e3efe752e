"""Tests of admission control: the size of the queue, fair turns, deadlines and refusals."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from keylike.errors import BadImage, ClientGone, DeadlineExceeded, ModelLoading, Overloaded
from keylike.observability.photo_trace import TraceBuilder
from keylike.scheduling.admission import AdmissionControl, Capacity
from keylike.scheduling.client import Client
from keylike.scheduling.queue_metrics import LoadMeter
from tests.running import until

PATIENCE_S = 20


class Rig:
    """Admission control with one turn at a time, a clock that the test sets, and clients."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slots = AdmissionControl(7, LoadMeter(self.clock), clock=self.clock)
        self.slots.open(Capacity(turns=1, batch=1))
        self.threads = ThreadPoolExecutor(9)
        self.begun: list[str] = []
        self.go_on = threading.Event()

    def clock(self) -> float:
        """Return the time that the test has set, in seconds."""
        return self.now

    def ask(self, name: str, client: Client | None = None) -> Future[str]:
        """Wait for a turn in a thread, and keep it until `go_on` is set."""

        def work() -> str:
            with self.slots.turn(client or Client(), TraceBuilder(self.clock)):
                self.begun.append(name)
                assert self.go_on.wait(PATIENCE_S)
            return name

        return self.threads.submit(work)

    def occupy(self) -> Future[str]:
        """Take the only turn. Return when it is taken."""
        asked = self.ask("first")
        until(lambda: self.begun == ["first"])
        return asked

    def wait_for(self, waiting: int) -> None:
        """Wait until this number of clients wait for a turn."""
        until(lambda: len(self.slots.waiting_since()) == waiting)


@pytest.fixture
def rig() -> Iterator[Rig]:
    """Yield a `Rig`. Let its clients finish after the test."""
    rig = Rig()
    yield rig
    rig.go_on.set()
    rig.threads.shutdown()
    rig.slots.close()


def test_second_client_waits_until_the_first_has_finished_its_turn(rig: Rig) -> None:
    first = rig.occupy()
    second = rig.ask("second")
    rig.wait_for(1)
    assert rig.begun == ["first"]
    rig.go_on.set()
    assert (first.result(PATIENCE_S), second.result(PATIENCE_S)) == ("first", "second")
    assert rig.begun == ["first", "second"]
    assert rig.slots.in_flight == 0


def test_turn_is_free_again_after_an_error(rig: Rig) -> None:
    for _ in range(3):
        with (
            pytest.raises(BadImage),
            rig.slots.turn(Client(), TraceBuilder(rig.clock)),
        ):
            raise BadImage("broken")
    rig.go_on.set()
    assert rig.ask("next").result(PATIENCE_S) == "next"


def test_waiting_client_that_expires_or_disconnects_gets_no_turn(rig: Rig) -> None:
    rig.occupy()
    late = rig.ask("late", Client(deadline=5.0))
    gone = rig.ask("gone", Client(hung_up=lambda: rig.now > 0))
    rig.wait_for(2)
    rig.now = 6.0
    rig.go_on.set()
    for asked, error in ((late, DeadlineExceeded), (gone, ClientGone)):
        with pytest.raises(error):
            asked.result(PATIENCE_S)
    assert rig.begun == ["first"]


def test_closing_refuses_waiting_and_new_clients(rig: Rig) -> None:
    first = rig.occupy()
    second = rig.ask("second")
    rig.wait_for(1)
    rig.slots.close()
    with pytest.raises(ModelLoading):
        second.result(PATIENCE_S)
    rig.go_on.set()
    assert first.result(PATIENCE_S) == "first"
    with pytest.raises(ModelLoading):
        rig.ask("after").result(PATIENCE_S)
    with pytest.raises(ModelLoading), rig.slots.admit(1):
        raise AssertionError("the request was admitted")
    assert rig.slots.retry_after_s() is None


def test_no_request_is_admitted_before_an_engine_is_ready() -> None:
    slots = AdmissionControl(1, LoadMeter(lambda: 0.0), clock=lambda: 0.0)
    with pytest.raises(ModelLoading), slots.admit(1):
        raise AssertionError("the request was admitted")
    with pytest.raises(ModelLoading), slots.turn(Client(), TraceBuilder(slots.clock)):
        raise AssertionError("the client got a turn")
    assert slots.retry_after_s() is None


def test_request_with_several_photos_takes_as_many_places_in_the_queue(rig: Rig) -> None:
    # Eight photos fit: seven that wait and one that is read.
    with rig.slots.admit(5) as permit:
        with pytest.raises(Overloaded), rig.slots.admit(4):
            raise AssertionError("the request was admitted")
        for _ in range(2):
            with permit.one():
                pass
        with rig.slots.admit(3):
            pass
    with rig.slots.admit(8):
        pass
    assert rig.slots.admitted == 0


def test_one_client_cannot_take_the_last_quarter_of_the_queue() -> None:
    slots = AdmissionControl(63, LoadMeter(lambda: 0.0), clock=lambda: 0.0)
    slots.open(Capacity(turns=1, batch=1))
    heavy = Client("heavy")
    with ExitStack() as held:
        admitted = 0
        for _ in range(120):
            try:
                held.enter_context(slots.admit(1, heavy))
                admitted += 1
            except Overloaded:
                continue
        assert admitted == 48, "one client may take three quarters of the 64 places in the queue"
        for number in range(8):
            held.enter_context(slots.admit(1, Client(f"other {number}")))
        with pytest.raises(Overloaded), slots.admit(1, heavy):
            raise AssertionError("the heavy client may not take more than three quarters")
        with pytest.raises(Overloaded), slots.admit(9, Client("batch")):
            raise AssertionError("one request may not take the places of several clients")
    assert slots.admitted == 0
    with slots.admit(1, heavy):
        assert slots.admitted == 1


def test_request_larger_than_the_queue_is_admitted_if_the_queue_is_empty(rig: Rig) -> None:
    with rig.slots.admit(100), pytest.raises(Overloaded), rig.slots.admit(1):
        raise AssertionError("the request was admitted")
    with rig.slots.admit(1), pytest.raises(Overloaded), rig.slots.admit(100):
        raise AssertionError("the request was admitted")


def test_place_in_the_queue_is_freed_only_once(rig: Rig) -> None:
    """End the request before one of its photos, as a slow helper thread can."""
    with rig.slots.admit(2) as permit:
        late = permit.one()
        late.__enter__()
    late.__exit__(None, None, None)
    assert rig.slots.admitted == 0


def test_client_name_is_not_shown_in_repr() -> None:
    assert "canary" not in repr(Client("canary"))


def test_server_whose_turns_are_all_held_for_too_long_is_stuck() -> None:
    now = 0.0
    slots = AdmissionControl(7, LoadMeter(lambda: now), longest_s=30.0, clock=lambda: now)
    slots.open(Capacity(turns=2, batch=1))
    trace = TraceBuilder(lambda: now)
    with ExitStack() as first:
        first.enter_context(slots.turn(Client(), trace))
        now = 31.0
        assert not slots.is_stuck(), "the second turn is free"
        with slots.turn(Client(), trace):
            assert not slots.is_stuck(), "the second turn has just begun"
            now = 62.0
            assert slots.is_stuck()
            with pytest.raises(Overloaded), slots.admit(1):
                pass
        assert not slots.is_stuck()
    with slots.admit(1):
        pass
