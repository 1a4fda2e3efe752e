"""Tests of a server process with a tunnel and a fake agent: access, output and cleanup."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from keylike.tunnel.session import is_alive
from tests.running import until
from tests.tunnel.drops import free_port, measure_drops, read
from tests.tunnel.standin import NGROK_TOKEN, Server, StandIn
from tools.plain_pictures import plain


def ask(
    address: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
) -> tuple[int, dict[str, str], Any]:
    """Send one request and return the status, the headers and the body, parsed if it is JSON."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
    try:
        connection.request(
            "POST" if body else "GET",
            path,
            body,
            {"Content-Type": "image/jpeg", **(headers or {})} if body else headers or {},
        )
        answer = connection.getresponse()
        data = answer.read()
        return (
            answer.status,
            dict(answer.getheaders()),
            json.loads(data) if data.startswith(b"{") else data.decode(),
        )
    finally:
        connection.close()


def test_tunnel_accepts_only_the_token_in_its_link(serve: Any) -> None:
    server: Server = serve()
    address, token = server.public_link()
    assert re.fullmatch(r"kl_[\w-]{43}", token)
    status, _, answer = ask(address, "/", {"X-API-Key": token}, plain())
    assert (status, answer["bitting"]) == (200, "2,5,4,7,3")
    for wrong in ({}, {"X-API-Key": f"{token[:-1]}!"}, {"X-API-Key": ""}):
        assert ask(address, "/", wrong, plain())[::2][0] == 401
    assert ask(address, "/predict/premium", {"X-API-Key": token}, plain())[0] == 403
    assert ask(address, "/health")[0] == 200
    assert ask(server.local(), "/", None, plain())[0] == 401, (
        "with a tunnel, local clients must need the token too"
    )
    assert f'curl -H "X-API-Key: {token}" -F image=@samples/' in server.output()


def test_token_of_the_link_expires_with_the_server_and_is_never_stored(serve: Any) -> None:
    one: Server = serve()
    token = one.public_link()[1]
    read(one.public_link()[0], token)
    assert one.end() == 0
    other: Server = serve()
    assert other.public_link()[1] != token and read(other.public_link()[0], token) == 401
    assert not (one.home / "tokens.sqlite3").exists()
    for file in (one.home / "logs" / "api.log", one.err):
        text = file.read_text()
        assert (
            "tunnel open" in text
            and "redacted" not in text
            and token not in text
            and NGROK_TOKEN not in text
            and urlsplit(other.public_link()[0]).netloc not in text
        )
    assert NGROK_TOKEN not in one.output()


def test_tunnel_creates_no_token_if_one_is_configured(serve: Any) -> None:
    server: Server = serve(KEYLIKE_API_KEY="an-api-key-of-my-own")
    address, token = server.public_link()
    assert token == "" and "an-api-key" not in server.output()
    assert (read(address, "an-api-key-of-my-own"), read(address, "")) == (200, 401)


@pytest.mark.parametrize(
    "path", ["/metrics", "/debug/performance", "/debug/memory", "/cache/stats"]
)
def test_operator_routes_through_the_tunnel_are_refused(serve: Any, path: str) -> None:
    server: Server = serve()
    address, token = server.public_link()
    local = urlsplit(server.local()).netloc
    forged = [
        {},
        {"X-API-Key": token},
        {"Host": local},
        {"Host": "localhost", "Origin": "http://localhost"},
        {"X-Forwarded-For": "127.0.0.1", "Host": local},
        {"X-Forwarded-For": "127.0.0.1", "X-Test-Client": "127.0.0.1", "Host": local},
        {"Forwarded": "for=127.0.0.1", "X-Real-IP": "127.0.0.1", "Host": local},
    ]
    assert ask(server.local(), path)[0] == 200
    assert [ask(address, path, headers)[0] for headers in forged] == [401, 403, *[401] * 5]


def test_rate_limits_use_the_client_address_that_ngrok_reports(serve: Any) -> None:
    server: Server = serve(
        KEYLIKE_POLICY="open", KEYLIKE_TUNNEL_OPEN="true", KEYLIKE_LIMIT_ADDRESS="2 per hour"
    )
    address, token = server.public_link()
    assert token == ""
    one, other = {"X-Test-Client": "198.51.100.1"}, {"X-Test-Client": "198.51.100.2"}
    lying = one | {"X-Forwarded-For": "198.51.100.77"}
    assert [
        ask(address, "/", headers, plain())[0] for headers in (one, lying, one, lying, other)
    ] == [200, 200, 429, 429, 200]
    assert [ask(server.local(), "/", None, plain())[0] for _ in range(4)] == [200] * 4


