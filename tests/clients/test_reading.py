"""Tests of the Python client with a real server: readings, refusals, limits and tokens."""

from __future__ import annotations

import io
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from keylike.api.responses import success
from keylike_client import Client, Refused, UnexpectedAnswer, Unreadable, UnusablePhoto
from tests.clients.conftest import FakeClock, Serve
from tests.clients.scripted_server import ScriptedResponse
from tests.running import PatientReader, until
from tools.plain_pictures import BLUE, GREEN, RED, plain

TOKEN = "c4nary-token-of-a-client"
CODE = "2,5,4,7,3"


def test_read_accepts_bytes_paths_and_files(serve: Serve, make_client: Any, tmp_path: Path) -> None:
    photo = tmp_path / "key.jpg"
    photo.write_bytes(plain(RED))
    client = make_client(serve())
    with photo.open("rb") as file:
        readings = [
            client.read(reading) for reading in (photo.read_bytes(), photo, str(photo), file)
        ]
        assert not file.closed
    assert [(reading.bitting, reading.codes, reading.keyway) for reading in readings] == [
        (CODE, (2, 5, 4, 7, 3), "SC1")
    ] * 4
    assert [reading.cached for reading in readings] == [False, True, True, True]
    assert client.read(photo, fresh=True).cached is False
    assert client.read(photo, zipcode="12345").zipcode == "12345"


def test_read_starts_at_the_position_of_a_file_and_accepts_pipes(
    serve: Serve, make_client: Any
) -> None:
    offset_file = io.BytesIO(b"header" + plain(RED))
    offset_file.seek(6)
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as pipe:
        with os.fdopen(write_end, "wb") as file:
            file.write(plain(RED))
        client = make_client(serve())
        assert client.read(offset_file).bitting == client.read(pipe).bitting == CODE


def test_reading_large_photos_reuses_one_connection(
    serve: Serve, make_client: Any, tmp_path: Path
) -> None:
    photo = tmp_path / "large.jpg"
    photo.write_bytes(plain(RED) + bytes(5_000_000))
    running = serve()
    client = make_client(running)
    for _ in range(3):
        assert client.read(photo).bitting == CODE
    assert len(running.server._listener.active_channels) == 1


def test_reading_an_unreadable_photo_raises_reason_and_advice(
    serve: Serve, make_client: Any
) -> None:
    with pytest.raises(Unreadable) as failure:
        make_client(serve()).read(plain(BLUE))
    error = failure.value
    assert (error.code, error.status, error.reason) == ("unreadable", 422, "not_a_key")
    assert error.advice and error.model_used == "colour-1.0.0" and len(error.request_id or "") == 8


@pytest.mark.parametrize(
    ("photo", "code", "status"),
    [
        (b"", "no_image", 400),
        (plain(RED)[:200], "bad_image", 400),
        (b"text", "unsupported_image_type", 415),
    ],
)
def test_reading_an_invalid_photo_raises_refused_with_the_code(
    serve: Serve, make_client: Any, photo: bytes, code: str, status: int
) -> None:
    with pytest.raises(Refused) as failure:
        make_client(serve()).read(photo)
    assert (failure.value.code, failure.value.status) == (code, status) and failure.value.request_id


def test_reading_a_too_large_photo_raises_refused(serve: Serve, make_client: Any) -> None:
    client = make_client(serve(max_bytes=1000))
    for size in (2000, 3_000_000):
        with pytest.raises(Refused) as failure:
            client.read(plain(RED) + bytes(size))
        assert (failure.value.code, failure.value.status) == ("image_too_large", 413)


