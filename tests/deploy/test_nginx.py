"""nginx of deploy/, for real: TLS before the real server, what it lets through, what it cuts off, and what it says when it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from keylike.service import batch_limit, binding, body_limit
from keylike.settings import Settings
from keylike_client import Client, Refused
from tests.clients.scripted_server import Say, Scripted
from tests.deploy.nginx_server import CONFIGURATION, Nginx, find_nginx
from tests.fakes import ColourReader
from tests.running import Running
from tools.fuzzing.forms import form
from tools.plain_pictures import BLUE, RED, plain

TOKEN = "c4nary-token-behind-nginx"
Before = Callable[..., tuple[Nginx, Running]]


@pytest.fixture
def before(settings: Settings, tmp_path: Path) -> Iterator[Before]:
    """Puts nginx before a real server, which it is named to: `before(dict(client_body_timeout="1s"), limits="on")`."""
    find_nginx()
    started: list[tuple[Nginx, Running]] = []

    def start(changes: dict[str, str] | None = None, **options: Any) -> tuple[Nginx, Running]:
        running = Running(
            settings.model_copy(update={"proxy": "127.0.0.1", **options}), ColourReader()
        )
        folder = tmp_path / f"nginx{len(started)}"
        folder.mkdir()
        started.append((Nginx(folder, running.server.port, **(changes or {})), running))
        started[-1][0].start()
        return started[-1]

    yield start
    for nginx, running in started:
        nginx.stop()
        running.stop()


def ask(
    nginx: Nginx, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers in small letters, and the JSON body."""
    connection = nginx.connect()
    connection.request(
        method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}
    )
    answer = connection.getresponse()
    found = (
        answer.status,
        {name.lower(): value for name, value in answer.getheaders()},
        json.loads(answer.read()),
    )
    connection.close()
    return found


def check_failure(
    status: int, headers: dict[str, str], body: dict[str, Any], expected: tuple[int, str]
) -> None:
    """Fails unless it is a failure as the contract has it."""
    assert (status, body["code"]) == expected
    assert (
        headers["content-type"] == "application/json" and body["success"] is False and body["error"]
    )
    assert (
        len(body["request_id"]) == 8
        and body["timestamp"] > 1_700_000_000_000
        and body["api_version"] == "2.0.0"
    )


def test_nginx_takes_the_configuration(tmp_path: Path) -> None:
    said = Nginx(tmp_path, 5000).checked()
    assert "test is successful" in said and "warn" not in said


def test_sizes_and_times_are_the_servers() -> None:
    text = CONFIGURATION.read_text(encoding="utf-8")
    assert (
        f"client_max_body_size {body_limit(Settings())};" in text
        and f"client_max_body_size {batch_limit(Settings())};" in text
    )
    assert binding(Settings()).drain_s < 40 and "proxy_read_timeout 40s;" in text


def test_a_photo_goes_through_over_tls(before: Before) -> None:
    nginx, _ = before(api_key=SecretStr(TOKEN), policy="predictions")
    with Client(
        f"https://127.0.0.1:{nginx.port}", TOKEN, ca_file=nginx.folder / "fullchain.pem"
    ) as client:
        assert client.read(plain(RED)).bitting == "2,5,4,7,3"
        assert client.read(plain(RED) + bytes(9_000_000)).bitting == "2,5,4,7,3"
        assert client.health().status == "healthy"
    status, headers, body = ask(
        nginx, "POST", "/predict", plain(BLUE), Content_Type="image/jpeg", X_API_Key=TOKEN
    )
    assert (status, body["reason"]) == (422, "not_a_key") and "strict-transport-security" in headers
    assert ask(nginx, "POST", "/predict", plain(RED), Content_Type="image/jpeg")[0] == 401
    assert (
        TOKEN not in (nginx.folder / "access.log").read_text()
        and "127.0.0.1" not in (nginx.folder / "access.log").read_text()
    )


def test_a_batch_may_be_larger_than_a_photo(before: Before) -> None:
    nginx, _ = before()
    photos = form(*[("image", plain(RED) + bytes(9_000_000))] * 2)
    body, kind = photos["data"], photos["content_type"]
    assert [
        one["bitting"]
        for one in ask(nginx, "POST", "/predict/batch", body, Content_Type=kind)[2]["results"]
    ] == ["2,5,4,7,3"] * 2
    check_failure(
        *ask(nginx, "POST", "/predict", body, Content_Type=kind), (413, "image_too_large")
    )


OPERATORS = [
    "/metrics",
    "/METRICS",
    "/metrics/",
    "//metrics",
    "/%6detrics",
    "/x/../metrics",
    "/debug/memory",
    "/debug/performance",
    "/cache/stats",
]


