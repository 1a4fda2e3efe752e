"""What the operator sees over HTTP: /metrics and /debug, who may see it, and that it tells no secret."""

from __future__ import annotations

import base64
import io
import sys
import tracemalloc
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from keylike.settings import Settings
from tests.api.house import House, crash, short_of_memory
from tests.contract import check_described
from tools.plain_pictures import BLUE, GREEN, RED, plain

OPERATORS = ("/metrics", "/debug/performance", "/debug/memory")
TOKEN = "c4nary-token"


@pytest.fixture
def house(settings: Settings) -> Iterator[House]:
    """With the settings as they come."""
    made = House(settings)
    yield made
    made.service.close()


def test_requests_are_counted_by_route_and_status(house: House) -> None:
    house.post(plain(RED))
    house.post(plain(BLUE))
    house.client.get("/c4nary/98765")
    house.client.open("/c4nary", method="C4NARY")
    values = house.values()
    assert values["keylike_requests_total method=POST route=/predict status=200"] == 1
    assert values["keylike_requests_total method=POST route=/predict status=422"] == 1
    assert values["keylike_requests_total method=GET route=other status=404"] == 1
    assert values["keylike_requests_total method=other route=other status=404"] == 1
    assert values["keylike_request_seconds_count route=/predict status=200"] == 1
    assert values["keylike_request_seconds_sum route=/predict status=200"] > 0


def test_photos_are_counted_by_what_became_of_them(house: House) -> None:
    for photo in (plain(RED), plain(RED), plain(BLUE), b"no picture"):
        house.post(photo)
    house.reader.first = crash
    house.post(plain(GREEN))
    values = house.values()
    told = {
        outcome: values[f"keylike_photos_total outcome={outcome}"]
        for outcome in ("read", "unreadable", "refused", "crashed")
    }
    assert told == {"read": 2, "unreadable": 1, "refused": 1, "crashed": 1}
    assert values["keylike_unreadable_total reason=not_a_key"] == 1
    assert values["keylike_unreadable_total reason=glare"] == 0
    assert (
        values["keylike_confidence_count"],
        values["keylike_confidence_bucket le=0.7"],
        values["keylike_confidence_bucket le=0.8"],
    ) == (
        2,
        0,
        2,
    )


def test_time_is_counted_by_stage(house: House) -> None:
    for photo in (plain(RED), plain(RED), plain(GREEN)):
        house.post(photo)
    values = house.values()
    # The second was at hand.
    counts = {
        stage: values[f"keylike_stage_seconds_count stage={stage}"]
        for stage in ("decode", "queue", "model", "assess")
    }
    assert counts == {"decode": 2, "queue": 2, "model": 2, "assess": 3}
    assert values["keylike_photo_seconds_count"] == 3
    parts = sum(values[f"keylike_stage_seconds_sum stage={stage}"] for stage in counts)
    assert 0 < parts <= values["keylike_photo_seconds_sum"]
    assert values["keylike_model_seconds_total"] > 0
    assert (values["keylike_batch_photos_count"], values["keylike_batch_photos_sum"]) == (2, 2)
    assert (
        values["keylike_batch_photos_bucket le=1.0"],
        values["keylike_batch_photos_bucket le=+Inf"],
    ) == (2, 2)


def test_the_cache_is_counted(house: House) -> None:
    for _ in range(3):
        house.post(plain(RED))
    values = house.values()
    lookups = {
        result: values[f"keylike_cache_lookups_total result={result}"]
        for result in ("hit", "miss", "shared")
    }
    assert lookups == {"hit": 2, "miss": 1, "shared": 0}
    assert (values["keylike_cache_entries"], values["keylike_cache_degraded"]) == (1, 0)


def test_who_is_turned_away_is_counted_by_reason(house: House) -> None:
    house.post(plain(RED), headers={"X-Request-Timeout": "1e-9"})
    house.reader.first = short_of_memory
    house.post(plain(RED))
    photos = {
        "image": [
            (io.BytesIO(plain(GREEN)), "a.jpg"),
            (io.BytesIO(plain(RED, size=(50, 50))), "b.jpg"),
        ]
    }
    house.client.post("/predict/batch", data=photos, content_type="multipart/form-data")
    values = house.values()
    assert values["keylike_rejections_total reason=deadline_exceeded"] == 1
    assert values["keylike_rejections_total reason=overloaded"] == 3
    assert values["keylike_rejections_total reason=caller_gone"] == 0


def test_the_model_is_named(settings: Settings, house: House) -> None:
    values = house.values()
    assert values["keylike_model_info digest=0123456789ab kind=fake name=moody version=1.2.3"] == 1
    assert (values["keylike_ready"], values["keylike_degraded"]) == (1, 0)
    house.service.draining.set()
    assert house.values()["keylike_ready"] == 0
    loading = House(settings, loaded=False)
    values = loading.values()
    assert values["keylike_ready"] == 0 and not [
        name for name in values if name.startswith("keylike_model_info")
    ]


