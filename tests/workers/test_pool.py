"""Processes that decode and read, one of which may crash, hang, eat or lie: only its photo fares badly."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest

from keylike.errors import (
    BadImage,
    DeadlineExceeded,
    ImageTooLarge,
    ModelError,
    Overloaded,
    UnsupportedImageType,
)
from keylike.inference import Limits
from keylike.observability.logs import places
from keylike.readers.contract import Reader, Reading
from keylike.workers.pool import ReadingProcesses
from keylike.workers.replies import ReadingFailed
from tests.fakes import ColourReader
from tests.running import until
from tests.workers import risky
from tools.plain_pictures import BLUE, GREEN, RED, plain

Make = Callable[..., ReadingProcesses]


@pytest.fixture
def make() -> Iterator[Make]:
    """Begins and warms processes, and ends them after the test."""
    made: list[ReadingProcesses] = []

    def begin(
        count: int = 1, load: Callable[[], Reader] = risky.load, least_s: float = 5.0
    ) -> ReadingProcesses:
        bounds = {"longest_s": 30.0, "least_s": least_s}
        made.append(ReadingProcesses(Limits().open, count, decoding_bytes=250_000_000, **bounds))
        reader = made[-1].begin(load)
        assert reader is made[-1]
        reader.warm()
        return made[-1]

    yield begin
    for one in made:
        one.close()


def children() -> list[psutil.Process]:
    """The nursery, and what was forked from it; other tests have processes of their own."""
    return [
        child for child in psutil.Process().children(recursive=True) if _is_of_the_nursery(child)
    ]


def _is_of_the_nursery(child: psutil.Process) -> bool:
    try:
        return any("keylike.workers.zygote" in word for word in child.cmdline())
    except psutil.Error:
        return False


def ended(process: psutil.Process) -> bool:
    """Whether nothing of it runs any more."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def reads(processes: ReadingProcesses) -> bool:
    """Whether a photo gets its reading."""
    result = processes.read_picture(plain(RED), 20).result
    return isinstance(result, Reading) and result.codes == (2, 5, 4, 7, 3)


def test_they_say_what_the_reader_says(make: Make) -> None:
    processes, limits, reader = make(2), Limits(), ColourReader()
    pictures = [plain(colour) for colour in (RED, GREEN, BLUE)]
    expected = reader.read([limits.open(picture) for picture in pictures])
    replies = [processes.read_picture(picture, 20) for picture in pictures]
    assert [reply.result for reply in replies] == expected
    assert all(0 < reply.decode_s < 20 and 0 < reply.read_s < 20 for reply in replies)
    assert processes.read([limits.open(picture) for picture in pictures]) == expected
    assert processes.info == replace(reader.info, workers=2)


def test_without_any_the_reader_stays_here() -> None:
    assert isinstance(
        ReadingProcesses(Limits().open, 0, longest_s=30, decoding_bytes=0).begin(risky.load),
        risky.RiskyReader,
    )


def test_a_large_picture_goes_over_in_pieces(make: Make) -> None:
    picture = plain(RED) + bytes(9_000_000)
    assert isinstance(make().read_picture(picture, 20).result, Reading)


def test_failures_of_a_photo_are_its_own(make: Make) -> None:
    processes = make()
    with pytest.raises(BadImage) as broken:
        processes.read_picture(plain()[:300], 20)
    assert broken.value.details == {"format": "JPEG"}
    with pytest.raises(ImageTooLarge) as large:
        processes.read_picture(bytes(10_000_001), 20)
    assert large.value.details == {"max_bytes": 10_000_000}
    with pytest.raises(UnsupportedImageType):
        processes.read_picture(b"%PDF", 20)
    with pytest.raises(Overloaded) as short:
        processes.read_picture(plain(risky.SHORT), 20)
    assert short.value.retry_after_s == 7
    assert reads(processes)


def test_where_a_reader_crashes_the_places_come_along_and_not_its_words(make: Make) -> None:
    processes = make()
    with pytest.raises(ReadingFailed, match="LookupError") as crash:
        processes.read_picture(plain(risky.RAISES), 20)
    assert any(place.startswith("risky.py") for place in places(crash.value))
    assert "canary" not in str(crash.value)
    assert reads(processes)