@pytest.mark.parametrize("path", OPERATORS)
def test_what_is_the_operators_is_not_passed_on(before: Before, path: str) -> None:
    nginx, running = before(api_key=SecretStr(TOKEN))
    check_failure(*ask(nginx, "GET", path, X_API_Key=TOKEN), (404, "not_found"))
    connection = running.connect()
    connection.request("GET", "/metrics", headers={"X-API-Key": TOKEN})
    assert connection.getresponse().status == 200
    connection.close()


FORGED = [
    {"X_Forwarded_For": "192.0.2.{}"},
    {"Forwarded": "for=192.0.2.{}"},
    {"X_Real_IP": "192.0.2.{}"},
]


@pytest.mark.parametrize(
    "forged",
    [
        *FORGED,
        {"X_Forwarded_For": "192.0.2.{}, 127.0.0.1"},
        {name: value for one in FORGED for name, value in one.items()},
    ],
)
def test_whoever_claims_other_addresses_is_counted_as_one(
    before: Before, forged: dict[str, str]
) -> None:
    nginx, _ = before(limit_address="2 per hour")
    statuses = []
    for number in range(4):
        headers = {name: value.format(number) for name, value in forged.items()}
        statuses.append(
            ask(nginx, "POST", "/predict", plain(RED), Content_Type="image/jpeg", **headers)[0]
        )
    assert statuses == [200, 200, 429, 429]


def test_nothing_that_a_caller_claims_of_addresses_gets_through(tmp_path: Path) -> None:
    find_nginx()
    behind = Scripted(Say())
    nginx = Nginx(tmp_path, int(behind.address.rpartition(":")[2]))
    nginx.start()
    claimed = {
        "X_Forwarded_For": "192.0.2.1",
        "X_Real_IP": "192.0.2.1",
        "Forwarded": "for=192.0.2.1",
        "X_Forwarded_Host": "192.0.2.1",
    }
    assert ask(nginx, "GET", "/health", None, X_Forwarded_Proto="gopher", **claimed)[0] == 200
    nginx.stop()
    behind.stop()
    (asked,) = behind.asked
    assert "192.0.2.1" not in str(asked.headers)
    assert (asked.headers["x-forwarded-for"], asked.headers["x-forwarded-proto"]) == (
        "127.0.0.1",
        "https",
    )


def test_a_slow_body_is_cut_off_and_never_gets_to_the_server(before: Before) -> None:
    nginx, running = before({"client_body_timeout": "1s"})
    with nginx.raw() as slow:
        slow.sendall(
            b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\nContent-Length: 100000\r\n\r\n"
            + plain(RED)
        )
        assert slow.recv(100) == b""
    assert not running.server._listener.active_channels


def test_slow_headers_are_cut_off(before: Before) -> None:
    nginx, _ = before({"client_header_timeout": "1s"})
    with nginx.raw() as slow:
        slow.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        assert slow.recv(100) == b""


def test_nobody_holds_all_connections(before: Before) -> None:
    nginx, _ = before({"limit_conn": "callers 3"})
    held = [nginx.raw() for _ in range(3)]
    for one in held:
        one.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
    with nginx.raw() as first:  # those before are seen to be there once they are answered after
        first.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        head, _, body = first.recv(65536).partition(b"\r\n\r\n")
    assert (
        b" 503 " in head and b"Retry-After: 2" in head and json.loads(body)["code"] == "overloaded"
    )
    for one in held:
        one.close()


def test_a_server_that_is_away_is_said_as_the_contract_has_it(before: Before) -> None:
    nginx, running = before()
    running.stop()
    status, headers, body = ask(nginx, "GET", "/health")
    check_failure(status, headers, body, (503, "overloaded"))
    assert headers["retry-after"] == "2" and "strict-transport-security" in headers
    naps: list[float] = []
    with Client(
        f"https://127.0.0.1:{nginx.port}",
        ca_file=nginx.folder / "fullchain.pem",
        rest=lambda s, _: naps.append(s),
        patience_s=5,
    ) as client:
        clock = iter(range(1000))
        client._patience._clock = lambda: float(next(clock))
        with pytest.raises(Refused):
            client.health()
    assert naps and all(one >= 2 for one in naps)


BROKEN = [
    b"GARBAGE\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 20_000 + b"\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
]


@pytest.mark.parametrize("request_", BROKEN, ids=lambda sent: sent[:30].decode())
def test_broken_requests_get_json_too(before: Before, request_: bytes) -> None:
    nginx, _ = before()
    with nginx.raw() as connection:
        connection.sendall(request_)
        received = b""
        while not received.endswith(b"}\n"):
            received += (piece := connection.recv(65536))
            assert piece, received
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"HTTP/1.1 400" in head and b"application/json" in head
    assert json.loads(body)["code"] == "bad_request"


def test_plain_http_at_the_port_of_tls_gets_json(before: Before) -> None:
    nginx, _ = before()
    with nginx.plain() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert json.loads(connection.recv(65536).partition(b"\r\n\r\n")[2])["code"] == "bad_request"
