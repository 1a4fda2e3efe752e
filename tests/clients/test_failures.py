"""The Python client and a server that goes away, comes back, sends elsewhere, lies, or cannot be trusted."""

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
from keylike_client.patience import retry_after_s
from tests.clients.conftest import Serve, Time
from tests.clients.scripted import FAILURE, HEALTH, Say, Scripted
from tools.plain_pictures import RED, plain

TOKEN = "c4nary-token-of-a-client"
Start = Callable[..., Scripted]


@pytest.mark.parametrize("status", [429, 503])
def test_whoever_is_told_when_to_come_back_comes_back_then(
    scripted: Start, ask: Any, time: Time, status: int
) -> None:
    server = scripted(
        Say(status, FAILURE, {"Retry-After": "7"}),
        Say(status, FAILURE, {"Retry-After": "0"}),
        Say(),
    )
    assert ask(server).health().status == "healthy"
    assert time.naps == [7.0, 1.0] and len(server.asked) == 3


def test_those_who_come_back_do_not_do_so_together(scripted: Start, ask: Any, time: Time) -> None:
    server = scripted(Say(503, FAILURE, {"Retry-After": "10"}), Say())
    ask(server, chance=lambda: 0.5).health()
    assert time.naps == [11.25]


def test_patience_ends(scripted: Start, ask: Any, time: Time) -> None:
    server = scripted(Say(503, FAILURE, {"Retry-After": "20"}))
    with pytest.raises(Refused) as failure:
        ask(server, patience_s=50).health()
    assert (failure.value.code, failure.value.retry_after_s) == ("overloaded", 20.0)
    assert time.naps == [20.0, 20.0] and len(server.asked) == 3


def test_what_a_busy_server_told_one_holds_for_the_next(
    scripted: Start, ask: Any, time: Time
) -> None:
    server = scripted(Say(429, FAILURE, {"Retry-After": "30"}), Say())
    client = ask(server, patience_s=35)
    time.meanwhile = lambda: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        client.health()
    time.meanwhile, time.now = lambda: None, time.now - 20
    client.health()
    assert time.naps == [30.0, 20.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 500, 502, 504])
def test_everything_else_is_asked_once(scripted: Start, ask: Any, time: Time, status: int) -> None:
    server = scripted(Say(status, {**FAILURE, "code": "internal"}))
    with pytest.raises(Refused) as failure:
        ask(server).read(plain(RED))
    assert (failure.value.status, failure.value.request_id, len(server.asked), time.naps) == (
        status,
        "0123abcd",
        1,
        [],
    )


def test_a_photo_is_sent_whole_each_time(scripted: Start, ask: Any, tmp_path: Path) -> None:
    photo = tmp_path / "key.jpg"
    photo.write_bytes(plain(RED) + bytes(200_000))
    server = scripted(Say(503, FAILURE), Say(400, FAILURE))
    with photo.open("rb") as file, pytest.raises(Refused):
        ask(server).read(file)
    assert [one.body for one in server.asked] == [photo.read_bytes()] * 2


def test_a_server_that_is_away_is_waited_for(scripted: Start, ask: Any, time: Time) -> None:
    server = scripted(Say())
    client = ask(server)
    server.stop()
    time.meanwhile = lambda: server.start() if len(time.naps) == 3 else None
    assert client.health().status == "healthy"
    assert time.naps == [0.5, 1.0, 2.0]


def test_a_real_server_that_stops_is_gone_and_that_is_said(
    serve: Serve, ask: Any, time: Time
) -> None:
    running = serve()
    client = ask(running, patience_s=10)
    client.read(plain(RED))
    running.stop()
    with pytest.raises(Unreachable) as failure:
        client.read(plain(RED))
    assert (failure.value.code, failure.value.status, failure.value.request_id) == (
        "unreachable",
        None,
        None,
    )
    assert sum(time.naps) <= 10 and len(time.naps) == 4


def test_a_kept_connection_that_was_closed_meanwhile_is_no_failure(
    scripted: Start, ask: Any, time: Time
) -> None:
    server = scripted(Say(), Say(hang_up=True), Say())
    client = ask(server)
    client.health()
    assert client.health().status == "healthy"
    assert len(server.asked) == 3 and time.naps == []


@pytest.mark.parametrize("say", [Say(hang_up=True), Say(length=5000), Say(body=bytes(5_000_000))])
def test_what_may_have_been_done_is_not_asked_again(
    scripted: Start, ask: Any, time: Time, say: Say
) -> None:
    server = scripted(say)
    with pytest.raises(Unreachable):
        ask(server).read(plain(RED))
    assert len(server.asked) == 1 and time.naps == []