@pytest.mark.parametrize("colour", [risky.CRASHES, risky.TALKS], ids=["crashes", "lies"])
def test_a_process_that_crashes_or_lies_takes_its_photo_alone_with_it(
    make: Make, colour: tuple[int, int, int]
) -> None:
    processes = make(2)
    with ThreadPoolExecutor(8) as threads:
        pictures = [plain(colour), *[plain(RED)] * 7] * 3
        outcomes = list(threads.map(partial(_outcome, processes), pictures))
    assert outcomes == ([ReadingFailed, *[Reading] * 7] * 3)
    # Those who lied are gone, too.
    until(lambda: len(children()) <= 3)


def _outcome(processes: ReadingProcesses, picture: bytes) -> type:
    try:
        return type(processes.read_picture(picture, 20).result)
    except Exception as failure:
        return type(failure)


def test_a_process_that_hangs_is_ended_and_replaced(make: Make) -> None:
    processes = make(least_s=0.2)
    before = {child.pid for child in children()}
    with pytest.raises(DeadlineExceeded):
        processes.read_picture(plain(risky.HANGS), 0.0)
    assert reads(processes)
    until(lambda: len(children()) == 2)
    assert len(before & {child.pid for child in children()}) == 1


def test_a_short_wish_does_not_cost_a_process(make: Make) -> None:
    processes = make()
    before = {child.pid for child in children()}
    assert processes.read_picture(plain(RED), -1.0).result
    assert {child.pid for child in children()} == before


def test_memory_is_bounded_in_the_process_alone(make: Make) -> None:
    processes = make()
    with pytest.raises(Overloaded):
        processes.read_picture(plain(risky.EATS), 20)
    assert reads(processes)


def test_who_dies_while_nothing_is_asked_costs_no_photo(make: Make) -> None:
    processes = make()
    nursery, reading = sorted(children(), key=lambda child: len(child.parents()))
    reading.kill()
    until(lambda: ended(reading))
    assert reads(processes)
    (another,) = nursery.children()
    nursery.kill()
    until(lambda: ended(another))
    assert reads(processes)
    assert nursery not in children()


def test_nothing_leaks_where_processes_end(make: Make) -> None:
    processes = make()
    reads(processes)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        assert _outcome(processes, plain(risky.CRASHES)) is ReadingFailed
    reads(processes)
    assert len(os.listdir("/proc/self/fd")) == before


def test_ctrl_c_and_the_end_of_a_service_leave_them_to_the_server(make: Make) -> None:
    processes = make()
    before = children()
    for child in before:
        assert os.getpgid(child.pid) != os.getpgid(0)
        for number in (signal.SIGINT, signal.SIGTERM):
            child.send_signal(number)
    assert reads(processes)
    assert children() == before


def test_they_end_with_the_server_and_twice_does_no_harm(make: Make) -> None:
    processes = make(2)
    processes.close()
    processes.close()
    assert not children()


def test_they_are_given_no_secrets_and_a_model_error_comes_back(
    monkeypatch: pytest.MonkeyPatch, make: Make
) -> None:
    for name in (
        "KEYLIKE_API_KEY",
        "KEYLIKE_REDIS_URL",
        "NGROK_TOKEN",
        "OTEL_EXPORTER_OTLP_HEADERS",
    ):
        monkeypatch.setenv(name, "canary")
    with pytest.raises(ModelError) as error:
        make(load=risky.environment)
    names = str(error.value).split()
    assert "PATH" in names
    assert not [name for name in names if name.startswith(("KEYLIKE", "NGROK", "OTEL"))]


def test_a_load_that_fails_is_a_model_error(make: Make) -> None:
    with pytest.raises(ModelError, match=r"\(RuntimeError\)$"):
        make(load=risky.broken)
    with pytest.raises(ModelError, match="ended"):
        make(load=risky.ends)
    assert not children()


def test_the_shipped_caliper_reads_the_same_in_them(make: Make) -> None:
    from keylike.readers import loading as model_loader

    home = Path(__file__).resolve().parents[2]
    load, picture = (
        partial(model_loader.load, home / "models" / "caliper"),
        (home / "samples" / "sc1_01.jpg").read_bytes(),
    )
    assert (
        make(load=load).read_picture(picture, 20).result == load().read([Limits().open(picture)])[0]
    )
