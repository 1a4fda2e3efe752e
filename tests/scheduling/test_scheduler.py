"""The queue before the reader: batches, fairness, deadlines, callers who hang up, and a plain no where it is full."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest

from keylike.errors import BadImage, ClientGone, DeadlineExceeded, ModelLoading, Overloaded
from keylike.images.photo import Photo, open_photo
from keylike.readers.contract import ReaderInfo, Reading, Reason, Unreadable
from keylike.scheduling.scheduler import Client, Result, Scheduler
from tests.fakes import ColourReader
from tests.running import until
from tools.plain_pictures import BLUE, GREEN, RED, plain

PATIENCE_S = 20
SPOILT = (90, 90, 20)


class Bench(ColourReader):
    """Holds each batch until it may go on; counts what it was given, and breaks down over a photo of SPOILT colour."""

    def __init__(self, max_batch: int, workers: int | None) -> None:
        super().__init__()
        self._shape = max_batch, workers
        self.batches: list[list[tuple[int, ...]]] = []
        self.open = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.error: BaseException = RuntimeError("shapes do not match")
        self.seconds: Callable[[], None] = lambda: None

    @property
    def info(self) -> ReaderInfo:
        """As many at a time, from as many threads."""
        return replace(super().info, max_batch=self._shape[0], workers=self._shape[1])

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """Reads once it may."""
        self.batches.append([colour(photo) for photo in photos])
        self.begun.release()
        assert self.open.acquire(timeout=PATIENCE_S)
        self.seconds()
        if any(close(colour(photo), SPOILT) for photo in photos):
            raise self.error
        return super().read(photos)

    def go_on(self, batches: int = 100) -> None:
        """Lets so many batches through."""
        self.open.release(batches)


class House:
    """A scheduler before a bench, at a time that stands still, and callers in threads of their own."""

    def __init__(
        self,
        max_batch: int = 1,
        workers: int | None = 1,
        queue: int = 64,
        threads: int = 2,
        longest_s: float = 30.0,
    ) -> None:
        self.now = 0.0
        self.reader = Bench(max_batch, workers)
        self.scheduler = Scheduler(
            lambda: self.reader,
            queue=queue,
            threads=threads,
            longest_s=longest_s,
            clock=lambda: self.now,
        )
        self.threads = ThreadPoolExecutor(64)

    def ask(
        self, picture: tuple[int, int, int] = RED, caller: Client | None = None
    ) -> Future[Result]:
        """A request of one photo, as the server makes it; returns when it is inside."""
        inside = threading.Event()

        def request() -> Result:
            try:
                with self.scheduler.admit(1):
                    inside.set()
                    return self.scheduler.read(
                        lambda: open_photo(plain(picture)), caller or Client()
                    )
            finally:
                inside.set()

        asked = self.threads.submit(request)
        assert inside.wait(PATIENCE_S)
        return asked

    def ask_in_line(
        self, *pictures: tuple[int, int, int], caller: Client | None = None
    ) -> list[Future[Result]]:
        """The same for several, one behind the other; returns when all of them wait, and those whose turn it was are decoded."""
        asked, before = [], self.waiting()
        for count, picture in enumerate(pictures, 1):
            asked.append(self.ask(picture, caller))
            until(partial(lambda least: self.waiting() >= least, before + count))
        until(lambda: self.scheduler._decoding == 0)
        return asked

    def occupy(self) -> Future[Result]:
        """Keeps a worker busy."""
        before = len(self.reader.batches)
        asked = self.ask()
        until(lambda: len(self.reader.batches) > before)
        return asked

    def waiting(self) -> int:
        """Photos that the reader has not begun."""
        with self.scheduler._lock:
            return (
                len(self.scheduler._waiting)
                + self.scheduler._decoding
                + len(self.scheduler._decoded)
            )


def colour(photo: Photo) -> tuple[int, ...]:
    """The colour of a photo's first pixel."""
    return tuple(int(value) for value in photo.pixels[0, 0])


def close(one: Sequence[int], other: Sequence[int]) -> bool:
    """The same but for what JPEG makes of it."""
    return all(abs(a - b) < 12 for a, b in zip(one, other, strict=True))


def reds(*shades: int) -> list[tuple[int, int, int]]:
    """Colours that tell photos apart."""
    return [(shade, 20, 20) for shade in shades]