def test_health_and_metrics_show_the_tunnel_but_not_its_address(
    serve: Any, standin: StandIn
) -> None:
    server: Server = serve()
    address, _ = server.public_link()
    assert ask(address, "/health/detailed")[2]["tunnel"] == "up"
    assert urlsplit(address).netloc not in json.dumps(ask(address, "/health/detailed")[2])
    assert "keylike_tunnel_up 1.0" in ask(server.local(), "/metrics")[2]
    standin.misbehave("offline")
    standin.send_signal(signal.SIGUSR1)
    until(lambda: "keylike_tunnel_up 0.0" in ask(server.local(), "/metrics")[2])
    assert ask(server.local(), "/health/detailed")[2]["tunnel"] in ("lost", "refused")


def test_tunnel_is_reopened_after_drops_while_local_requests_succeed(
    serve: Any, standin: StandIn
) -> None:
    server: Server = serve(KEYLIKE_LIMIT_FREE="1000000 per hour")
    away, local = measure_drops(standin, server, times=3)
    assert len(away) == 3 and local.requests > 3 and local.failures == []
    assert (
        server.output().count("The tunnel is lost") == 3
        and server.output().count("Open on the phone") == 4
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
def test_agent_that_is_killed_or_stopped_is_replaced(
    serve: Any, standin: StandIn, number: int
) -> None:
    server: Server = serve()
    before, token = server.public_link()
    standin.send_signal(number)
    until(lambda: server.output().count("Open on the phone") == 2)
    after, same = server.public_link()
    assert same == token and after != before and read(after, token) == 200
    assert len([pid for pid in standin.seen("pid") if os.path.exists(f"/proc/{pid}")]) == 1


def test_address_that_does_not_work_is_reopened_although_it_is_listed(
    serve: Any, standin: StandIn
) -> None:
    standin.misbehave("clings")
    server: Server = serve()
    address, token = server.public_link()
    standin.send_signal(signal.SIGUSR1)
    until(lambda: server.output().count("Open on the phone") == 2)
    assert server.public_link()[0] != address and read(server.public_link()[0], token) == 200


def test_tunnel_that_reopens_at_the_same_address_prints_no_new_link(
    serve: Any, standin: StandIn
) -> None:
    standin.stay_at(free_port())
    server: Server = serve()
    address, token = server.public_link()
    standin.send_signal(signal.SIGUSR1)
    server.wait_for("The tunnel is open again, at the same address")
    until(lambda: read(address, token) == 200)
    assert server.output().count("Open on the phone") == 1


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("no_token", "NGROK_TOKEN"),
        ("bad_token", "rejects the authtoken"),
        ("taken", "another agent"),
        ("dies", "did not connect"),
    ],
)
def test_fault_of_the_tunnel_is_explained_and_the_local_server_works(
    serve: Any, standin: StandIn, mode: str, words: str
) -> None:
    standin.misbehave(mode)
    server: Server = serve()
    assert words in server.wait_for(r"No tunnel: .*Next: .*\n")
    token = server.wait_for(
        r"The local server keeps running:  http://127\.0\.0\.1:\d+/#token=(\S+)"
    )
    assert read(server.local(), token) == 200
    assert (
        NGROK_TOKEN
        not in server.output()
        + server.err.read_text()
        + (server.home / "logs" / "api.log").read_text()
    )
    assert server.end() == 0


@pytest.mark.parametrize(
    ("environment", "words"),
    [({"NGROK_TOKEN": ""}, "none is set"), ({"PATH": "/usr/bin:/bin"}, "not installed")],
)
def test_missing_ngrok_token_or_program_is_reported_at_start(
    serve: Any, environment: dict[str, str], words: str
) -> None:
    server: Server = serve(**environment)
    assert words in server.wait_for("No tunnel: .*Next: .*Then restart Keylike")
    assert ask(server.local(), "/health")[0] == 200 and server.end() == 0


