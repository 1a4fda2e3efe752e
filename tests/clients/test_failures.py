"""Tests of the Python client with servers that stop, ask for a retry, redirect or misbehave."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keylike_client import (
    Client,
    KeylikeError,
    Refused,
    UnexpectedAnswer,
    Unreachable,
    UnusablePhoto,
)
from keylike_client.retries import retry_after_s
from tests.clients.conftest import FakeClock, Serve
from tests.clients.scripted_server import FAILURE, ScriptedResponse, ScriptedServer
from tools.plain_pictures import RED, plain

TOKEN = "c4nary-token-of-a-client"
Start = Callable[..., ScriptedServer]


@pytest.mark.parametrize("status", [429, 503])
def test_client_retries_after_the_seconds_of_retry_after(
    scripted: Start, make_client: Any, clock: FakeClock, status: int
) -> None:
    server = scripted(
        ScriptedResponse(status, FAILURE, {"Retry-After": "7"}),
        ScriptedResponse(status, FAILURE, {"Retry-After": "0"}),
        ScriptedResponse(),
    )
    assert make_client(server).health().status == "healthy"
    assert clock.waits == [7.0, 1.0] and len(server.requests) == 3


def test_wait_before_a_retry_has_jitter(
    scripted: Start, make_client: Any, clock: FakeClock
) -> None:
    server = scripted(ScriptedResponse(503, FAILURE, {"Retry-After": "10"}), ScriptedResponse())
    make_client(server, jitter=lambda: 0.5).health()
    assert clock.waits == [11.25]


def test_retries_stop_when_the_patience_is_used_up(
    scripted: Start, make_client: Any, clock: FakeClock
) -> None:
    server = scripted(ScriptedResponse(503, FAILURE, {"Retry-After": "20"}))
    with pytest.raises(Refused) as failure:
        make_client(server, patience_s=50).health()
    assert (failure.value.code, failure.value.retry_after_s) == ("overloaded", 20.0)
    assert clock.waits == [20.0, 20.0] and len(server.requests) == 3


def test_retry_after_also_delays_the_next_call_of_the_client(
    scripted: Start, make_client: Any, clock: FakeClock
) -> None:
    server = scripted(ScriptedResponse(429, FAILURE, {"Retry-After": "30"}), ScriptedResponse())
    client = make_client(server, patience_s=35)
    clock.on_wait = lambda: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        client.health()
    clock.on_wait, clock.now = lambda: None, clock.now - 20
    client.health()
    assert clock.waits == [30.0, 20.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 500, 502, 504])
def test_other_failures_are_not_retried(
    scripted: Start, make_client: Any, clock: FakeClock, status: int
) -> None:
    server = scripted(ScriptedResponse(status, {**FAILURE, "code": "internal"}))
    with pytest.raises(Refused) as failure:
        make_client(server).read(plain(RED))
    assert (failure.value.status, failure.value.request_id, len(server.requests), clock.waits) == (
        status,
        "0123abcd",
        1,
        [],
    )


def test_retry_sends_the_whole_photo_again(
    scripted: Start, make_client: Any, tmp_path: Path
) -> None:
    photo = tmp_path / "key.jpg"
    photo.write_bytes(plain(RED) + bytes(200_000))
    server = scripted(ScriptedResponse(503, FAILURE), ScriptedResponse(400, FAILURE))
    with photo.open("rb") as file, pytest.raises(Refused):
        make_client(server).read(file)
    assert [request.body for request in server.requests] == [photo.read_bytes()] * 2


def test_failed_connection_is_retried(scripted: Start, make_client: Any, clock: FakeClock) -> None:
    server = scripted(ScriptedResponse())
    client = make_client(server)
    server.stop()
    clock.on_wait = lambda: server.start() if len(clock.waits) == 3 else None
    assert client.health().status == "healthy"
    assert clock.waits == [0.5, 1.0, 2.0]


def test_stopped_server_raises_unreachable(
    serve: Serve, make_client: Any, clock: FakeClock
) -> None:
    running = serve()
    client = make_client(running, patience_s=10)
    client.read(plain(RED))
    running.stop()
    with pytest.raises(Unreachable) as failure:
        client.read(plain(RED))
    assert (failure.value.code, failure.value.status, failure.value.request_id) == (
        "unreachable",
        None,
        None,
    )
    assert sum(clock.waits) <= 10 and len(clock.waits) == 4


def test_connection_that_the_server_closed_is_replaced(
    scripted: Start, make_client: Any, clock: FakeClock
) -> None:
    server = scripted(ScriptedResponse(), ScriptedResponse(disconnect=True), ScriptedResponse())
    client = make_client(server)
    client.health()
    assert client.health().status == "healthy"
    assert len(server.requests) == 3 and clock.waits == []


@pytest.mark.parametrize(
    "response",
    [
        ScriptedResponse(disconnect=True),
        ScriptedResponse(length=5000),
        ScriptedResponse(body=bytes(5_000_000)),
    ],
)
def test_lost_response_is_not_retried(
    scripted: Start, make_client: Any, clock: FakeClock, response: ScriptedResponse
) -> None:
    server = scripted(response)
    with pytest.raises(Unreachable):
        make_client(server).read(plain(RED))
    assert len(server.requests) == 1 and clock.waits == []


def test_silent_server_times_out(scripted: Start, make_client: Any, clock: FakeClock) -> None:
    released = threading.Event()
    server = scripted(ScriptedResponse(before=lambda: released.wait(20)))
    with pytest.raises(Unreachable, match=r"within 0\.1 seconds"):
        make_client(server, timeout_s=0.1).health()
    released.set()
    assert len(server.requests) == 1 and clock.waits == []


def test_slow_response_times_out(scripted: Start, make_client: Any, clock: FakeClock) -> None:
    server = scripted(ScriptedResponse())
    ticks = iter(range(10, 100_000, 10))
    with pytest.raises(Unreachable):
        make_client(server, clock=lambda: float(next(ticks)), timeout_s=5).health()


def test_response_that_comes_during_an_upload_is_read(
    scripted: Start, make_client: Any, tmp_path: Path
) -> None:
    photo = tmp_path / "large.jpg"
    photo.write_bytes(plain(RED) + bytes(30_000_000))
    server = scripted(ScriptedResponse(413, {**FAILURE, "code": "image_too_large"}, unread=True))
    with pytest.raises(KeylikeError) as failure:
        make_client(server).read(photo)
    # The kernel may discard the response when the connection is closed. Then the client reports a
    # lost connection and does not retry.
    assert failure.value.code in ("image_too_large", "unreachable") and len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(scripted: Start, make_client: Any, status: int) -> None:
    other_server = scripted(ScriptedResponse())
    server = scripted(ScriptedResponse(status, b"", {"Location": f"{other_server.address}/health"}))
    with pytest.raises(UnexpectedAnswer, match="not followed") as failure:
        make_client(server, TOKEN).read(plain(RED))
    assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert (other_server.requests, failure.value.status) == ([], status)


def test_html_page_of_a_proxy_raises_unexpected_answer(
    scripted: Start, make_client: Any, clock: FakeClock
) -> None:
    with pytest.raises(UnexpectedAnswer, match="not from a Keylike server"):
        make_client(
            scripted(ScriptedResponse(502, b"<html>c4nary</html>", {"Content-Type": "text/html"}))
        ).health()
    with pytest.raises(UnexpectedAnswer, match="not JSON"):
        make_client(scripted(ScriptedResponse(200, b"<html>c4nary</html>"))).health()
    assert clock.waits == []
    assert (
        make_client(
            scripted(
                ScriptedResponse(503, b"<html>Service Temporarily Unavailable"), ScriptedResponse()
            )
        )
        .health()
        .status
        == "healthy"
    )
    assert clock.waits == [0.5]


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"null",
        b"[]",
        b'{"error": 1, "code": 2, "request_id": 3}',
        b'{"status": "healthy"}',
    ],
)
def test_json_of_another_shape_raises_unexpected_answer(
    scripted: Start, make_client: Any, body: bytes
) -> None:
    for status in (200, 418):
        with pytest.raises(UnexpectedAnswer):
            make_client(scripted(ScriptedResponse(status, body))).health()


def test_tls_certificate_must_be_trusted_and_match_the_host(
    scripted: Start, make_client: Any, clock: FakeClock, certificate: tuple[Path, Path]
) -> None:
    server = scripted(ScriptedResponse(), certificate=certificate)
    with pytest.raises(Unreachable, match=r"(?i)self.signed"):
        make_client(server, TOKEN).health()
    assert server.requests == [] and clock.waits == []
    assert make_client(server, TOKEN, ca_file=certificate[0]).health().status == "healthy"
    with pytest.raises(Unreachable, match=r"(?i)mismatch"):
        make_client(
            server.address.replace("127.0.0.1", "localhost"), TOKEN, ca_file=certificate[0]
        ).health()
    assert len(server.requests) == 1


def test_certificate_check_ignores_pythonhttpsverify(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHTTPSVERIFY", "0")
    client = Client("https://127.0.0.1")
    context = client._connections._tls
    assert (
        context is not None and context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname
    )


def test_debug_output_of_http_client_does_not_contain_the_token(
    scripted: Start, make_client: Any, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setattr("http.client.HTTPConnection.debuglevel", 1)
    make_client(scripted(ScriptedResponse()), TOKEN).health()
    assert "c4nary" not in "".join(capfd.readouterr())


def test_photo_file_that_became_shorter_raises_unusable_photo(
    scripted: Start, make_client: Any, tmp_path: Path
) -> None:
    photo = tmp_path / "key.jpg"
    photo.write_bytes(bytes(100_000))
    server = scripted(ScriptedResponse(503, FAILURE, before=lambda: photo.write_bytes(bytes(10))))
    with pytest.raises(UnusablePhoto, match="shorter"):
        make_client(server).read(photo)


def test_path_prefix_of_the_address_is_kept(scripted: Start, make_client: Any) -> None:
    server = scripted(ScriptedResponse())
    make_client(server.address + "/keys/").health()
    assert server.requests[0].path == "/keys/health"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *[
            ("7", 7.0),
            (" 0 ", 0.0),
            (None, None),
            ("soon", None),
            ("-1", None),
            ("9" * 20, None),
            ("1e3", None),
            ("٣", None),
        ],
        *[("Thu, 01 Jan 1970 00:01:40 GMT", 40.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0)],
    ],
)
def test_retry_after_s_parses_seconds_and_dates(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, 60.0) == seconds
