"""Tests of the worker pool: a worker that crashes, hangs or misbehaves fails only one photo."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest

from keylike.errors import (
    BadImage,
    DeadlineExceeded,
    ImageTooLarge,
    ModelError,
    ModelLoading,
    Overloaded,
    UnsupportedImageType,
)
from keylike.inference import Limits
from keylike.observability.logs import places
from keylike.readers.contract import Reader, Reading
from keylike.workers.pool import WorkerPool
from keylike.workers.replies import WorkerFailed
from keylike.workers.zygote import WorkerSpec
from tests.fakes import ColourReader
from tests.running import until
from tests.workers import risky
from tools.plain_pictures import BLUE, GREEN, RED, plain

Make = Callable[..., WorkerPool]


@pytest.fixture
def make() -> Iterator[Make]:
    """Yield a function that starts pools. Close them after the test."""
    made: list[WorkerPool] = []

    def begin(
        count: int = 1, load: Callable[[], Reader] = risky.load, least_s: float = 5.0
    ) -> WorkerPool:
        spec = WorkerSpec(load, Limits().open, 250_000_000)
        made.append(WorkerPool(spec, count, longest_s=30.0, least_s=least_s))
        made[-1].load()
        made[-1].start()
        return made[-1]

    yield begin
    for one in made:
        one.close()


def children() -> list[psutil.Process]:
    """Return the zygote and its workers, without child processes of other tests."""
    return [
        child for child in psutil.Process().children(recursive=True) if _belongs_to_zygote(child)
    ]


def _belongs_to_zygote(child: psutil.Process) -> bool:
    try:
        return any("keylike.workers.zygote" in word for word in child.cmdline())
    except psutil.Error:
        return False


def ended(process: psutil.Process) -> bool:
    """Return True if the process has ended."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def reads(pool: WorkerPool) -> bool:
    """Return True if the pool reads a photo correctly."""
    result = pool.read(plain(RED), 20).result
    return isinstance(result, Reading) and result.codes == (2, 5, 4, 7, 3)


def test_workers_return_the_results_of_the_reader(make: Make) -> None:
    pool, limits, reader = make(2), Limits(), ColourReader()
    pictures = [plain(colour) for colour in (RED, GREEN, BLUE)]
    expected = reader.read([limits.open(picture) for picture in pictures])
    replies = [pool.read(picture, 20) for picture in pictures]
    assert [reply.result for reply in replies] == expected
    assert all(0 < reply.decode_s < 20 and 0 < reply.read_s < 20 for reply in replies)
    assert pool.load() == reader.info


def test_large_picture_is_sent_completely_to_a_worker(make: Make) -> None:
    picture = plain(RED) + bytes(9_000_000)
    assert isinstance(make().read(picture, 20).result, Reading)


def test_error_about_a_photo_reaches_the_server_with_its_details(make: Make) -> None:
    pool = make()
    with pytest.raises(BadImage) as broken:
        pool.read(plain()[:300], 20)
    assert broken.value.details == {"format": "JPEG"}
    with pytest.raises(ImageTooLarge) as large:
        pool.read(bytes(10_000_001), 20)
    assert large.value.details == {"max_bytes": 10_000_000}
    with pytest.raises(UnsupportedImageType):
        pool.read(b"%PDF", 20)
    with pytest.raises(Overloaded) as short:
        pool.read(plain(risky.SHORT), 20)
    assert short.value.retry_after_s == 7
    assert reads(pool)


def test_crash_of_the_reader_is_reported_by_location_without_its_message(make: Make) -> None:
    pool = make()
    with pytest.raises(WorkerFailed, match="LookupError") as crash:
        pool.read(plain(risky.RAISES), 20)
    assert any(place.startswith("risky.py") for place in places(crash.value))
    assert "canary" not in str(crash.value)
    assert reads(pool)


@pytest.mark.parametrize("colour", [risky.CRASHES, risky.TALKS], ids=["crashes", "misbehaves"])
def test_worker_that_crashes_or_misbehaves_fails_only_its_photo(
    make: Make, colour: tuple[int, int, int]
) -> None:
    pool = make(2)
    with ThreadPoolExecutor(8) as threads:
        pictures = [plain(colour), *[plain(RED)] * 7] * 3
        outcomes = list(threads.map(partial(_outcome, pool), pictures))
    assert outcomes == ([WorkerFailed, *[Reading] * 7] * 3)
    # Workers that broke the protocol must have been killed. Two workers and the zygote remain.
    until(lambda: len(children()) <= 3)


def _outcome(pool: WorkerPool, picture: bytes) -> type:
    try:
        return type(pool.read(picture, 20).result)
    except Exception as failure:
        return type(failure)


