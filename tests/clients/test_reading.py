"""The Python client against the real server: readings, refusals, limits, deadlines, tokens."""

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
from tests.clients.conftest import Serve, Time
from tests.clients.scripted import Say
from tests.running import PatientReader, until
from tools.plain_pictures import BLUE, GREEN, RED, plain

TOKEN = "c4nary-token-of-a-client"
CODE = "2,5,4,7,3"


def test_bytes_paths_and_files_are_read_alike(serve: Serve, ask: Any, tmp_path: Path) -> None:
    photo = tmp_path / "key.jpg"
    photo.write_bytes(plain(RED))
    client = ask(serve())
    with photo.open("rb") as file:
        readings = [client.read(one) for one in (photo.read_bytes(), photo, str(photo), file)]
        assert not file.closed
    assert [(one.bitting, one.codes, one.keyway) for one in readings] == [
        (CODE, (2, 5, 4, 7, 3), "SC1")
    ] * 4
    assert [one.cached for one in readings] == [False, True, True, True]
    assert client.read(photo, fresh=True).cached is False
    assert client.read(photo, zipcode="12345").zipcode == "12345"


def test_a_file_is_read_from_where_it_stands_and_a_pipe_once(serve: Serve, ask: Any) -> None:
    behind = io.BytesIO(b"header" + plain(RED))
    behind.seek(6)
    out, into = os.pipe()
    with os.fdopen(out, "rb") as pipe:
        with os.fdopen(into, "wb") as end:
            end.write(plain(RED))
        client = ask(serve())
        assert client.read(behind).bitting == client.read(pipe).bitting == CODE


def test_a_large_photo_goes_in_pieces_over_a_connection_that_is_kept(
    serve: Serve, ask: Any, tmp_path: Path
) -> None:
    photo = tmp_path / "large.jpg"
    photo.write_bytes(plain(RED) + bytes(5_000_000))
    running = serve()
    client = ask(running)
    for _ in range(3):
        assert client.read(photo).bitting == CODE
    assert len(running.server._listener.active_channels) == 1


def test_what_cannot_be_read_says_why_and_what_to_do(serve: Serve, ask: Any) -> None:
    with pytest.raises(Unreadable) as failure:
        ask(serve()).read(plain(BLUE))
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
def test_other_failures_have_their_code(
    serve: Serve, ask: Any, photo: bytes, code: str, status: int
) -> None:
    with pytest.raises(Refused) as failure:
        ask(serve()).read(photo)
    assert (failure.value.code, failure.value.status) == (code, status) and failure.value.request_id


def test_a_photo_that_is_too_large_is_refused_with_the_servers_limit(
    serve: Serve, ask: Any
) -> None:
    client = ask(serve(max_bytes=1000))
    for size in (2000, 3_000_000):
        with pytest.raises(Refused) as failure:
            client.read(plain(RED) + bytes(size))
        assert (failure.value.code, failure.value.status) == ("image_too_large", 413)


def test_a_token_opens_and_a_wrong_one_does_not(
    serve: Serve, ask: Any, caplog: pytest.LogCaptureFixture
) -> None:
    running = serve(api_key=SecretStr(TOKEN), policy="predictions")
    caplog.set_level(logging.DEBUG)
    client = ask(running, TOKEN)
    reading = client.read(plain(RED))
    for other in (None, "c4nary-of-nobody"):
        with pytest.raises(Refused) as failure:
            ask(running, other).read(plain(RED))
        assert (failure.value.code, failure.value.status) == ("unauthorized", 401)
        assert "c4nary" not in repr(failure.value) + str(vars(failure.value))
    assert "c4nary" not in repr(client) + caplog.text and "with a token" in repr(client)
    assert reading.bitting == CODE and CODE not in repr(reading) + repr(reading.cuts) + caplog.text
    assert "depth" not in repr(reading.cuts) and "bitting" not in repr(reading.alternatives)


