"""Tests of the nginx configuration with a real nginx and a real server."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from keylike.configuration import batch_limit, binding, body_limit
from keylike.settings import Settings
from keylike_client import Client, Refused
from tests.clients.scripted_server import ScriptedResponse, ScriptedServer
from tests.deploy.nginx_server import CONFIGURATION, Nginx, find_nginx
from tests.fakes import ColourReader
from tests.running import Running, until
from tests.test_cli_serve import COLOUR, Served
from tools.fuzzing.forms import form
from tools.plain_pictures import BLUE, RED, plain

TOKEN = "c4nary-token-behind-nginx"
Proxied = Callable[..., tuple[Nginx, Running]]


@pytest.fixture
def proxied(settings: Settings, tmp_path: Path) -> Iterator[Proxied]:
    """Return a function that starts nginx in front of a real server that trusts it as a proxy.

    An example is `proxied(dict(client_body_timeout="1s"), limits="on")`: first changed directives
    of nginx, then settings of the server.
    """
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


def request_json(
    nginx: Nginx, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Send a request to nginx and return the status, the headers and the JSON body.

    The names of the returned headers are in lower case.
    """
    connection = nginx.connect()
    connection.request(
        method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}
    )
    response = connection.getresponse()
    result = (
        response.status,
        {name.lower(): value for name, value in response.getheaders()},
        json.loads(response.read()),
    )
    connection.close()
    return result


def check_failure(
    status: int, headers: dict[str, str], body: dict[str, Any], expected: tuple[int, str]
) -> None:
    """Check that a response is a failure with all fields that the API promises."""
    assert (status, body["code"]) == expected
    assert (
        headers["content-type"] == "application/json" and body["success"] is False and body["error"]
    )
    assert (
        len(body["request_id"]) == 8
        and body["timestamp"] > 1_700_000_000_000
        and body["api_version"] == "2.0.0"
    )


def test_nginx_accepts_the_configuration(tmp_path: Path) -> None:
    report = Nginx(tmp_path, 5000).check_configuration()
    assert "test is successful" in report and "warn" not in report


def test_nginx_body_limits_and_timeout_match_the_server() -> None:
    text = CONFIGURATION.read_text(encoding="utf-8")
    assert (
        f"client_max_body_size {body_limit(Settings())};" in text
        and f"client_max_body_size {batch_limit(Settings())};" in text
    )
    assert binding(Settings()).drain_s < 40 and "proxy_read_timeout 40s;" in text


def test_nginx_forwards_photos_over_tls(proxied: Proxied) -> None:
    nginx, _ = proxied(api_key=SecretStr(TOKEN), policy="predictions")
    with Client(
        f"https://127.0.0.1:{nginx.port}", TOKEN, ca_file=nginx.folder / "fullchain.pem"
    ) as client:
        assert client.read(plain(RED)).bitting == "2,5,4,7,3"
        assert client.read(plain(RED) + bytes(9_000_000)).bitting == "2,5,4,7,3"
        assert client.health().status == "healthy"
    status, headers, body = request_json(
        nginx, "POST", "/predict", plain(BLUE), Content_Type="image/jpeg", X_API_Key=TOKEN
    )
    assert (status, body["reason"]) == (422, "not_a_key") and "strict-transport-security" in headers
    assert request_json(nginx, "POST", "/predict", plain(RED), Content_Type="image/jpeg")[0] == 401
    assert (
        TOKEN not in (nginx.folder / "access.log").read_text()
        and "127.0.0.1" not in (nginx.folder / "access.log").read_text()
    )


def test_nginx_allows_a_larger_body_for_a_batch(proxied: Proxied) -> None:
    nginx, _ = proxied()
    photos = form(*[("image", plain(RED) + bytes(9_000_000))] * 2)
    body, kind = photos["data"], photos["content_type"]
    assert [
        item["bitting"]
        for item in request_json(nginx, "POST", "/predict/batch", body, Content_Type=kind)[2][
            "results"
        ]
    ] == ["2,5,4,7,3"] * 2
    check_failure(
        *request_json(nginx, "POST", "/predict", body, Content_Type=kind), (413, "image_too_large")
    )


