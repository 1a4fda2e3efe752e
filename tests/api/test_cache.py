"""Tests of the cache over HTTP: a repeated photo is read once, and /cache/stats counts it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr

from keylike.cache.reading_cache import CacheResult, ReadingCache, Result
from keylike.cache.stores import MemoryStore
from keylike.errors import Overloaded
from keylike.images.photo import Photo
from keylike.readers.contract import Reading, Unreadable
from keylike.scheduling.client import NO_CLIENT, Client
from keylike.service import create_app
from keylike.settings import Settings
from tests.contract import check_described, check_failure
from tests.fakes import ColourReader
from tests.redis_server import RedisServer
from tools.plain_pictures import BLUE, GREEN, RED, plain


class CountingReader(ColourReader):
    """A reader that counts its photos and raises Overloaded while `full` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.photos = 0
        self.full = False
        self._lock = threading.Lock()

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """Return one result per photo."""
        with self._lock:
            self.photos += len(photos)
        if self.full:
            raise Overloaded("No memory is left.", retry_after_s=1)
        return super().read(photos)


@pytest.fixture
def reader() -> CountingReader:
    """Return a counting reader."""
    return CountingReader()


def serve(settings: Settings, reader: CountingReader, **changes: Any) -> FlaskClient:
    """Return a client of an application with this reader and changed settings."""
    return create_app(settings.model_copy(update=changes), load=lambda: reader).test_client()


@pytest.fixture
def client(settings: Settings, reader: CountingReader) -> FlaskClient:
    """Return a client of an application with default settings."""
    return serve(settings, reader)


def post(client: FlaskClient, photo: bytes, **more: Any) -> dict[str, Any]:
    """Post a photo and return the body after validating it against the OpenAPI document."""
    return check_described(
        client,
        client.post("/predict", data=photo, content_type="image/jpeg", **more),
        "/predict",
        "post",
    )


def stats(client: FlaskClient) -> dict[str, Any]:
    """Return the body of /cache/stats after validating it against the OpenAPI document."""
    return check_described(client, client.get("/cache/stats"), "/cache/stats", "get")


def test_repeated_photo_is_read_once(client: FlaskClient, reader: CountingReader) -> None:
    first, second = (post(client, plain()) for _ in range(2))
    assert (first["cached"], second["cached"], reader.photos) == (False, True, 1)
    own = ("request_id", "timestamp", "processing_ms", "cached")
    assert {name: value for name, value in first.items() if name not in own} == {
        name: value for name, value in second.items() if name not in own
    }
    assert first["request_id"] != second["request_id"]


def test_cached_reading_gets_the_market_figures_of_the_new_zipcode(
    client: FlaskClient, reader: CountingReader
) -> None:
    first = post(client, plain())
    second = post(client, plain(), query_string={"zipcode": "98765"})
    assert (second["cached"], second["zipcode"], reader.photos) == (True, "98765", 1)
    assert second["estimatedAnnualProduction"] != first["estimatedAnnualProduction"]


def test_different_photos_are_read_separately(client: FlaskClient, reader: CountingReader) -> None:
    assert [post(client, plain(colour))["bitting"] for colour in (RED, GREEN)] == [
        "2,5,4,7,3",
        "1,1,1,1,1",
    ]
    assert reader.photos == 2


@pytest.mark.parametrize("header", ["no-cache", "no-store", "max-age=0, no-cache"])
def test_no_cache_header_bypasses_the_cache(
    client: FlaskClient, reader: CountingReader, header: str
) -> None:
    before = stats(client)
    for _ in range(2):
        assert not post(client, plain(), headers={"Cache-Control": header})["cached"]
    assert reader.photos == 2
    assert stats(client) == before, "the cache must be neither searched nor filled"


def test_max_age_header_does_not_bypass_the_cache(
    client: FlaskClient, reader: CountingReader
) -> None:
    for _ in range(2):
        post(client, plain(), headers={"Cache-Control": "max-age=0"})
    assert reader.photos == 1


def test_repeated_unreadable_photo_is_read_once(
    client: FlaskClient, reader: CountingReader
) -> None:
    answers = [
        client.post("/predict", data=plain(BLUE), content_type="image/jpeg") for _ in range(2)
    ]
    first, second = (check_failure(client, answer, 422, "unreadable") for answer in answers)
    assert (first["reason"], first["advice"]) == (second["reason"], second["advice"])
    assert reader.photos == 1