def test_a_limit_that_lasts_too_long_is_told_at_once(serve: Serve, ask: Any, time: Time) -> None:
    client = ask(serve(limits="on", limit_address="2 per hour"))
    client.read(plain(RED))
    client.read(plain(GREEN))
    with pytest.raises(Refused) as failure:
        client.read(plain(RED))
    assert (failure.value.code, failure.value.status) == ("rate_limited", 429)
    assert failure.value.retry_after_s and failure.value.retry_after_s > 60
    assert time.naps == []
    assert client.health().status == "healthy" and time.naps == []


def test_a_full_queue_is_waited_for(serve: Serve, ask: Any, time: Time) -> None:
    reader = PatientReader()
    running = serve(reader, queue=1, threads=1)
    ahead = [
        threading.Thread(target=ask(running).read, args=(plain(colour),)) for colour in (RED, GREEN)
    ]
    ahead[0].start()
    until(lambda: running.service.load_snapshot().reading == 1)
    ahead[1].start()
    until(lambda: running.service.slots.retry_after_s() is not None)

    def goes_on() -> None:
        reader.allowed.set()
        for thread in ahead:
            thread.join(20)

    time.meanwhile = goes_on
    assert ask(running).read(plain((90, 20, 20))).bitting == CODE
    assert len(time.naps) == 1 and time.naps[0] >= 1


def test_a_deadline_is_not_tried_again(serve: Serve, ask: Any, time: Time) -> None:
    reader = PatientReader()
    running = serve(reader, deadline_s=0.05)
    with pytest.raises(Refused) as failure:
        ask(running).read(plain(RED))
    reader.allowed.set()
    assert (failure.value.code, failure.value.status) == ("deadline_exceeded", 504)
    assert reader.photos == 1 and time.naps == []


def test_the_server_is_told_how_long_somebody_waits(scripted: Any, ask: Any) -> None:
    server = scripted(Say())
    ask(server, timeout_s=5).health()
    assert float(server.asked[0].headers["x-request-timeout"]) == 4.5


def test_a_file_that_is_not_there_is_no_failure_of_the_server(ask: Any, tmp_path: Path) -> None:
    with pytest.raises(UnusablePhoto, match="No such file") as failure:
        ask("http://127.0.0.1:9").read(tmp_path / "c4nary.jpg")
    assert failure.value.code == "unusable_photo" and "c4nary" not in str(failure.value)


def test_health(serve: Serve, ask: Any) -> None:
    health = ask(serve()).health()
    assert (health.status, health.model, health.model_loaded, health.api_version) == (
        "healthy",
        "colour-1.0.0",
        True,
        "2.0.0",
    )


def test_it_is_a_context_manager_that_leaves_no_connection(serve: Serve) -> None:
    running = serve()
    with Client(f"http://127.0.0.1:{running.server.port}/") as client:
        client.health()
        assert len(running.server._listener.active_channels) == 1
    until(lambda: not running.server._listener.active_channels)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:5000", "ftp://127.0.0.1", "http://", "http://a:c4nary@b", "http://b/?token=c4nary"],
)
def test_what_is_no_address_is_told_without_its_secrets(address: str) -> None:
    with pytest.raises(ValueError) as failure:
        Client(address)
    assert "c4nary" not in str(failure.value)


@pytest.mark.parametrize("token", ["", "c4nary\r\nX: y", "c4nary token", "c4näry"])
def test_what_is_no_token_is_told_without_it(token: str) -> None:
    with pytest.raises(ValueError) as failure:
        Client("http://127.0.0.1", token)
    assert "c4n" not in str(failure.value)


def test_an_answer_of_another_version_is_told(
    serve: Serve, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "keylike.api.predict.success",
        lambda *args, **more: {**success(*args, **more), "confidence": "high"},
    )
    with pytest.raises(UnexpectedAnswer, match=r"Reading\.confidence"):
        ask(serve()).read(plain(RED))
