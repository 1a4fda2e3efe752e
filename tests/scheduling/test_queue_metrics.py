"""Tests of queue metrics while the reader works on one photo and others wait."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from keylike.errors import DeadlineExceeded
from keylike.observability.photo_trace import StageTiming, TraceBuilder
from keylike.scheduling.client import Client
from keylike.scheduling.queue_metrics import LoadSnapshot
from keylike.service import Service
from keylike.settings import Settings
from tests.running import PatientReader, until
from tools.plain_pictures import GREEN, RED, plain


class Busy:
    """A service whose reader waits with its first photo, and a clock that the test sets."""

    def __init__(self, settings: Settings) -> None:
        self.now = 100.0
        self.reader = PatientReader()
        chosen = settings.model_copy(
            update={"queue": 8, "threads": 1, "deadline_s": 30.0, "cache_ttl_s": 0}
        )
        self.service = Service(chosen, load=lambda: self.reader, clock=lambda: self.now)
        self.service.load()
        self.threads = ThreadPoolExecutor(16)

    def ask(self, size: int, client: Client | None = None) -> TraceBuilder:
        """Start to read a photo in a thread and return its trace."""
        trace = TraceBuilder(lambda: self.now)
        engine = self.service.engines.engine()
        picture = plain(RED, size=(size, 40))
        self.asked = self.threads.submit(engine.read, picture, client or Client(), trace)
        return trace

    def load(self) -> LoadSnapshot:
        """Return the state of the queue."""
        return self.service.load_snapshot()


@pytest.fixture
def busy(settings: Settings) -> Iterator[Busy]:
    """Yield a busy service. Let its reader finish after the test."""
    made = Busy(settings)
    yield made
    made.reader.allowed.set()
    made.threads.shutdown()
    made.service.close()


def test_load_snapshot_counts_waiting_photos_and_photos_being_read(busy: Busy) -> None:
    idle = busy.load()
    assert (
        idle.waiting,
        idle.oldest_s,
        idle.room,
        idle.reading,
        idle.reading_s,
        dict(idle.batches),
    ) == (0, 0.0, 8, 0, 0.0, {})
    busy.ask(40)
    assert busy.reader.asked.wait(20)
    busy.now += 3
    for size in (50, 60):
        busy.ask(size)
        until(lambda: busy.load().waiting == (1 if size == 50 else 2))  # noqa: B023
        busy.now += 2
    load = busy.load()
    assert (load.waiting, load.oldest_s, load.reading, load.reading_s) == (2, 4.0, 1, 7.0)
    busy.reader.allowed.set()
    busy.asked.result(20)
    until(lambda: busy.load().reading == 0)
    load = busy.load()
    assert (load.waiting, load.oldest_s, dict(load.batches), load.model_s) == (0, 0.0, {1: 3}, 7.0)


def test_trace_contains_the_times_of_every_stage(busy: Busy) -> None:
    first = busy.ask(40)
    assert busy.reader.asked.wait(20)
    asked = busy.asked
    busy.now += 5
    busy.reader.allowed.set()
    asked.result(20)
    assert first.timings == [
        StageTiming("queue", 100.0, 100.0),
        StageTiming("decode", 100.0, 100.0),
        StageTiming("queue", 100.0, 100.0),
        StageTiming("model", 100.0, 105.0),
    ]


def test_trace_of_an_expired_client_ends_at_its_deadline(busy: Busy) -> None:
    busy.ask(40)
    assert busy.reader.asked.wait(20)
    notes = busy.ask(50, Client(deadline=102.0))
    until(lambda: busy.load().waiting == 1)
    busy.now += 2
    with pytest.raises(DeadlineExceeded):
        busy.asked.result(20)
    assert notes.timings[-1].stage == "queue" and notes.timings[-1].ended == 102.0


def test_health_is_unhealthy_while_the_reader_does_not_return(busy: Busy) -> None:
    client = busy.service.app.test_client()
    busy.ask(40)
    assert busy.reader.asked.wait(20)
    busy.ask(50)
    until(lambda: busy.load().waiting == 1)
    busy.now += 30
    assert client.get("/health/detailed").status_code == 200
    assert values(client)["keylike_queue_oldest_seconds"] == 30
    busy.now += 1
    response = client.get("/health/detailed")
    body = response.get_json()
    assert (response.status_code, body["status"]) == (503, "unhealthy")
    assert (
        body["queue"]["waiting"],
        body["queue"]["oldest_s"],
        body["queue"]["reading"],
        body["queue"]["reading_s"],
    ) == (1, 31, 1, 31)
    shown = values(client)
    assert (
        shown["keylike_queue_photos"],
        shown["keylike_reading_photos"],
        shown["keylike_reading_seconds"],
    ) == (1, 1, 31)
    busy.reader.allowed.set()
    busy.asked.result(20)
    until(lambda: client.get("/health/detailed").status_code == 200)
    assert client.post("/predict", data=plain(GREEN), content_type="image/jpeg").status_code == 200


def values(client: FlaskClient) -> dict[str, float]:
    """Return the values of /metrics that have no labels."""
    families = text_string_to_metric_families(client.get("/metrics").get_data(as_text=True))
    return {
        sample.name: sample.value
        for family in families
        for sample in family.samples
        if not sample.labels
    }