def test_silence_has_an_end(scripted: Start, ask: Any, time: Time) -> None:
    heard = threading.Event()
    server = scripted(Say(before=lambda: heard.wait(20)))
    with pytest.raises(Unreachable, match=r"within 0\.1 seconds"):
        ask(server, timeout_s=0.1).health()
    heard.set()
    assert len(server.asked) == 1 and time.naps == []


def test_an_answer_that_trickles_has_an_end(scripted: Start, ask: Any, time: Time) -> None:
    server = scripted(Say())
    ticks = iter(range(10, 100_000, 10))
    with pytest.raises(Unreachable):
        ask(server, clock=lambda: float(next(ticks)), timeout_s=5).health()


def test_an_answer_that_comes_while_the_photo_is_still_sent_is_heard(
    scripted: Start, ask: Any, tmp_path: Path
) -> None:
    photo = tmp_path / "large.jpg"
    photo.write_bytes(plain(RED) + bytes(30_000_000))
    server = scripted(Say(413, {**FAILURE, "code": "image_too_large"}, unread=True))
    with pytest.raises(KeylikeError) as failure:
        ask(server).read(photo)
    # The kernel may drop the answer together with the connection; then it is told as a cut connection, and not asked again.
    assert failure.value.code in ("image_too_large", "unreachable") and len(server.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_takes_the_token_nowhere(scripted: Start, ask: Any, status: int) -> None:
    elsewhere = scripted(Say())
    server = scripted(Say(status, b"", {"Location": f"{elsewhere.address}/health"}))
    with pytest.raises(UnexpectedAnswer, match="not followed") as failure:
        ask(server, TOKEN).read(plain(RED))
    assert server.asked[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert (elsewhere.asked, failure.value.status) == ([], status)


def test_a_proxys_own_page_is_no_answer(scripted: Start, ask: Any, time: Time) -> None:
    with pytest.raises(UnexpectedAnswer, match="Something else"):
        ask(scripted(Say(502, b"<html>c4nary</html>", {"Content-Type": "text/html"}))).health()
    with pytest.raises(UnexpectedAnswer, match="not JSON"):
        ask(scripted(Say(200, b"<html>c4nary</html>"))).health()
    assert time.naps == []
    assert (
        ask(scripted(Say(503, b"<html>Service Temporarily Unavailable"), Say())).health().status
        == "healthy"
    )
    assert time.naps == [0.5]


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
def test_other_json_is_no_answer(scripted: Start, ask: Any, body: bytes) -> None:
    for status in (200, 418):
        with pytest.raises(UnexpectedAnswer):
            ask(scripted(Say(status, body))).health()


def test_certificates_are_checked(
    scripted: Start, ask: Any, time: Time, certificate: tuple[Path, Path]
) -> None:
    server = scripted(Say(), certificate=certificate)
    with pytest.raises(Unreachable, match=r"(?i)self.signed"):
        ask(server, TOKEN).health()
    assert server.asked == [] and time.naps == []
    assert ask(server, TOKEN, ca_file=certificate[0]).health().status == "healthy"
    with pytest.raises(Unreachable, match=r"(?i)mismatch"):
        ask(
            server.address.replace("127.0.0.1", "localhost"), TOKEN, ca_file=certificate[0]
        ).health()
    assert len(server.asked) == 1


def test_nothing_turns_the_check_of_certificates_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHTTPSVERIFY", "0")
    client = Client("https://127.0.0.1")
    context = client._connections._tls
    assert (
        context is not None and context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname
    )


def test_the_tracing_of_the_standard_library_sees_no_token(
    scripted: Start, ask: Any, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setattr("http.client.HTTPConnection.debuglevel", 1)
    ask(scripted(Say()), TOKEN).health()
    assert "c4nary" not in "".join(capfd.readouterr())


def test_a_photo_that_shrinks_while_it_is_sent_is_told(
    scripted: Start, ask: Any, tmp_path: Path
) -> None:
    photo = tmp_path / "key.jpg"
    photo.write_bytes(bytes(100_000))
    server = scripted(Say(503, FAILURE, before=lambda: photo.write_bytes(bytes(10))))
    with pytest.raises(UnusablePhoto, match="shorter"):
        ask(server).read(photo)


def test_a_path_before_the_servers_own_is_kept(scripted: Start, ask: Any) -> None:
    server = scripted(Say())
    ask(server.address + "/keys/").health()
    assert server.asked[0].path == "/keys/health"
    assert HEALTH["status"] == "healthy"


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
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, 60.0) == seconds
