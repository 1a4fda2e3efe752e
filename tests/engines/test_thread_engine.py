"""Tests of the thread engine with admission control: batches, turns, deadlines, disconnects."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import count

import pytest

from keylike.engines.thread_engine import ThreadEngine
from keylike.errors import BadImage, ClientGone, DeadlineExceeded, ModelLoading, Overloaded
from keylike.images.photo import Photo, open_photo
from keylike.observability.photo_trace import TraceBuilder
from keylike.readers.contract import ReaderInfo, Reading, Reason, Unreadable
from keylike.scheduling.admission import AdmissionControl
from keylike.scheduling.batch_runner import Result
from keylike.scheduling.client import Client
from keylike.scheduling.queue_metrics import LoadMeter
from tests.fakes import ColourReader
from tests.running import until
from tools.plain_pictures import BLUE, GREEN, RED, plain

PATIENCE_S = 20
SPOILT = (90, 90, 20)
Colour = tuple[int, int, int]


class GatedReader(ColourReader):
    """A colour reader that waits before each batch until the test releases it.

    It raises `error` for a batch with a photo in the colour SPOILT.
    """

    def __init__(self, max_batch: int, workers: int | None) -> None:
        super().__init__()
        self._shape = max_batch, workers
        self.batches: list[list[tuple[int, ...]]] = []
        self.gate = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.error: BaseException = RuntimeError("shapes do not match")
        self.on_read: Callable[[], None] = lambda: None

    @property
    def info(self) -> ReaderInfo:
        """Return the information about this reader, with its batch size and number of threads."""
        return replace(super().info, max_batch=self._shape[0], workers=self._shape[1])

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """Wait until the test releases this batch, then read it."""
        self.batches.append([first_pixel(photo) for photo in photos])
        self.begun.release()
        assert self.gate.acquire(timeout=PATIENCE_S)
        self.on_read()
        if any(is_close(first_pixel(photo), SPOILT) for photo in photos):
            raise self.error
        return super().read(photos)

    def release(self, batches: int = 100) -> None:
        """Release this number of batches."""
        self.gate.release(batches)


class Rig:
    """A thread engine with a gated reader, a clock that only the test changes, and clients."""

    def __init__(
        self,
        max_batch: int = 1,
        workers: int | None = 1,
        queue: int = 64,
        threads: int = 2,
        longest_s: float = 30.0,
    ) -> None:
        self.now = 0.0
        self.reader = GatedReader(max_batch, workers)
        self.decode: Callable[[bytes], Photo] = open_photo
        self.decoding = 0
        self.most_decoding = 0
        meter = LoadMeter(self.clock)
        self.slots = AdmissionControl(queue, meter, longest_s=longest_s, clock=self.clock)
        self.engine = ThreadEngine(
            self.reader, self._open, self.slots, meter, threads=threads, clock=self.clock
        )
        self.slots.open(self.engine.capacity)
        self.threads = ThreadPoolExecutor(64)
        # Every photo comes from another client, because one client may take only a part of the
        # queue.
        self._senders = count()
        self._lock = threading.Lock()

    def clock(self) -> float:
        """Return the time that the test has set, in seconds."""
        return self.now

    def read(self, data: bytes, client: Client | None = None) -> Result:
        """Read a photo in the calling thread, without admission control."""
        return self.engine.read(data, client or Client(), TraceBuilder(self.clock))

    def ask(self, colour: Colour = RED, client: Client | None = None) -> Future[Result]:
        """Send a photo as the server does. Return when it is admitted or refused."""
        admitted = threading.Event()

        def request() -> Result:
            try:
                with self.slots.admit(1, Client(str(next(self._senders)))):
                    admitted.set()
                    return self.read(plain(colour), client)
            finally:
                admitted.set()

        asked = self.threads.submit(request)
        assert admitted.wait(PATIENCE_S)
        return asked

    def ask_in_order(self, *colours: Colour, client: Client | None = None) -> list[Future[Result]]:
        """Send photos one after the other. Return when all of them wait for the reader."""
        asked, before = [], self.waiting()
        for number, colour in enumerate(colours, 1):
            asked.append(self.ask(colour, client))
            until(partial(lambda least: self.waiting() >= least, before + number))
        until(lambda: self.decoding == 0)
        return asked

    def occupy(self) -> Future[Result]:
        """Send a photo. Return when the reader works on it."""
        before = len(self.reader.batches)
        asked = self.ask()
        until(lambda: len(self.reader.batches) > before)
        return asked

    def waiting(self) -> int:
        """Return the number of photos that the reader has not begun."""
        return self.undecoded() + self.decoding + self.decoded()

    def undecoded(self) -> int:
        """Return the number of photos that wait for a turn."""
        return len(self.slots.waiting_since())

    def decoded(self) -> int:
        """Return the number of decoded photos that wait for the reader."""
        return len(self.engine.waiting_since())

    def refused_for_s(self) -> int:
        """Send a photo that must be refused, and return its Retry-After in seconds."""
        with pytest.raises(Overloaded) as error, self.slots.admit(1, Client("new")):
            raise AssertionError("the photo was admitted")
        return error.value.retry_after_s

    def close(self) -> None:
        """Release all batches and close the engine."""
        self.reader.release(1000)
        self.slots.close()
        self.engine.close()
        self.threads.shutdown()

    def _open(self, data: bytes) -> Photo:
        with self._lock:
            self.decoding += 1
            self.most_decoding = max(self.most_decoding, self.decoding)
        try:
            return self.decode(data)
        finally:
            with self._lock:
                self.decoding -= 1


def first_pixel(photo: Photo) -> tuple[int, ...]:
    """Return the colour of a photo's first pixel."""
    return tuple(int(value) for value in photo.pixels[0, 0])