@pytest.fixture
def make() -> Iterator[Callable[..., House]]:
    """Makes houses, and lets everybody in them go home afterwards."""
    made: list[House] = []

    def house(**shape: object) -> House:
        made.append(House(**shape))  # type: ignore[arg-type]
        return made[-1]

    yield house
    for each in made:
        each.reader.go_on(1000)
        each.scheduler.close()
        each.threads.shutdown()


Make = Callable[..., House]


def test_whoever_waits_shares_a_batch_and_each_gets_its_own_result(make: Make) -> None:
    house = make(max_batch=4)
    first = house.occupy()
    rest = house.ask_in_line(RED, GREEN, BLUE, RED, GREEN)
    house.reader.go_on()
    results = [asked.result(PATIENCE_S) for asked in [first, *rest]]
    told = [one.codes if isinstance(one, Reading) else one.reason for one in results]
    red, green = (2, 5, 4, 7, 3), (1, 1, 1, 1, 1)
    assert told == [red, red, green, Reason.NOT_A_KEY, red, green]
    assert [len(batch) for batch in house.reader.batches] == [1, 4, 1]


def test_as_many_threads_ask_the_reader_as_it_wants(make: Make) -> None:
    house = make(workers=3)
    for _ in range(3):
        house.occupy()
    house.ask_in_line(RED)
    assert [len(batch) for batch in house.reader.batches] == [1, 1, 1]


def test_idle_nothing_is_waited_for(make: Make) -> None:
    """The clock stands still, so any wait for a fuller batch would have no end."""
    house = make(max_batch=4)
    house.scheduler._batch_s = 10.0
    house.occupy()


@pytest.mark.parametrize("over", [False, True], ids=["comes in time", "comes too late"])
def test_a_batch_waits_a_little_for_what_is_being_decoded(make: Make, over: bool) -> None:
    house = make(max_batch=2)
    house.scheduler._batch_s = 10.0
    decoding, go_on = threading.Event(), threading.Event()

    def slowly() -> Photo:
        decoding.set()
        assert go_on.wait(PATIENCE_S)
        return open_photo(plain(GREEN))

    slow = house.threads.submit(house.scheduler.read, slowly, Client())
    assert decoding.wait(PATIENCE_S)
    taken = threading.Event()

    def looked_at() -> bool:
        if threading.current_thread().name == "reader":
            taken.set()
        return False

    quick = house.ask(caller=Client(hung_up=looked_at))
    assert taken.wait(PATIENCE_S)
    assert house.waiting() == 1 and not house.reader.batches
    if over:
        house.now += 0.06
        assert house.reader.begun.acquire(timeout=PATIENCE_S)
    go_on.set()
    house.reader.go_on()
    assert isinstance(quick.result(PATIENCE_S), Reading) and isinstance(
        slow.result(PATIENCE_S), Reading
    )
    assert [len(batch) for batch in house.reader.batches] == ([1, 1] if over else [2])


@pytest.mark.parametrize("error", [RuntimeError("shapes"), SystemExit(1)], ids=["error", "exit"])
def test_a_photo_that_breaks_the_reader_spoils_only_itself(
    make: Make, error: BaseException
) -> None:
    house = make(max_batch=4)
    house.reader.error = error
    house.occupy()
    asked = house.ask_in_line(RED, SPOILT, GREEN, BLUE)
    house.reader.go_on()
    kinds = [type(one.exception(PATIENCE_S) or one.result()) for one in asked]
    assert kinds == [Reading, RuntimeError, Reading, Unreadable]
    assert [len(batch) for batch in house.reader.batches] == [1, 4, 1, 1, 1, 1]


def test_a_picture_that_cannot_be_decoded_leaves_its_turn_to_others(make: Make) -> None:
    house = make(threads=1)
    house.reader.go_on()
    for _ in range(3):
        with pytest.raises(BadImage):
            house.scheduler.read(lambda: open_photo(b"\xff\xd8\xff"), Client())
    assert isinstance(house.ask().result(PATIENCE_S), Reading)