OPERATOR_PATHS = [
    "/metrics",
    "/METRICS",
    "/metrics/",
    "//metrics",
    "/%6detrics",
    "/x/../metrics",
    "/debug/memory",
    "/debug/performance",
    "/cache/stats",
    "/v1/metrics",
    "/v1//debug/memory",
    "/%761/cache/stats",
]


@pytest.mark.parametrize("path", OPERATOR_PATHS)
def test_nginx_does_not_forward_operator_paths(proxied: Proxied, path: str) -> None:
    nginx, running = proxied(api_key=SecretStr(TOKEN))
    check_failure(*request_json(nginx, "GET", path, X_API_Key=TOKEN), (404, "not_found"))
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
        {name: value for item in FORGED for name, value in item.items()},
    ],
)
def test_clients_with_forged_addresses_share_one_limit_behind_nginx(
    proxied: Proxied, forged: dict[str, str]
) -> None:
    nginx, _ = proxied(limit_address="2 per hour")
    statuses = []
    for number in range(4):
        headers = {name: value.format(number) for name, value in forged.items()}
        statuses.append(
            request_json(
                nginx, "POST", "/predict", plain(RED), Content_Type="image/jpeg", **headers
            )[0]
        )
    assert statuses == [200, 200, 429, 429]


def test_nginx_replaces_forwarding_headers(tmp_path: Path) -> None:
    find_nginx()
    upstream = ScriptedServer(ScriptedResponse())
    nginx = Nginx(tmp_path, int(upstream.address.rpartition(":")[2]))
    nginx.start()
    claimed = {
        "X_Forwarded_For": "192.0.2.1",
        "X_Real_IP": "192.0.2.1",
        "Forwarded": "for=192.0.2.1",
        "X_Forwarded_Host": "192.0.2.1",
    }
    assert (
        request_json(nginx, "GET", "/health", None, X_Forwarded_Proto="gopher", **claimed)[0] == 200
    )
    nginx.stop()
    upstream.stop()
    (recorded,) = upstream.requests
    assert "192.0.2.1" not in str(recorded.headers)
    assert (recorded.headers["x-forwarded-for"], recorded.headers["x-forwarded-proto"]) == (
        "127.0.0.1",
        "https",
    )


def test_nginx_closes_a_connection_with_a_slow_body(proxied: Proxied) -> None:
    nginx, running = proxied({"client_body_timeout": "1s"})
    with nginx.raw() as slow:
        slow.sendall(
            b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\n"
            b"Content-Length: 100000\r\n\r\n" + plain(RED)
        )
        assert slow.recv(100) == b""
    assert not running.server._listener.active_channels


def test_nginx_closes_a_connection_with_slow_headers(proxied: Proxied) -> None:
    nginx, _ = proxied({"client_header_timeout": "1s"})
    with nginx.raw() as slow:
        slow.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        assert slow.recv(100) == b""


def test_nginx_limits_connections_per_address(proxied: Proxied) -> None:
    nginx, _ = proxied({"limit_conn": "clients 3"})
    connections = [nginx.raw() for _ in range(3)]
    for item in connections:
        item.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
    # nginx has counted the three open connections before it responds to this request.
    with nginx.raw() as first:
        first.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        head, _, body = first.recv(65536).partition(b"\r\n\r\n")
    assert (
        b" 503 " in head and b"Retry-After: 2" in head and json.loads(body)["code"] == "overloaded"
    )
    for item in connections:
        item.close()