def is_close(one: Sequence[int], other: Sequence[int]) -> bool:
    """Return True if two colours are equal, apart from the small error of JPEG."""
    return all(abs(a - b) < 12 for a, b in zip(one, other, strict=True))


def reds(*shades: int) -> list[Colour]:
    """Return a red colour for each shade, so that the reader can tell the photos apart."""
    return [(shade, 20, 20) for shade in shades]


Make = Callable[..., Rig]


@pytest.fixture
def make() -> Iterator[Make]:
    """Yield a function that builds a `Rig`. Close all of them after the test."""
    made: list[Rig] = []

    def build(**shape: object) -> Rig:
        made.append(Rig(**shape))  # type: ignore[arg-type]
        return made[-1]

    yield build
    for each in made:
        each.close()


def test_each_photo_of_a_batch_gets_its_own_result(make: Make) -> None:
    rig = make(max_batch=4)
    first = rig.occupy()
    rest = rig.ask_in_order(RED, GREEN, BLUE, RED, GREEN)
    rig.reader.release()
    results = [asked.result(PATIENCE_S) for asked in [first, *rest]]
    seen = [one.codes if isinstance(one, Reading) else one.reason for one in results]
    red, green = (2, 5, 4, 7, 3), (1, 1, 1, 1, 1)
    assert seen == [red, red, green, Reason.NOT_A_KEY, red, green]
    assert [len(batch) for batch in rig.reader.batches] == [1, 4, 1]


def test_reader_runs_in_as_many_threads_as_it_asks_for(make: Make) -> None:
    rig = make(workers=3)
    for _ in range(3):
        rig.occupy()
    rig.ask_in_order(RED)
    assert [len(batch) for batch in rig.reader.batches] == [1, 1, 1]


def test_idle_reader_starts_without_waiting_for_a_fuller_batch(make: Make) -> None:
    """Send one photo. As the clock does not advance, waiting for a fuller batch would never end."""
    rig = make(max_batch=4)
    rig.engine._batcher._batch_s = 10.0
    rig.occupy()


@pytest.mark.parametrize("late", [False, True], ids=["in time", "too late"])
def test_batch_waits_briefly_for_a_photo_that_is_being_decoded(make: Make, late: bool) -> None:
    rig = make(max_batch=2)
    rig.engine._batcher._batch_s = 10.0
    decoding, go_on = threading.Event(), threading.Event()
    green = plain(GREEN)

    def decode(data: bytes) -> Photo:
        if data == green:
            decoding.set()
            assert go_on.wait(PATIENCE_S)
        return open_photo(data)

    rig.decode = decode
    slow = rig.threads.submit(rig.read, green)
    assert decoding.wait(PATIENCE_S)
    taken = threading.Event()

    def seen_by_reader() -> bool:
        if threading.current_thread().name == "reader":
            taken.set()
        return False

    quick = rig.ask(client=Client(hung_up=seen_by_reader))
    assert taken.wait(PATIENCE_S)
    assert rig.decoding == 1 and not rig.reader.batches
    if late:
        rig.now += 0.06
        assert rig.reader.begun.acquire(timeout=PATIENCE_S)
    go_on.set()
    rig.reader.release()
    assert isinstance(quick.result(PATIENCE_S), Reading)
    assert isinstance(slow.result(PATIENCE_S), Reading)
    assert [len(batch) for batch in rig.reader.batches] == ([1, 1] if late else [2])