def test_hanging_worker_is_killed_and_replaced(make: Make) -> None:
    pool = make(least_s=0.2)
    before = {child.pid for child in children()}
    with pytest.raises(DeadlineExceeded):
        pool.read(plain(risky.HANGS), 0.0)
    assert reads(pool)
    until(lambda: len(children()) == 2)
    assert len(before & {child.pid for child in children()}) == 1


def test_short_deadline_does_not_end_a_worker(make: Make) -> None:
    pool = make()
    before = {child.pid for child in children()}
    assert pool.read(plain(RED), -1.0).result
    assert {child.pid for child in children()} == before


def test_photo_that_needs_too_much_memory_is_refused_by_the_worker(make: Make) -> None:
    pool = make()
    with pytest.raises(Overloaded):
        pool.read(plain(risky.EATS), 20)
    assert reads(pool)


def test_photos_are_read_after_an_idle_worker_or_the_zygote_was_killed(make: Make) -> None:
    pool = make()
    zygote, reading = sorted(children(), key=lambda child: len(child.parents()))
    reading.kill()
    until(lambda: ended(reading))
    assert reads(pool)
    (another,) = zygote.children()
    zygote.kill()
    until(lambda: ended(another))
    assert reads(pool)
    assert zygote not in children()


def test_crashing_workers_leave_no_file_open(make: Make) -> None:
    pool = make()
    reads(pool)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        assert _outcome(pool, plain(risky.CRASHES)) is WorkerFailed
    reads(pool)
    assert len(os.listdir("/proc/self/fd")) == before


def test_workers_ignore_sigint_and_sigterm(make: Make) -> None:
    pool = make()
    before = children()
    for child in before:
        assert os.getpgid(child.pid) != os.getpgid(0)
        for number in (signal.SIGINT, signal.SIGTERM):
            child.send_signal(number)
    assert reads(pool)
    assert children() == before


def test_closing_the_pool_twice_ends_all_processes(make: Make) -> None:
    pool = make(2)
    pool.close()
    pool.close()
    assert not children()


def test_workers_get_no_secrets_in_environment_variables(
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


def test_failed_load_in_a_worker_raises_model_error(make: Make) -> None:
    with pytest.raises(ModelError, match=r"\(RuntimeError\)$"):
        make(load=risky.broken)
    with pytest.raises(ModelError, match="ended"):
        make(load=risky.ends)
    assert not children()


def test_embedded_reader_returns_the_same_result_in_a_worker(make: Make) -> None:
    from keylike.readers import loading as model_loader

    home = Path(__file__).resolve().parents[2]
    load, picture = (
        partial(model_loader.load, home / "models" / "caliper"),
        (home / "samples" / "sc1_01.jpg").read_bytes(),
    )
    assert make(load=load).read(picture, 20).result == load().read([Limits().open(picture)])[0]


def test_photo_of_a_killed_worker_is_read_by_another_worker(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(risky.GATE, str(tmp_path / "gate"))
    pool = make(1)
    (worker,) = [child for child in children() if not child.children()]
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(pool.read, plain(risky.WAITS), 20)
        until(lambda: not pool._free)
        worker.kill()
        (tmp_path / "gate").touch()
        assert isinstance(asked.result(20).result, Reading)


def test_closed_pool_refuses_to_read_load_and_start(make: Make) -> None:
    pool = make(2)
    pool.close()
    for _ in range(2):
        with pytest.raises(ModelLoading):
            pool.read(plain(RED), 20)
    with pytest.raises(ModelLoading):
        pool.load()
    with pytest.raises(ModelLoading):
        pool.start()
    assert not children()


def test_photos_fail_when_the_pool_closes_and_no_process_is_left(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(risky.GATE, str(tmp_path / "never"))
    pool = make(1)
    with ThreadPoolExecutor(2) as threads:
        held = threads.submit(pool.read, plain(risky.WAITS), 20)
        until(lambda: not pool._free)
        queued = threads.submit(pool.read, plain(RED), 20)
        pool.close()
        assert isinstance(held.exception(20), ModelLoading)
        assert isinstance(queued.exception(20), ModelLoading)
    until(lambda: not children())


def test_wait_for_a_free_worker_ends_at_the_deadline(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(risky.GATE, str(tmp_path / "gate"))
    pool = make(1, least_s=0.2)
    with ThreadPoolExecutor(1) as threads:
        held = threads.submit(pool.read, plain(risky.WAITS), 20)
        until(lambda: not pool._free)
        with pytest.raises(DeadlineExceeded):
            pool.read(plain(RED), 0.0)
        (tmp_path / "gate").touch()
        assert isinstance(held.result(20).result, Reading)
    assert reads(pool)