def test_callers_take_turns_whether_decoded_or_not(make: Make) -> None:
    house = make(threads=1)
    house.occupy()
    first = house.ask_in_line(*reds(100, 110, 120, 130, 140, 150, 160, 170), caller=Client("first"))
    second = house.ask_in_line(*reds(230, 250), caller=Client("second"))
    house.reader.go_on()
    for asked in first + second:
        asked.result(PATIENCE_S)
    order = [round(batch[0][0], -1) for batch in house.reader.batches[1:]]
    # Two were decoded already when the second caller came.
    assert sorted(order) == [100, 110, 120, 130, 140, 150, 160, 170, 230, 250]
    assert order.index(230) <= 3 and order.index(250) <= 5
    assert [shade for shade in order if shade < 200] == [100, 110, 120, 130, 140, 150, 160, 170]


def test_no_more_is_decoded_than_is_read_next(make: Make) -> None:
    house = make(threads=2)
    house.occupy()
    house.ask_in_line(*[RED] * 20)
    until(lambda: house.scheduler._decoding == 0)
    assert len(house.scheduler._decoded) <= 3
    house.reader.go_on()


def test_a_reader_on_the_same_cores_gets_no_photo_more_than_there_are_threads(make: Make) -> None:
    house = make(threads=2, workers=None)
    asked = [house.occupy(), house.occupy(), *house.ask_in_line(*[RED] * 6)]
    assert (
        house.scheduler._decoding,
        len(house.scheduler._decoded),
        len(house.scheduler._waiting),
    ) == (0, 0, 6)
    house.reader.go_on(1)
    until(lambda: len(house.reader.batches) == 3)
    assert (
        house.scheduler._decoding,
        len(house.scheduler._decoded),
        len(house.scheduler._waiting),
    ) == (0, 0, 5)
    house.reader.go_on(1000)
    assert all(isinstance(one.result(PATIENCE_S), Reading) for one in asked)


def test_no_more_are_decoded_at_a_time_than_there_are_threads(make: Make) -> None:
    house = make(threads=2, workers=4)
    both, go_on, most = threading.Barrier(3), threading.Event(), []

    def slowly() -> Photo:
        most.append(house.scheduler._decoding)
        if len(most) <= 2:
            both.wait(PATIENCE_S)
        assert go_on.wait(PATIENCE_S)
        return open_photo(plain())

    asked = [house.threads.submit(house.scheduler.read, slowly, Client()) for _ in range(6)]
    both.wait(PATIENCE_S)
    until(lambda: house.waiting() == 6)
    assert len(most) == 2
    go_on.set()
    house.reader.go_on()
    assert all(isinstance(one.result(PATIENCE_S), Reading) for one in asked)
    assert max(most) == 2


def test_over_its_deadline_a_photo_is_not_read(make: Make) -> None:
    house = make()
    first = house.occupy()
    late = house.ask_in_line(GREEN, caller=Client(deadline=5.0))[0]
    in_time = house.ask_in_line(RED, caller=Client(deadline=50.0))[0]
    house.now = 6.0
    house.reader.go_on()
    with pytest.raises(DeadlineExceeded):
        late.result(PATIENCE_S)
    assert isinstance(first.result(PATIENCE_S), Reading) and isinstance(
        in_time.result(PATIENCE_S), Reading
    )
    assert [close(batch[0], RED) for batch in house.reader.batches] == [True, True]


def test_at_the_deadline_the_caller_hears_though_the_reader_goes_on(make: Make) -> None:
    house = make()
    asked = house.ask(caller=Client(deadline=5.0))
    assert house.reader.begun.acquire(timeout=PATIENCE_S)
    house.now = 5.0
    with pytest.raises(DeadlineExceeded):
        asked.result(PATIENCE_S)


def test_whoever_hung_up_is_not_read(make: Make) -> None:
    house = make()
    house.occupy()
    gone = threading.Event()
    # Three decoded and one that is not yet.
    asked = house.ask_in_line(*[GREEN] * 4, caller=Client("gone", hung_up=gone.is_set))
    there = house.ask_in_line(RED, caller=Client("there"))[0]
    gone.set()
    house.reader.go_on()
    for each in asked:
        with pytest.raises(ClientGone):
            each.result(PATIENCE_S)
    assert isinstance(there.result(PATIENCE_S), Reading)
    assert [close(batch[0], RED) for batch in house.reader.batches] == [True, True]