@pytest.mark.parametrize("error", [RuntimeError("shapes"), SystemExit(1)], ids=["error", "exit"])
def test_photo_that_makes_the_reader_fail_affects_no_other_photo(
    make: Make, error: BaseException
) -> None:
    rig = make(max_batch=4)
    rig.reader.error = error
    rig.occupy()
    asked = rig.ask_in_order(RED, SPOILT, GREEN, BLUE)
    rig.reader.release()
    kinds = [type(one.exception(PATIENCE_S) or one.result()) for one in asked]
    assert kinds == [Reading, RuntimeError, Reading, Unreadable]
    assert [len(batch) for batch in rig.reader.batches] == [1, 4, 1, 1, 1, 1]


def test_picture_that_cannot_be_decoded_releases_its_turn(make: Make) -> None:
    rig = make(threads=1)
    rig.reader.release()
    for _ in range(20):
        with pytest.raises(BadImage):
            rig.read(b"\xff\xd8\xff")
    assert isinstance(rig.ask().result(PATIENCE_S), Reading)
    assert rig.slots.in_flight == 0


def test_clients_take_turns_before_and_after_decoding(make: Make) -> None:
    rig = make(threads=1)
    rig.occupy()
    shades = [100, 110, 120, 130, 140, 150, 160, 170]
    first = rig.ask_in_order(*reds(*shades), client=Client("first"))
    second = rig.ask_in_order(*reds(230, 250), client=Client("second"))
    rig.reader.release()
    for asked in first + second:
        asked.result(PATIENCE_S)
    order = [round(batch[0][0], -1) for batch in rig.reader.batches[1:]]
    assert sorted(order) == [*shades, 230, 250]
    # Three photos of the first client already had their turn when the second client came. Threads
    # that decode photos may also overtake each other.
    assert max(order.index(230), order.index(250)) <= 7


def test_number_of_decoded_photos_is_limited_by_the_capacity(make: Make) -> None:
    rig = make(threads=2)
    rig.occupy()
    rig.ask_in_order(*[RED] * 20)
    until(lambda: rig.decoding == 0)
    assert rig.decoded() == rig.engine.capacity.turns - 1 == 3


def test_reader_without_own_threads_gets_one_photo_per_engine_thread(make: Make) -> None:
    rig = make(threads=2, workers=None)
    asked = [rig.occupy(), rig.occupy(), *rig.ask_in_order(*[RED] * 6)]
    assert (rig.decoding, rig.decoded(), rig.undecoded()) == (0, 0, 6)
    rig.reader.release(1)
    until(lambda: len(rig.reader.batches) == 3)
    assert (rig.decoding, rig.decoded(), rig.undecoded()) == (0, 0, 5)
    rig.reader.release(1000)
    assert all(isinstance(one.result(PATIENCE_S), Reading) for one in asked)


def test_number_of_photos_being_decoded_is_limited_by_the_threads(make: Make) -> None:
    rig = make(threads=2, workers=4)
    both, go_on = threading.Barrier(3), threading.Event()

    def decode(data: bytes) -> Photo:
        if not go_on.is_set():
            both.wait(PATIENCE_S)
            assert go_on.wait(PATIENCE_S)
        return open_photo(data)

    rig.decode = decode
    asked = [rig.threads.submit(rig.read, plain()) for _ in range(6)]
    both.wait(PATIENCE_S)
    until(lambda: rig.slots.in_flight == 6)
    assert rig.decoding == 2
    go_on.set()
    rig.reader.release()
    assert all(isinstance(one.result(PATIENCE_S), Reading) for one in asked)
    assert rig.most_decoding == 2


def test_photo_past_its_deadline_is_not_read(make: Make) -> None:
    rig = make()
    first = rig.occupy()
    late = rig.ask_in_order(GREEN, client=Client(deadline=5.0))[0]
    in_time = rig.ask_in_order(RED, client=Client(deadline=50.0))[0]
    rig.now = 6.0
    rig.reader.release()
    with pytest.raises(DeadlineExceeded):
        late.result(PATIENCE_S)
    assert isinstance(first.result(PATIENCE_S), Reading)
    assert isinstance(in_time.result(PATIENCE_S), Reading)
    assert [is_close(batch[0], RED) for batch in rig.reader.batches] == [True, True]


def test_client_gets_an_error_at_its_deadline_while_the_reader_continues(make: Make) -> None:
    rig = make()
    asked = rig.ask(client=Client(deadline=5.0))
    assert rig.reader.begun.acquire(timeout=PATIENCE_S)
    rig.now = 5.0
    with pytest.raises(DeadlineExceeded):
        asked.result(PATIENCE_S)