def test_the_gpu_is_shown_where_one_is_used(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not [name for name in house.values() if "gpu" in name]
    assert house.get("/health/detailed")["gpu"]["used_mb"] is None
    cuda = SimpleNamespace(
        is_initialized=lambda: True, mem_get_info=lambda device: (3_000_000, 10_000_000)
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    values = house.values()
    assert (values["keylike_gpu_memory_used_bytes"], values["keylike_gpu_memory_bytes"]) == (
        7e6,
        1e7,
    )
    assert house.get("/health/detailed")["gpu"]["used_mb"] == 7.0


def test_applications_count_for_themselves(settings: Settings, house: House) -> None:
    house.post(plain(RED))
    other = House(settings)
    assert other.values()["keylike_photos_total outcome=read"] == 0
    assert house.values()["keylike_photos_total outcome=read"] == 1


def test_series_do_not_grow_with_what_callers_write(house: House) -> None:
    def known() -> set[str]:
        return set(house.values())

    house.client.get("/nowhere")
    house.client.open("/predict", method="MADE-UP")
    house.values()
    before = known()
    for number in range(20):
        house.client.get(f"/nowhere/{number}", headers={"X-Made-Up": str(number)})
        house.client.open("/predict", method=f"MADE-UP-{number}")
    assert known() == before


def test_performance_is_of_late(house: House) -> None:
    assert house.get("/debug/performance") == {
        "window_s": 300,
        "stages_ms": {"decode": None, "queue": None, "model": None, "assess": None, "whole": None},
    }
    for side in (40, 50, 60):
        house.post(plain(RED, size=(side, 40)))
    house.post(plain(RED, size=(40, 40)))
    found = house.get("/debug/performance")["stages_ms"]
    assert {stage: times["count"] for stage, times in found.items()} == {
        "decode": 3,
        "queue": 3,
        "model": 3,
        "assess": 4,
        "whole": 4,
    }
    whole = found["whole"]
    assert (
        0 < whole["min"] <= whole["p50"] <= whole["p95"] <= whole["p99"]
        and whole["min"] <= whole["mean"] <= whole["p99"]
    )
    house.now += 301
    assert house.get("/debug/performance")["stages_ms"]["whole"] is None


def test_memory(house: House) -> None:
    house.post(plain(RED))
    found = house.get("/debug/memory")
    assert 10_000_000 < found["rss_bytes"] <= found["peak_bytes"]
    assert (found["cache_entries"], found["photo_block_bytes"], found["tracemalloc"]) == (
        1,
        16 << 20,
        None,
    )
    tracemalloc.start()
    try:
        traced = house.get("/debug/memory")["tracemalloc"]
    finally:
        tracemalloc.stop()
    assert 0 < traced["current_bytes"] <= traced["peak_bytes"]


@pytest.mark.parametrize("path", OPERATORS)
def test_without_a_token_only_this_machine_may_look(house: House, path: str) -> None:
    for address in ("127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"):
        assert house.client.get(path, environ_base={"REMOTE_ADDR": address}).status_code == 200
    for address in (
        "203.0.113.7",
        "10.0.0.2",
        "2001:db8::1",
        "::ffff:203.0.113.7",
        "",
        "localhost",
    ):
        refused = house.client.get(path, environ_base={"REMOTE_ADDR": address})
        assert refused.status_code == 401
        assert check_described(house.client, refused, path, "get")["code"] == "unauthorized"


@pytest.mark.parametrize("path", OPERATORS)
@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Forwarded-Host", "Origin"]
)
def test_no_header_lets_anybody_in(house: House, path: str, header: str) -> None:
    forged = {header: "for=127.0.0.1" if header == "Forwarded" else "127.0.0.1"}
    assert (
        house.client.get(
            path, headers=forged, environ_base={"REMOTE_ADDR": "203.0.113.7"}
        ).status_code
        == 401
    )
    # A tunnel, or a page of another site in a browser, on this machine: who asks is anywhere.
    assert (
        house.client.get(
            path, headers=forged, environ_base={"REMOTE_ADDR": "127.0.0.1"}
        ).status_code
        == 401
    )


@pytest.mark.parametrize("path", OPERATORS)
def test_an_admins_token_opens_it_from_everywhere(settings: Settings, path: str) -> None:
    client = House(settings, api_key=SecretStr(TOKEN)).client
    far = {"REMOTE_ADDR": "203.0.113.7"}
    for headers in ({}, {"X-API-Key": "c4nary-guess"}):
        refused = client.get(path, headers=headers, environ_base=far)
        assert refused.status_code == 401
        assert check_described(client, refused, path, "get")["code"] == "unauthorized"
    assert client.get(path).status_code == 200
    assert (
        client.get(path, headers={"Authorization": f"Bearer {TOKEN}"}, environ_base=far).status_code
        == 200
    )
    assert client.get("/health/detailed", environ_base=far).status_code == 200


def test_no_secret_is_shown(settings: Settings) -> None:
    house = House(settings, api_key=SecretStr(TOKEN))
    photo = plain(RED) + b"c4nary-photo"
    for token in (TOKEN, "c4nary-guess"):
        sent = {
            "headers": {"X-API-Key": token, "User-Agent": "c4nary-agent"},
            "environ_base": {"REMOTE_ADDR": "203.0.113.77"},
        }
        body = house.client.post(
            "/predict?zipcode=98765&c4nary=query", data=photo, content_type="image/jpeg", **sent
        ).get_json()
        house.client.get("/c4nary/path", **sent)
    house.reader.first = crash
    house.client.post(
        "/predict", data=plain(GREEN), content_type="image/jpeg", headers={"X-API-Key": TOKEN}
    )
    assert body["code"] == "unauthorized"
    shown = [
        house.client.get(path, headers={"X-API-Key": TOKEN}).get_data(as_text=True)
        for path in (*OPERATORS, "/health/detailed")
    ]
    assert "keylike_photos_total" in shown[0] and '"read":1' in shown[3].replace(" ", "")
    packed = base64.b64encode(photo[:60]).decode()
    for text in shown:
        for secret in (
            "c4nary",
            TOKEN,
            "2,5,4,7,3",
            "25473",
            "98765",
            "203.0.113",
            packed,
            "SC1",
            str(settings.logs.parent),
        ):
            assert secret not in text, secret