def test_whoever_hung_up_leaves_the_full_queue_while_the_reader_is_busy(make: Make) -> None:
    house = make(queue=5)
    house.occupy()
    gone = threading.Event()
    # Three of them decoded.
    asked = house.ask_in_line(*[RED] * 5, caller=Client(hung_up=gone.is_set))
    with pytest.raises(Overloaded):
        house.ask().result(PATIENCE_S)
    gone.set()
    for each in asked:
        with pytest.raises(ClientGone):
            each.result(PATIENCE_S)
    assert house.waiting() == 0, "their photos would be kept"
    house.ask_in_line(*[RED] * 5)


def test_whoever_hung_up_before_their_turn_leaves_nothing_behind(make: Make) -> None:
    house = make()
    house.occupy()
    house.ask_in_line(*[RED] * 3)
    gone = threading.Event()
    asked = house.ask_in_line(RED, caller=Client("gone", hung_up=gone.is_set))[0]
    gone.set()
    with pytest.raises(ClientGone):
        asked.result(PATIENCE_S)
    assert house.waiting() == 3


def test_a_full_queue_says_no_before_anything_is_decoded(make: Make) -> None:
    house = make(queue=2)
    house.occupy()
    house.ask_in_line(RED, RED)
    with pytest.raises(Overloaded), house.scheduler.admit(1):
        raise AssertionError("it was let in")
    house.reader.go_on()


def test_a_request_of_many_photos_takes_as_many_places(make: Make) -> None:
    house = make(queue=7)
    with house.scheduler.admit(5) as places:
        with pytest.raises(Overloaded), house.scheduler.admit(4):
            raise AssertionError("it was let in")
        for _ in range(2):
            with places.one():
                pass
        with house.scheduler.admit(5):
            pass
    with house.scheduler.admit(100), pytest.raises(Overloaded), house.scheduler.admit(1):
        raise AssertionError("it was let in")
    with house.scheduler.admit(8):
        pass


def refused(house: House) -> int:
    """Seconds after which someone who was refused may come back."""
    with pytest.raises(Overloaded) as error, house.scheduler.admit(1):
        raise AssertionError("it was let in")
    return error.value.retry_after_s


def test_when_to_come_back_follows_the_measured_rate(make: Make) -> None:
    house = make(queue=10)

    def half_a_second() -> None:
        house.now += 0.5

    house.reader.seconds = half_a_second
    house.reader.go_on(40)
    for _ in range(40):
        house.ask().result(PATIENCE_S)
        house.now += 100  # idle times are no measure of how fast it is
    house.occupy()
    house.ask_in_line(*[RED] * 10)
    assert refused(house) == 6  # 11 photos at two a second
    house.now += 1.5
    assert refused(house) == 17  # no photo for three times as long as usual
    house.now += 50
    assert refused(house) == 30  # by then whoever waits now was answered or is over the deadline


def test_before_anything_was_measured_it_says_a_second(make: Make) -> None:
    house = make(queue=1)
    house.occupy()
    house.ask_in_line(RED)
    assert refused(house) == 1


def test_until_the_reader_is_loaded_it_says_so() -> None:
    def loading() -> ColourReader:
        raise ModelLoading("not yet", retry_after_s=5)

    scheduler = Scheduler(loading, queue=1, threads=1)
    with pytest.raises(ModelLoading), scheduler.admit(1):
        raise AssertionError("it was let in")
    with pytest.raises(ModelLoading):
        scheduler.read(lambda: open_photo(plain()), Client())


def test_closing_lets_the_reader_finish_and_turns_the_others_away(make: Make) -> None:
    house = make()
    first = house.occupy()
    waiting = house.ask_in_line(*[RED] * 5)
    house.reader.go_on()
    house.scheduler.close()
    assert isinstance(first.result(PATIENCE_S), Reading)
    outcomes = {type(one.exception(PATIENCE_S) or one.result()) for one in waiting}
    assert outcomes <= {ModelLoading, Reading} and ModelLoading in outcomes
    with pytest.raises(ModelLoading):
        house.ask().result(PATIENCE_S)
    assert not any(worker.is_alive() for worker in house.scheduler._workers)


def test_a_caller_is_not_shown_in_what_is_printed() -> None:
    assert "canary" not in repr(Client("canary"))