def test_token_is_required_and_never_shown(
    serve: Serve, make_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    running = serve(api_key=SecretStr(TOKEN), policy="predictions")
    caplog.set_level(logging.DEBUG)
    client = make_client(running, TOKEN)
    reading = client.read(plain(RED))
    for other in (None, "c4nary-unknown"):
        with pytest.raises(Refused) as failure:
            make_client(running, other).read(plain(RED))
        assert (failure.value.code, failure.value.status) == ("unauthorized", 401)
        assert "c4nary" not in repr(failure.value) + str(vars(failure.value))
    assert "c4nary" not in repr(client) + caplog.text and "with a token" in repr(client)
    assert reading.bitting == CODE and CODE not in repr(reading) + repr(reading.cuts) + caplog.text
    assert "depth" not in repr(reading.cuts) and "bitting" not in repr(reading.alternatives)


def test_client_does_not_wait_for_a_rate_limit_of_an_hour(
    serve: Serve, make_client: Any, clock: FakeClock
) -> None:
    client = make_client(serve(limits="on", limit_address="2 per hour"))
    client.read(plain(RED))
    client.read(plain(GREEN))
    with pytest.raises(Refused) as failure:
        client.read(plain(RED))
    assert (failure.value.code, failure.value.status) == ("rate_limited", 429)
    assert failure.value.retry_after_s and failure.value.retry_after_s > 60
    assert clock.waits == []
    assert client.health().status == "healthy" and clock.waits == []


def test_full_queue_is_retried(serve: Serve, make_client: Any, clock: FakeClock) -> None:
    reader = PatientReader()
    running = serve(reader, queue=1, threads=1)
    threads = [
        threading.Thread(target=make_client(running).read, args=(plain(colour),))
        for colour in (RED, GREEN)
    ]
    threads[0].start()
    until(lambda: running.service.load_snapshot().reading == 1)
    threads[1].start()
    until(lambda: running.service.slots.retry_after_s() is not None)

    def release() -> None:
        reader.allowed.set()
        for thread in threads:
            thread.join(20)

    clock.on_wait = release
    assert make_client(running).read(plain((90, 20, 20))).bitting == CODE
    assert len(clock.waits) == 1 and clock.waits[0] >= 1


def test_exceeded_deadline_is_not_retried(serve: Serve, make_client: Any, clock: FakeClock) -> None:
    reader = PatientReader()
    running = serve(reader, deadline_s=0.05)
    with pytest.raises(Refused) as failure:
        make_client(running).read(plain(RED))
    reader.allowed.set()
    assert (failure.value.code, failure.value.status) == ("deadline_exceeded", 504)
    assert reader.photos == 1 and clock.waits == []


def test_client_sends_its_timeout_to_the_server(scripted: Any, make_client: Any) -> None:
    server = scripted(ScriptedResponse())
    make_client(server, timeout_s=5).health()
    assert float(server.requests[0].headers["x-request-timeout"]) == 4.5


def test_missing_file_raises_unusable_photo(make_client: Any, tmp_path: Path) -> None:
    with pytest.raises(UnusablePhoto, match="No such file") as failure:
        make_client("http://127.0.0.1:9").read(tmp_path / "c4nary.jpg")
    assert failure.value.code == "unusable_photo" and "c4nary" not in str(failure.value)


def test_health_returns_model_and_status(serve: Serve, make_client: Any) -> None:
    health = make_client(serve()).health()
    assert (health.status, health.model, health.model_loaded, health.api_version) == (
        "healthy",
        "colour-1.0.0",
        True,
        "2.0.0",
    )


def test_context_manager_closes_connections(serve: Serve) -> None:
    running = serve()
    with Client(f"http://127.0.0.1:{running.server.port}/") as client:
        client.health()
        assert len(running.server._listener.active_channels) == 1
    until(lambda: not running.server._listener.active_channels)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:5000", "ftp://127.0.0.1", "http://", "http://a:c4nary@b", "http://b/?token=c4nary"],
)
def test_invalid_address_raises_an_error_without_secrets(address: str) -> None:
    with pytest.raises(ValueError) as failure:
        Client(address)
    assert "c4nary" not in str(failure.value)


@pytest.mark.parametrize("token", ["", "c4nary\r\nX: y", "c4nary token", "c4näry"])
def test_invalid_token_raises_an_error_without_the_token(token: str) -> None:
    with pytest.raises(ValueError) as failure:
        Client("http://127.0.0.1", token)
    assert "c4n" not in str(failure.value)


def test_response_with_a_field_of_another_type_raises_unexpected_answer(
    serve: Serve, make_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "keylike.api.predict.success",
        lambda *args, **options: {**success(*args, **options), "confidence": "high"},
    )
    with pytest.raises(UnexpectedAnswer, match=r"Reading\.confidence"):
        make_client(serve()).read(plain(RED))