def test_proxy_variables_reach_the_agent_but_not_local_requests(
    serve: Any, standin: StandIn
) -> None:
    server: Server = serve(
        http_proxy="http://127.0.0.1:1", https_proxy="http://127.0.0.1:1", no_proxy="example.org"
    )
    assert read(*server.public_link()) == 200
    assert standin.seen("environ")[0]["https_proxy"] == "http://127.0.0.1:1", (
        "the agent must get the proxy, because it may need it to reach ngrok"
    )
    assert standin.seen("environ")[0]["no_proxy"].startswith("example.org,")


def test_tunnel_opens_when_its_fault_is_gone(serve: Any, standin: StandIn) -> None:
    standin.misbehave("taken")
    server: Server = serve()
    server.wait_for("Keylike keeps trying")
    standin.misbehave("")
    address, token = server.public_link()
    assert read(address, token) == 200 and server.output().count("No tunnel") == 1


@pytest.mark.parametrize(
    "numbers",
    [
        [signal.SIGTERM],
        [signal.SIGINT],
        [signal.SIGINT, signal.SIGINT],
        [signal.SIGKILL],
        [signal.SIGHUP],
    ],
)
def test_agent_ends_with_the_server(serve: Any, standin: StandIn, numbers: list[int]) -> None:
    server: Server = serve()
    folder = Path(standin.seen("argv")[0][-1]).parent if server.public_link() else Path()
    assert folder.is_dir() and not standin.gone()
    for number in numbers:
        server.process.send_signal(number)
    server.process.wait(20)
    until(standin.gone)
    until(lambda: not folder.exists())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_agent_that_is_still_starting_ends_with_the_server(
    serve: Any, standin: StandIn, number: int
) -> None:
    standin.misbehave("silent")
    server: Server = serve()
    until(lambda: standin.seen("pid") != [])
    until(lambda: ask(server.local(), "/health")[0] == 200)
    server.process.send_signal(number)
    server.process.wait(20)
    until(standin.gone)
    folder = Path(standin.seen("argv")[0][-1]).parent
    until(lambda: not folder.exists())


def test_request_through_the_tunnel_is_finished_during_a_shutdown(serve: Any) -> None:
    """Press Ctrl-C while a photo is read: the agent must run until the response is sent.

    Ctrl-C sends SIGINT to every process of the terminal, so the agent must not be among them.
    """
    server: Server = serve(MODEL_PATH="patient")
    address, token = server.public_link()
    answers_: list[int | str] = []
    phone = threading.Thread(target=lambda: answers_.append(read(address, token)))
    phone.start()
    until(lambda: "keylike_reading_photos 1.0" in ask(server.local(), "/metrics")[2])
    os.killpg(server.process.pid, signal.SIGINT)
    until(lambda: not is_alive(server.local()))
    server.let_reader_continue()
    phone.join(20)
    assert answers_ == [200]
    assert server.process.wait(20) == 0 and not is_alive(address)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"KEYLIKE_POLICY": "open"}, "KEYLIKE_TUNNEL_OPEN=1"),
        ({"KEYLIKE_HOST": "0.0.0.0"}, "KEYLIKE_HOST=127.0.0.1"),
        ({"KEYLIKE_TUNNEL_DOMAIN": "https://keys.example.org/"}, "not a domain"),
    ],
)
def test_server_does_not_start_with_unsafe_or_invalid_tunnel_settings(
    serve: Any, standin: StandIn, environment: dict[str, str], words: str
) -> None:
    server: Server = serve(**environment)
    assert (
        server.process.wait(20) == 2 and words in server.err.read_text() and server.output() == ""
    )
    assert standin.seen("pid") == []


def test_tunnel_can_be_requested_by_a_setting_or_by_an_option_of_serve(serve: Any) -> None:
    server: Server = serve("serve", KEYLIKE_TUNNEL="1")
    assert server.public_link()[1]
    wrong: Server = serve("--tunnel", "doctor")
    assert wrong.process.wait(20) == 2 and "--tunnel belongs to serve" in wrong.err.read_text()


def test_serve_without_the_tunnel_option_prints_a_hint_about_it(
    serve: Any, standin: StandIn
) -> None:
    server: Server = serve("serve")
    server.wait_for(r"NGROK_TOKEN is set: \S*python\S* app.py --tunnel opens a public address")
    server.wait_for("Ready")
    assert (
        ask(server.local(), "/", None, plain())[0] == 200
        and ask(server.local(), "/health/detailed")[2]["tunnel"] == "off"
    )
    assert standin.seen("pid") == []
