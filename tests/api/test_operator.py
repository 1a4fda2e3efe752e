"""Tests of /metrics and /debug: their values, access to them, and that they contain no secrets."""

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
from tests.api.controlled_app import ControlledApp, crash, short_of_memory
from tests.contract import check_described
from tools.plain_pictures import BLUE, GREEN, RED, plain

OPERATORS = ("/metrics", "/debug/performance", "/debug/memory")
TOKEN = "c4nary-token"


@pytest.fixture
def server(settings: Settings) -> Iterator[ControlledApp]:
    """Return an application with default settings."""
    app = ControlledApp(settings)
    yield app
    app.service.close()


def test_metrics_count_requests_by_route_and_status(server: ControlledApp) -> None:
    server.post(plain(RED))
    server.post(plain(BLUE))
    server.client.get("/c4nary/98765")
    server.client.open("/c4nary", method="C4NARY")
    values = server.values()
    assert values["keylike_requests_total method=POST route=/predict status=200"] == 1
    assert values["keylike_requests_total method=POST route=/predict status=422"] == 1
    assert values["keylike_requests_total method=GET route=other status=404"] == 1
    assert values["keylike_requests_total method=other route=other status=404"] == 1
    assert values["keylike_request_seconds_count route=/predict status=200"] == 1
    assert values["keylike_request_seconds_sum route=/predict status=200"] > 0


def test_metrics_count_photos_by_outcome(server: ControlledApp) -> None:
    for photo in (plain(RED), plain(RED), plain(BLUE), b"no picture"):
        server.post(photo)
    server.reader.first = crash
    server.post(plain(GREEN))
    values = server.values()
    outcomes = {
        outcome: values[f"keylike_photos_total outcome={outcome}"]
        for outcome in ("read", "unreadable", "refused", "crashed")
    }
    assert outcomes == {"read": 2, "unreadable": 1, "refused": 1, "crashed": 1}
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


def test_metrics_sum_time_by_stage(server: ControlledApp) -> None:
    for photo in (plain(RED), plain(RED), plain(GREEN)):
        server.post(photo)
    values = server.values()
    # The second photo comes from the cache, so only two of the three photos are decoded and read.
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


def test_metrics_count_cache_lookups(server: ControlledApp) -> None:
    for _ in range(3):
        server.post(plain(RED))
    values = server.values()
    lookups = {
        result: values[f"keylike_cache_lookups_total result={result}"]
        for result in ("hit", "miss", "shared")
    }
    assert lookups == {"hit": 2, "miss": 1, "shared": 0}
    assert (values["keylike_cache_entries"], values["keylike_cache_degraded"]) == (1, 0)


def test_metrics_count_rejections_by_reason(server: ControlledApp) -> None:
    server.post(plain(RED), headers={"X-Request-Timeout": "1e-9"})
    server.reader.first = short_of_memory
    server.post(plain(RED))
    photos = {
        "image": [
            (io.BytesIO(plain(GREEN)), "a.jpg"),
            (io.BytesIO(plain(RED, size=(50, 50))), "b.jpg"),
        ]
    }
    server.client.post("/predict/batch", data=photos, content_type="multipart/form-data")
    values = server.values()
    assert values["keylike_rejections_total reason=deadline_exceeded"] == 1
    assert values["keylike_rejections_total reason=overloaded"] == 3
    assert values["keylike_rejections_total reason=caller_gone"] == 0


def test_metrics_show_the_model_and_if_it_is_ready(
    settings: Settings, server: ControlledApp
) -> None:
    values = server.values()
    assert (
        values["keylike_model_info digest=0123456789ab kind=fake name=controlled version=1.2.3"]
        == 1
    )
    assert (values["keylike_ready"], values["keylike_degraded"]) == (1, 0)
    server.service.draining.set()
    assert server.values()["keylike_ready"] == 0
    loading = ControlledApp(settings, loaded=False)
    values = loading.values()
    assert values["keylike_ready"] == 0 and not [
        name for name in values if name.startswith("keylike_model_info")
    ]