def test_cache_hit_does_not_decode_the_photo(
    client: FlaskClient, reader: CountingReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(client, plain())
    monkeypatch.setattr("keylike.inference.open_photo", None)
    assert post(client, plain())["cached"]


def test_failure_is_not_cached(client: FlaskClient, reader: CountingReader) -> None:
    reader.full = True
    check_failure(
        client, client.post("/predict", data=plain(), content_type="image/jpeg"), 503, "overloaded"
    )
    reader.full = False
    assert not post(client, plain())["cached"]


def test_request_that_waits_for_a_failed_reading_reads_by_itself(settings: Settings) -> None:
    waiting = threading.Event()

    class WatchedCache(ReadingCache):
        def get_or_compute(
            self, key: str, compute: Callable[[], Result], client: Client = NO_CLIENT
        ) -> CacheResult:
            def about_to_wait() -> bool:
                waiting.set()
                return client.hung_up()

            return super().get_or_compute(key, compute, replace(client, hung_up=about_to_wait))

    class FullAtFirst(CountingReader):
        def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
            assert waiting.wait(60)
            self.full = not self.photos
            return super().read(photos)

    reader = FullAtFirst()
    cache = WatchedCache(MemoryStore(ttl_s=600, size=10, clock=lambda: 0.0), ttl_s=600, size=10)
    app = create_app(settings, load=lambda: reader, cache=cache)

    def send(_: int) -> int:
        return (
            app.test_client().post("/predict", data=plain(), content_type="image/jpeg").status_code
        )

    with ThreadPoolExecutor(2) as clients:
        assert sorted(clients.map(send, range(2))) == [200, 503]
    assert reader.photos == 2


def test_fifty_concurrent_identical_photos_are_read_once(
    client: FlaskClient, reader: CountingReader
) -> None:
    barrier = threading.Barrier(50, timeout=60)

    def send(_: int) -> dict[str, Any]:
        own = client.application.test_client()
        barrier.wait()
        body: dict[str, Any] = own.post(
            "/predict", data=plain(), content_type="image/jpeg"
        ).get_json()
        return body

    with ThreadPoolExecutor(50) as clients:
        bodies = list(clients.map(send, range(50)))
    assert reader.photos == 1
    assert {body["bitting"] for body in bodies} == {"2,5,4,7,3"}
    assert sorted(body["cached"] for body in bodies) == [False] + [True] * 49


def test_cache_stats_count_hits_and_misses(client: FlaskClient) -> None:
    assert stats(client) == {
        "hits": 0,
        "misses": 0,
        "shared": 0,
        "entries": 0,
        "max_entries": 1000,
        "ttl_s": 600,
        "backend": "memory",
        "degraded": False,
        "invalid": 0,
        "hit_rate": 0.0,
    }
    for _ in range(2):
        post(client, plain())
    found = stats(client)
    assert (found["hits"], found["misses"], found["entries"], found["hit_rate"]) == (1, 1, 1, 0.5)


def test_cache_stats_require_an_operator(settings: Settings, reader: CountingReader) -> None:
    guarded = serve(settings, reader, api_key=SecretStr("s3cret-token"))
    assert guarded.get("/cache/stats").status_code == 200
    remote = {"REMOTE_ADDR": "203.0.113.7"}
    refused = guarded.get("/cache/stats", environ_base=remote)
    assert check_described(guarded, refused, "/cache/stats", "get")["code"] == "unauthorized"
    assert refused.status_code == 401
    assert (
        guarded.get(
            "/cache/stats", headers={"X-API-Key": "s3cret-token"}, environ_base=remote
        ).status_code
        == 200
    )


def test_cache_is_off_if_its_ttl_is_zero(settings: Settings, reader: CountingReader) -> None:
    client = serve(settings, reader, cache_ttl_s=0)
    assert [post(client, plain())["cached"] for _ in range(2)] == [False, False]
    assert (reader.photos, stats(client)["ttl_s"], stats(client)["entries"]) == (2, 0, 0)


def test_replicas_share_readings_in_redis(
    settings: Settings, reader: CountingReader, redis_server: RedisServer
) -> None:
    one, other = (serve(settings, reader, redis_url=SecretStr(redis_server.url)) for _ in range(2))
    assert [post(replica, plain())["cached"] for replica in (one, other)] == [False, True]
    assert (reader.photos, stats(other)["backend"], stats(other)["entries"]) == (1, "redis", 1)


def test_replicas_with_different_limits_do_not_share_readings(
    settings: Settings, reader: CountingReader, redis_server: RedisServer
) -> None:
    url = SecretStr(redis_server.url)
    post(serve(settings, reader, redis_url=url), plain())
    strict = serve(settings, reader, redis_url=url, max_pixels=1000)
    check_failure(
        strict,
        strict.post("/predict", data=plain(), content_type="image/jpeg"),
        413,
        "image_too_large",
    )


def test_preflight_allows_the_cache_control_header(client: FlaskClient) -> None:
    preflight = {
        "Origin": "https://phone.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "cache-control",
    }
    allowed = client.options("/predict", headers=preflight).headers["Access-Control-Allow-Headers"]
    assert "cache-control" in allowed.lower()
