"""Tests of the checks of ports, addresses, tokens and tunnels."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from flask_openapi3 import OpenAPI

from keylike.doctor import network
from keylike.doctor.finding import State

OK, NOTE, WARN, FAULT = State
TOKEN = "2abcDEF3ghiJKL4mnoPQR5stuVWX_6yzABC7defGHI8jklMNO"


class Quiet(WSGIRequestHandler):
    """A request handler that logs nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@pytest.fixture
def occupied_port() -> Iterator[int]:
    """Return a port on which another program listens and does not respond."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_port_check_reports_occupied_ports_and_addresses_of_others(occupied_port: int) -> None:
    assert network.port("127.0.0.1", occupied_port).state is FAULT
    assert network.port("127.0.0.1", 0).state is OK
    assert network.port("192.0.2.1", 0).advice.startswith("set KEYLIKE_HOST")


@pytest.fixture
def keylike_port(app: OpenAPI) -> Iterator[int]:
    """Return the port of a running Keylike application."""
    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(20)


def test_port_occupied_by_keylike_is_a_note(keylike_port: int) -> None:
    assert network.port("127.0.0.1", keylike_port).state is NOTE


@pytest.mark.parametrize(
    ("host", "needs_token", "tokens", "state"),
    [
        ("127.0.0.1", False, False, OK),
        ("::1", False, False, OK),
        ("localhost", False, True, OK),
        ("0.0.0.0", False, True, WARN),
        ("0.0.0.0", True, True, OK),
        ("0.0.0.0", True, False, WARN),
        ("127.0.0.1", True, False, WARN),
        ("127.0.0.1", False, None, State.FAULT),
        ("::", False, False, WARN),
    ],
)
def test_access_check_warns_of_open_servers_and_missing_tokens(
    host: str, needs_token: bool, tokens: bool | None, state: State
) -> None:
    found = network.access(host, needs_token=needs_token, tokens=tokens)
    assert found.state is state and (state is OK) == (not found.advice)


@pytest.mark.parametrize(
    ("needs_token", "tokens", "state"),
    [(True, False, OK), (True, True, OK), (False, True, WARN), (True, None, State.FAULT)],
)
def test_access_check_with_a_tunnel_announces_a_token_if_none_exists(
    needs_token: bool, tokens: bool | None, state: State
) -> None:
    found = network.access("127.0.0.1", needs_token=needs_token, tokens=tokens, tunnel=True)
    assert found.state is state and "a tunnel makes it public" in found.saw
    assert ("one is created at startup" in found.saw) == (tokens is False)


AGENT = Path("/usr/bin/ngrok")


@pytest.mark.parametrize(
    ("token", "agent", "wanted", "state", "advice"),
    [
        (None, None, False, NOTE, "for a tunnel, copy yours"),
        (TOKEN, None, False, NOTE, "for a tunnel, install it"),
        (TOKEN, AGENT, False, NOTE, "app.py --tunnel"),
        (None, AGENT, True, WARN, "NGROK_TOKEN"),
        (TOKEN, None, True, WARN, "https://ngrok.com/download"),
        (TOKEN, AGENT, True, OK, ""),
        (TOKEN[:12], AGENT, False, WARN, "again"),
        (f"ngrok config add-authtoken {TOKEN}", AGENT, True, WARN, "only the token"),
        ("YOUR_NGROK_AUTH_TOKEN", AGENT, True, WARN, "again"),
    ],
)
def test_tunnel_check_reports_a_missing_or_invalid_token_or_agent(
    token: str | None, agent: Path | None, wanted: bool, state: State, advice: str
) -> None:
    found = network.tunnel(token, agent, wanted=wanted, forbidden=None)
    assert (
        found.state is state
        and advice in found.advice
        and (token or "nothing") not in found.saw + found.advice
    )
    assert (state is OK) == (not found.advice)


def test_tunnel_that_settings_forbid_is_a_fault_if_it_is_configured() -> None:
    found = network.tunnel(TOKEN, AGENT, wanted=True, forbidden="set KEYLIKE_HOST=127.0.0.1")
    assert (found.state, found.advice) == (FAULT, "set KEYLIKE_HOST=127.0.0.1")
    assert (
        network.tunnel(TOKEN, AGENT, wanted=False, forbidden="set KEYLIKE_HOST=127.0.0.1").state
        is NOTE
    )
