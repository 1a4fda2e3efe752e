"""Work done beside the reader, in a turn to decode: within the same bounds, fair, and dropped where nobody wants it any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from keylike.errors import BadImage, ClientGone, DeadlineExceeded, ModelLoading
from keylike.images.photo import open_photo
from keylike.scheduling.scheduler import Client, Scheduler
from tests.fakes import ColourReader
from tests.running import until
from tools.plain_pictures import RED, plain

PATIENCE_S = 20


class House:
    """A scheduler of one turn at a time, and callers in threads of their own, at a time that stands still."""

    def __init__(self) -> None:
        self.now = 0.0
        self.scheduler = Scheduler(ColourReader, queue=9, threads=1, clock=lambda: self.now)
        self.threads = ThreadPoolExecutor(9)
        self.begun: list[str] = []
        self.go_on = threading.Event()

    def ask(self, name: str, caller: Client | None = None) -> Future[str]:
        """Work that ends when it may."""

        def work() -> str:
            self.begun.append(name)
            assert self.go_on.wait(PATIENCE_S)
            return name

        return self.threads.submit(self.scheduler.beside, work, caller or Client())

    def busy(self) -> Future[str]:
        """Somebody has the only turn."""
        asked = self.ask("first")
        until(lambda: self.begun == ["first"])
        return asked


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.go_on.set()
    made.threads.shutdown()
    made.scheduler.close()


def test_it_waits_for_its_turn_and_gives_it_back(house: House) -> None:
    first = house.busy()
    second = house.ask("second")
    with pytest.raises(TimeoutError):
        second.result(0.05)
    house.go_on.set()
    assert (first.result(PATIENCE_S), second.result(PATIENCE_S)) == ("first", "second")
    assert house.begun == ["first", "second"]


def test_photos_for_the_reader_wait_for_the_same_turns(house: House) -> None:
    house.busy()
    decoded = threading.Event()

    def decode() -> object:
        decoded.set()
        return open_photo(plain(RED))

    read = house.threads.submit(house.scheduler.read, decode, Client())  # type: ignore[arg-type]
    assert not decoded.wait(0.05)
    house.go_on.set()
    assert read.result(PATIENCE_S)


def test_a_failure_is_the_callers_and_the_turn_goes_on(house: House) -> None:
    def fail() -> str:
        raise BadImage("broken")

    house.go_on.set()
    for _ in range(3):
        with pytest.raises(BadImage):
            house.scheduler.beside(fail, Client())
    assert house.ask("next").result(PATIENCE_S) == "next"


def test_who_runs_out_of_time_or_hangs_up_while_waiting_is_not_begun(house: House) -> None:
    house.busy()
    late, gone = (
        house.ask("late", Client(deadline=5.0)),
        house.ask("gone", Client(hung_up=lambda: house.now > 0)),
    )
    house.now = 6.0
    house.go_on.set()
    for asked, error in ((late, DeadlineExceeded), (gone, ClientGone)):
        with pytest.raises(error):
            asked.result(PATIENCE_S)
    assert house.begun == ["first"]


def test_what_comes_too_late_is_not_given(house: House) -> None:
    asked = house.ask("slow", Client(deadline=5.0))
    until(lambda: house.begun == ["slow"])
    house.now = 6.0
    house.go_on.set()
    with pytest.raises(DeadlineExceeded):
        asked.result(PATIENCE_S)


def test_who_waits_when_it_closes_is_turned_away(house: House) -> None:
    first = house.busy()
    second = house.ask("second")
    with pytest.raises(TimeoutError):
        second.result(0.05)
    house.scheduler.close(0.1)
    with pytest.raises(ModelLoading):
        second.result(PATIENCE_S)
    house.go_on.set()
    assert first.result(PATIENCE_S) == "first"
    with pytest.raises(ModelLoading):
        house.scheduler.beside(lambda: "after", Client())
