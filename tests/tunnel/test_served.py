"""`serve --tunnel` as a process, before the stand-in: who gets in through the public address, what is said, and what is left at the end."""

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

from keylike.tunnel.public import answers
from tests.running import until
from tests.tunnel.drops import drop_again_and_again, free_port, read
from tests.tunnel.standin import NGROK_TOKEN, Server, StandIn
from tools.plain_pictures import plain


def ask(
    address: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of one request."""
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


def test_a_phone_reads_with_the_token_of_the_link_and_nobody_without(serve: Any) -> None:
    server: Server = serve()
    address, token = server.link()
    assert re.fullmatch(r"kl_[\w-]{43}", token)
    status, _, answer = ask(address, "/", {"X-API-Key": token}, plain())
    assert (status, answer["bitting"]) == (200, "2,5,4,7,3")
    for wrong in ({}, {"X-API-Key": f"{token[:-1]}!"}, {"X-API-Key": ""}):
        assert ask(address, "/", wrong, plain())[::2][0] == 401
    assert ask(address, "/predict/premium", {"X-API-Key": token}, plain())[0] == 403
    assert ask(address, "/health")[0] == 200
    assert ask(server.local(), "/", None, plain())[0] == 401, (
        "this machine needs it, too, while a tunnel is wanted"
    )
    assert f'curl -H "X-API-Key: {token}" -F image=@samples/' in server.said()


def test_the_token_ends_with_the_server_and_is_written_nowhere(serve: Any) -> None:
    one: Server = serve()
    token = one.link()[1]
    read(one.link()[0], token)
    assert one.end() == 0
    other: Server = serve()
    assert other.link()[1] != token and read(other.link()[0], token) == 401
    assert not (one.home / "tokens.sqlite3").exists()
    for file in (one.home / "logs" / "api.log", one.err):
        text = file.read_text()
        assert (
            "tunnel open" in text
            and "redacted" not in text
            and token not in text
            and NGROK_TOKEN not in text
            and urlsplit(other.link()[0]).netloc not in text
        )
    assert NGROK_TOKEN not in one.said()


def test_where_there_is_a_token_already_none_is_made(serve: Any) -> None:
    server: Server = serve(KEYLIKE_API_KEY="an-api-key-of-my-own")
    address, token = server.link()
    assert token == "" and "an-api-key" not in server.said()
    assert (read(address, "an-api-key-of-my-own"), read(address, "")) == (200, 401)


@pytest.mark.parametrize(
    "path", ["/metrics", "/debug/performance", "/debug/memory", "/cache/stats"]
)
def test_operators_routes_are_closed_to_what_the_tunnel_brings(serve: Any, path: str) -> None:
    server: Server = serve()
    address, token = server.link()
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


def test_limits_go_by_the_address_that_the_tunnel_names(serve: Any) -> None:
    server: Server = serve(
        KEYLIKE_POLICY="open", KEYLIKE_TUNNEL_OPEN="true", KEYLIKE_LIMIT_ADDRESS="2 per hour"
    )
    address, token = server.link()
    assert token == ""
    one, other = {"X-Test-Client": "198.51.100.1"}, {"X-Test-Client": "198.51.100.2"}
    lying = one | {"X-Forwarded-For": "198.51.100.77"}
    assert [
        ask(address, "/", headers, plain())[0] for headers in (one, lying, one, lying, other)
    ] == [200, 200, 429, 429, 200]
    assert [ask(server.local(), "/", None, plain())[0] for _ in range(4)] == [200] * 4


def test_the_state_is_told_without_the_address(serve: Any, standin: StandIn) -> None:
    server: Server = serve()
    address, _ = server.link()
    assert ask(address, "/health/detailed")[2]["tunnel"] == "up"
    assert urlsplit(address).netloc not in json.dumps(ask(address, "/health/detailed")[2])
    assert "keylike_tunnel_up 1.0" in ask(server.local(), "/metrics")[2]
    standin.misbehave("offline")
    standin.tell(signal.SIGUSR1)
    until(lambda: "keylike_tunnel_up 0.0" in ask(server.local(), "/metrics")[2])
    assert ask(server.local(), "/health/detailed")[2]["tunnel"] in ("lost", "refused")


def test_dropped_three_times_it_works_again_each_time_and_nobody_here_notices(
    serve: Any, standin: StandIn
) -> None:
    server: Server = serve(KEYLIKE_LIMIT_FREE="1000000 per hour")
    away, local = drop_again_and_again(standin, server, times=3)
    assert len(away) == 3 and local.asked > 3 and local.failures == []
    assert (
        server.said().count("The tunnel is lost") == 3
        and server.said().count("Open on the phone") == 4
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
def test_an_agent_that_dies_or_stalls_is_replaced(
    serve: Any, standin: StandIn, number: int
) -> None:
    server: Server = serve()
    before, token = server.link()
    standin.tell(number)
    until(lambda: server.said().count("Open on the phone") == 2)
    after, same = server.link()
    assert same == token and after != before and read(after, token) == 200
    assert len([pid for pid in standin.seen("pid") if os.path.exists(f"/proc/{pid}")]) == 1


def test_an_address_that_is_still_listed_after_a_drop_is_opened_again_too(
    serve: Any, standin: StandIn
) -> None:
    standin.misbehave("clings")
    server: Server = serve()
    address, token = server.link()
    standin.tell(signal.SIGUSR1)
    until(lambda: server.said().count("Open on the phone") == 2)
    assert server.link()[0] != address and read(server.link()[0], token) == 200


def test_at_the_same_address_as_before_no_new_code_is_shown(serve: Any, standin: StandIn) -> None:
    standin.stay_at(free_port())
    server: Server = serve()
    address, token = server.link()
    standin.tell(signal.SIGUSR1)
    server.wait_for("The tunnel is open again, at the same address")
    until(lambda: read(address, token) == 200)
    assert server.said().count("Open on the phone") == 1


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("no_token", "NGROK_TOKEN"),
        ("bad_token", "does not know the token"),
        ("taken", "held by another agent"),
        ("dies", "came to nothing"),
    ],
)
def test_without_a_tunnel_the_server_goes_on_here_and_says_why(
    serve: Any, standin: StandIn, mode: str, words: str
) -> None:
    standin.misbehave(mode)
    server: Server = serve()
    assert words in server.wait_for(r"No tunnel: .*Next: .*\n")
    token = server.wait_for(r"Here the server goes on:  http://127\.0\.0\.1:\d+/#token=(\S+)")
    assert read(server.local(), token) == 200
    assert (
        NGROK_TOKEN
        not in server.said()
        + server.err.read_text()
        + (server.home / "logs" / "api.log").read_text()
    )
    assert server.end() == 0


@pytest.mark.parametrize(
    ("environment", "words"),
    [({"NGROK_TOKEN": ""}, "there is none"), ({"PATH": "/usr/bin:/bin"}, "no ngrok program")],
)
def test_what_is_missing_on_this_machine_is_said_at_once(
    serve: Any, environment: dict[str, str], words: str
) -> None:
    server: Server = serve(**environment)
    assert words in server.wait_for("No tunnel: .*Next: .*Then start Keylike again")
    assert ask(server.local(), "/health")[0] == 200 and server.end() == 0


def test_a_proxy_that_leads_out_of_the_machine_is_not_asked_for_what_is_on_it(
    serve: Any, standin: StandIn
) -> None:
    server: Server = serve(
        http_proxy="http://127.0.0.1:1", https_proxy="http://127.0.0.1:1", no_proxy="example.org"
    )
    assert read(*server.link()) == 200
    assert standin.seen("environ")[0]["https_proxy"] == "http://127.0.0.1:1", (
        "which the agent may need to get out"
    )
    assert standin.seen("environ")[0]["no_proxy"].startswith("example.org,")


def test_it_is_opened_once_the_network_is_back(serve: Any, standin: StandIn) -> None:
    standin.misbehave("taken")
    server: Server = serve()
    server.wait_for("It is tried again and again")
    standin.misbehave("")
    address, token = server.link()
    assert read(address, token) == 200 and server.said().count("No tunnel") == 1


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
def test_no_agent_outlives_the_server(serve: Any, standin: StandIn, numbers: list[int]) -> None:
    server: Server = serve()
    folder = Path(standin.seen("argv")[0][-1]).parent if server.link() else Path()
    assert folder.is_dir() and not standin.gone()
    for number in numbers:
        server.process.send_signal(number)
    server.process.wait(20)
    until(standin.gone)
    until(lambda: not folder.exists())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nor_one_that_is_still_starting(serve: Any, standin: StandIn, number: int) -> None:
    standin.misbehave("silent")
    server: Server = serve()
    until(lambda: standin.seen("pid") != [])
    until(lambda: ask(server.local(), "/health")[0] == 200)
    server.process.send_signal(number)
    server.process.wait(20)
    until(standin.gone)
    folder = Path(standin.seen("argv")[0][-1]).parent
    until(lambda: not folder.exists())


def test_what_came_through_the_tunnel_is_answered_before_it_closes(serve: Any) -> None:
    """Ctrl-C reaches all programs of the terminal; the agent hears nothing of it."""
    server: Server = serve(MODEL_PATH="patient")
    address, token = server.link()
    answers_: list[int | str] = []
    phone = threading.Thread(target=lambda: answers_.append(read(address, token)))
    phone.start()
    until(lambda: "keylike_reading_photos 1.0" in ask(server.local(), "/metrics")[2])
    os.killpg(server.process.pid, signal.SIGINT)
    until(lambda: not answers(server.local()))
    server.go_on()
    phone.join(20)
    assert answers_ == [200]
    assert server.process.wait(20) == 0 and not answers(address)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"KEYLIKE_POLICY": "open"}, "KEYLIKE_TUNNEL_OPEN=1"),
        ({"KEYLIKE_HOST": "0.0.0.0"}, "KEYLIKE_HOST=127.0.0.1"),
        ({"KEYLIKE_TUNNEL_DOMAIN": "https://keys.example.org/"}, "not a domain"),
    ],
)
def test_settings_that_would_let_everybody_in_stop_the_start(
    serve: Any, standin: StandIn, environment: dict[str, str], words: str
) -> None:
    server: Server = serve(**environment)
    assert server.process.wait(20) == 2 and words in server.err.read_text() and server.said() == ""
    assert standin.seen("pid") == []


def test_the_setting_does_as_the_option_and_the_option_belongs_to_serve(serve: Any) -> None:
    server: Server = serve("serve", KEYLIKE_TUNNEL="1")
    assert server.link()[1]
    wrong: Server = serve("--tunnel", "doctor")
    assert wrong.process.wait(20) == 2 and "--tunnel belongs to serve" in wrong.err.read_text()


def test_without_the_option_there_is_a_hint_and_no_tunnel(serve: Any, standin: StandIn) -> None:
    server: Server = serve("serve")
    server.wait_for("NGROK_TOKEN is set: python app.py --tunnel opens a public address")
    server.wait_for("Ready")
    assert (
        ask(server.local(), "/", None, plain())[0] == 200
        and ask(server.local(), "/health/detailed")[2]["tunnel"] == "off"
    )
    assert standin.seen("pid") == []