def test_nginx_returns_overloaded_if_the_server_is_stopped(proxied: Proxied) -> None:
    nginx, running = proxied()
    running.stop()
    status, headers, body = request_json(nginx, "GET", "/health")
    check_failure(status, headers, body, (503, "overloaded"))
    assert headers["retry-after"] == "2" and "strict-transport-security" in headers
    waits: list[float] = []
    with Client(
        f"https://127.0.0.1:{nginx.port}",
        ca_file=nginx.folder / "fullchain.pem",
        sleep=lambda seconds, _: waits.append(seconds),
        patience_s=5,
    ) as client:
        clock = iter(range(1000))
        client._retry_policy._clock = lambda: float(next(clock))
        with pytest.raises(Refused):
            client.health()
    assert waits and all(item >= 2 for item in waits)


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
def test_nginx_refuses_a_malformed_request_with_a_json_error(
    proxied: Proxied, request_: bytes
) -> None:
    nginx, _ = proxied()
    with nginx.raw() as connection:
        connection.sendall(request_)
        received = b""
        while not received.endswith(b"}\n"):
            received += (chunk := connection.recv(65536))
            assert chunk, received
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"HTTP/1.1 400" in head and b"application/json" in head
    assert json.loads(body)["code"] == "bad_request"


def test_nginx_refuses_plain_http_on_the_tls_port_with_a_json_error(proxied: Proxied) -> None:
    nginx, _ = proxied()
    with nginx.plain() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert json.loads(connection.recv(65536).partition(b"\r\n\r\n")[2])["code"] == "bad_request"


class Load:
    """Clients that send photos, each one after its previous response, until they are stopped.

    Attributes:
        results: The time at which each request began, in seconds, and its status.
    """

    def __init__(self, nginx: Nginx, clients: int) -> None:
        self.results: list[tuple[float, int]] = []
        self._nginx = nginx
        self._numbers = itertools.count(40)
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def wait_for(self, count: int) -> None:
        """Wait until `count` more responses have arrived."""
        target = len(self.results) + count
        until(lambda: len(self.results) >= target)

    def stop(self) -> list[int]:
        """Stop the clients and return the statuses."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(20)
        return [status for _, status in self.results]

    def _send(self) -> None:
        while not self._stopped.is_set():
            photo = plain(RED, size=(next(self._numbers), 40))
            began = time.monotonic()
            status, _, _ = request_json(
                self._nginx, "POST", "/predict", photo, Content_Type="image/jpeg"
            )
            self.results.append((began, status))


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Return a function that starts a server process, on a free port or on a given one."""
    started: list[Served] = []

    def start(port: int = 0) -> Served:
        environment = {"KEYLIKE_LOG_LEVEL": "ERROR", "KEYLIKE_PROXY": "127.0.0.1"}
        environment |= {"KEYLIKE_LIMITS": "off", "KEYLIKE_PORT": str(port)}
        started.append(Served(COLOUR, tmp_path / f"logs{len(started)}", **environment))
        return started[-1]

    yield start
    for each in started:
        with each.process as process:
            process.kill()


@pytest.fixture
def balanced(
    replicas: Callable[..., Served], tmp_path: Path
) -> Iterator[tuple[Nginx, list[Served]]]:
    """Run nginx in front of two server processes; yield nginx and the servers."""
    find_nginx()
    servers = [replicas(), replicas()]
    nginx = Nginx(tmp_path, *(server.port for server in servers))
    nginx.start()
    yield nginx, servers
    nginx.stop()


@pytest.mark.slow
def test_restarting_two_replicas_in_turn_fails_no_request(
    balanced: tuple[Nginx, list[Served]], replicas: Callable[..., Served]
) -> None:
    nginx, servers = balanced
    load = Load(nginx, 4)
    for server in servers:
        load.wait_for(40)
        assert server.stop()[0] == 0
        load.wait_for(40)
        replicas(server.port)
    load.wait_for(40)
    assert set(load.stop()) == {200}


def test_killed_replica_fails_only_the_requests_that_it_was_handling(
    balanced: tuple[Nginx, list[Served]],
) -> None:
    clients = 4
    nginx, servers = balanced
    load = Load(nginx, clients)
    load.wait_for(40)
    servers[0].process.kill()
    servers[0].process.wait(20)
    dead = time.monotonic()
    load.wait_for(80)
    statuses = load.stop()
    assert set(statuses) <= {200, 503}
    assert statuses.count(503) <= clients
    assert all(status == 200 for began, status in load.results if began > dead)