def test_photos_of_a_disconnected_client_are_not_read(make: Make) -> None:
    rig = make()
    rig.occupy()
    gone = threading.Event()
    # Some of these photos are decoded already, and one still waits for its turn.
    asked = rig.ask_in_order(*[GREEN] * 4, client=Client("gone", hung_up=gone.is_set))
    there = rig.ask_in_order(RED, client=Client("there"))[0]
    gone.set()
    rig.reader.release()
    for each in asked:
        with pytest.raises(ClientGone):
            each.result(PATIENCE_S)
    assert isinstance(there.result(PATIENCE_S), Reading)
    assert [is_close(batch[0], RED) for batch in rig.reader.batches] == [True, True]


def test_disconnected_client_frees_a_full_queue_while_the_reader_is_busy(make: Make) -> None:
    rig = make(queue=5)
    rig.occupy()
    gone = threading.Event()
    asked = rig.ask_in_order(*[RED] * 5, client=Client(hung_up=gone.is_set))
    with pytest.raises(Overloaded):
        rig.ask().result(PATIENCE_S)
    gone.set()
    for each in asked:
        with pytest.raises(ClientGone):
            each.result(PATIENCE_S)
    assert rig.waiting() == 0
    rig.ask_in_order(*[RED] * 5)


def test_client_that_disconnects_before_its_turn_leaves_the_queue(make: Make) -> None:
    rig = make()
    rig.occupy()
    rig.ask_in_order(*[RED] * 3)
    gone = threading.Event()
    asked = rig.ask_in_order(RED, client=Client("gone", hung_up=gone.is_set))[0]
    gone.set()
    with pytest.raises(ClientGone):
        asked.result(PATIENCE_S)
    assert rig.waiting() == 3


def test_full_queue_refuses_a_photo_with_a_retry_after(make: Make) -> None:
    rig = make(queue=2)
    rig.occupy()
    rig.ask_in_order(RED, RED)
    assert rig.refused_for_s() >= 1


def test_retry_after_follows_the_measured_rate(make: Make) -> None:
    rig = make(queue=10)

    def half_a_second() -> None:
        rig.now += 0.5

    rig.reader.on_read = half_a_second
    rig.reader.release(40)
    for _ in range(40):
        rig.ask().result(PATIENCE_S)
        rig.now += 100  # seconds without photos, which must not lower the rate
    rig.occupy()
    rig.ask_in_order(*[RED] * 10)
    assert rig.refused_for_s() == 6  # 11 photos at two per second
    rig.now += 1.5
    assert (
        rig.refused_for_s() == 17
    )  # the reader has taken three times as long as usual for one photo
    rig.now += 50
    assert rig.refused_for_s() == 30  # at most the longest time that a request may take


def test_retry_after_is_one_second_before_the_first_measurement(make: Make) -> None:
    rig = make(queue=1)
    rig.occupy()
    rig.ask_in_order(RED)
    assert rig.refused_for_s() == 1


def test_all_photos_are_refused_while_the_reader_is_stuck(make: Make) -> None:
    rig = make(longest_s=30.0)
    rig.occupy()
    assert not rig.slots.is_stuck()
    rig.now += 31
    assert rig.slots.is_stuck()
    assert rig.refused_for_s() == 30
    assert rig.slots.retry_after_s() == 30


def test_closing_finishes_the_running_batch_and_refuses_waiting_photos(make: Make) -> None:
    rig = make()
    first = rig.occupy()
    waiting = rig.ask_in_order(*[RED] * 5)
    rig.reader.release()
    rig.slots.close()
    assert rig.engine.close()
    assert isinstance(first.result(PATIENCE_S), Reading)
    outcomes = {type(one.exception(PATIENCE_S) or one.result()) for one in waiting}
    assert outcomes <= {ModelLoading, Reading} and ModelLoading in outcomes
    with pytest.raises(ModelLoading):
        rig.ask().result(PATIENCE_S)
    with pytest.raises(ModelLoading):
        rig.read(plain())


def test_close_returns_false_if_the_reader_does_not_finish(make: Make) -> None:
    rig = make()
    rig.occupy()
    rig.slots.close()
    assert not rig.engine.close(timeout_s=0.01)


def test_engine_without_memory_for_threads_is_overloaded(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make(threads=1)
    photo = plain()

    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        with pytest.raises(Overloaded):
            rig.read(photo)
    assert rig.slots.in_flight == 0
    rig.reader.release()
    assert isinstance(rig.ask().result(PATIENCE_S), Reading)