def test_metrics_show_gpu_memory_only_when_a_gpu_is_in_use(
    server: ControlledApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not [name for name in server.values() if "gpu" in name]
    assert server.get("/health/detailed")["gpu"]["used_mb"] is None
    cuda = SimpleNamespace(
        is_initialized=lambda: True, mem_get_info=lambda device: (3_000_000, 10_000_000)
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    values = server.values()
    assert (values["keylike_gpu_memory_used_bytes"], values["keylike_gpu_memory_bytes"]) == (
        7e6,
        1e7,
    )
    assert server.get("/health/detailed")["gpu"]["used_mb"] == 7.0


def test_metrics_of_two_applications_are_separate(
    settings: Settings, server: ControlledApp
) -> None:
    server.post(plain(RED))
    other = ControlledApp(settings)
    assert other.values()["keylike_photos_total outcome=read"] == 0
    assert server.values()["keylike_photos_total outcome=read"] == 1


def test_unknown_paths_and_methods_add_no_time_series_to_metrics(server: ControlledApp) -> None:
    def series() -> set[str]:
        return set(server.values())

    server.client.get("/nowhere")
    server.client.open("/predict", method="MADE-UP")
    server.values()
    before = series()
    for number in range(20):
        server.client.get(f"/nowhere/{number}", headers={"X-Made-Up": str(number)})
        server.client.open("/predict", method=f"MADE-UP-{number}")
    assert series() == before


def test_debug_performance_covers_only_recent_photos(server: ControlledApp) -> None:
    assert server.get("/debug/performance") == {
        "window_s": 300,
        "stages_ms": {"decode": None, "queue": None, "model": None, "assess": None, "whole": None},
    }
    for side in (40, 50, 60):
        server.post(plain(RED, size=(side, 40)))
    server.post(plain(RED, size=(40, 40)))
    found = server.get("/debug/performance")["stages_ms"]
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
    server.now += 301
    assert server.get("/debug/performance")["stages_ms"]["whole"] is None


def test_debug_memory_returns_figures_with_and_without_tracemalloc(server: ControlledApp) -> None:
    server.post(plain(RED))
    found = server.get("/debug/memory")
    assert 10_000_000 < found["rss_bytes"] <= found["peak_bytes"]
    assert (found["cache_entries"], found["photo_block_bytes"], found["tracemalloc"]) == (
        1,
        16 << 20,
        None,
    )
    tracemalloc.start()
    try:
        traced = server.get("/debug/memory")["tracemalloc"]
    finally:
        tracemalloc.stop()
    assert 0 < traced["current_bytes"] <= traced["peak_bytes"]


@pytest.mark.parametrize("path", OPERATORS)
def test_operator_route_without_token_is_open_only_to_this_machine(
    server: ControlledApp, path: str
) -> None:
    for address in ("127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"):
        assert server.client.get(path, environ_base={"REMOTE_ADDR": address}).status_code == 200
    for address in (
        "203.0.113.7",
        "10.0.0.2",
        "2001:db8::1",
        "::ffff:203.0.113.7",
        "",
        "localhost",
    ):
        refused = server.client.get(path, environ_base={"REMOTE_ADDR": address})
        assert refused.status_code == 401
        assert check_described(server.client, refused, path, "get")["code"] == "unauthorized"


@pytest.mark.parametrize("path", OPERATORS)
@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Forwarded-Host", "Origin"]
)
def test_operator_route_is_refused_with_forged_headers(
    server: ControlledApp, path: str, header: str
) -> None:
    forged = {header: "for=127.0.0.1" if header == "Forwarded" else "127.0.0.1"}
    assert (
        server.client.get(
            path, headers=forged, environ_base={"REMOTE_ADDR": "203.0.113.7"}
        ).status_code
        == 401
    )
    # A local request with such a header comes from a tunnel, or from a page of another site in a
    # browser on this machine. Both act for a remote client.
    assert (
        server.client.get(
            path, headers=forged, environ_base={"REMOTE_ADDR": "127.0.0.1"}
        ).status_code
        == 401
    )


@pytest.mark.parametrize("path", OPERATORS)
def test_operator_route_is_open_to_every_address_with_an_admin_token(
    settings: Settings, path: str
) -> None:
    client = ControlledApp(settings, api_key=SecretStr(TOKEN)).client
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


def test_operator_routes_contain_no_secret(settings: Settings) -> None:
    server = ControlledApp(settings, api_key=SecretStr(TOKEN))
    photo = plain(RED) + b"c4nary-photo"
    for token in (TOKEN, "c4nary-guess"):
        sent = {
            "headers": {"X-API-Key": token, "User-Agent": "c4nary-agent"},
            "environ_base": {"REMOTE_ADDR": "203.0.113.77"},
        }
        body = server.client.post(
            "/predict?zipcode=98765&c4nary=query", data=photo, content_type="image/jpeg", **sent
        ).get_json()
        server.client.get("/c4nary/path", **sent)
    server.reader.first = crash
    server.client.post(
        "/predict", data=plain(GREEN), content_type="image/jpeg", headers={"X-API-Key": TOKEN}
    )
    assert body["code"] == "unauthorized"
    shown = [
        server.client.get(path, headers={"X-API-Key": TOKEN}).get_data(as_text=True)
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
