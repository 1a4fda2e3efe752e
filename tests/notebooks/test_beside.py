"""The server that a notebook starts: what it shows until it is ready, and what becomes of it where it does not get there."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from keylike.access.store import TokenStore
from keylike.access.tokens import Tier
from keylike.tunnel.session import is_alive
from notebooks.beside import Server, fetch_agent
from tests.notebooks.running import BITTING, ROOT, read
from tests.running import until
from tests.tunnel.standin import NGROK_TOKEN, StandIn

PYTHON = Path(sys.executable)


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """ngrok's agent on this machine; none of it is left."""
    installed = StandIn(tmp_path / "ngrok")
    monkeypatch.setenv("PATH", f"{installed.bin}:{os.environ['PATH']}")
    monkeypatch.setenv("KEYLIKE_LOGS", str(tmp_path / "logs"))
    yield installed
    until(installed.gone)


def test_a_tunnel_that_is_refused_leaves_a_server_that_reads(
    standin: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where there are tokens, a server makes none of its own: but this one is the notebook's.
    TokenStore(tmp_path / "tokens.sqlite3", time.time).new("phone", Tier.FREE, None)
    monkeypatch.setenv("KEYLIKE_TOKENS", str(tmp_path / "tokens.sqlite3"))
    standin.misbehave("bad_token")
    said: list[str] = []
    server = Server(PYTHON, ROOT, ngrok_token=NGROK_TOKEN)
    server.wait_until_ready(said.append)
    try:
        assert any("rejects the authtoken" in line for line in said) and server.link is None
        assert server.token is not None and server.token not in "\n".join(said)
        assert (read(server.local, server.token), read(server.local, None)) == (
            BITTING,
            "unauthorized",
        )
    finally:
        server.stop()
    assert not is_alive(server.local)


def test_a_lost_tunnel_has_a_new_link(standin: StandIn) -> None:
    server = Server(PYTHON, ROOT, ngrok_token=NGROK_TOKEN)
    server.wait_until_ready(lambda line: None)
    try:
        before, token = server.link, server.token
        assert before is not None and before.endswith(f"/#token={token}")
        standin.send_signal(9)
        until(lambda: server.link != before)
        assert (
            server.link is not None
            and read(server.link.partition("/#")[0], server.token) == BITTING
        )
    finally:
        server.stop()
    assert server.link is None


def test_a_server_that_does_not_start_says_why(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYLIKE_THREADS", "many")
    said: list[str] = []
    with pytest.raises(RuntimeError, match="The server ended"):
        Server(PYTHON, ROOT).wait_until_ready(said.append)
    assert any("KEYLIKE_THREADS" in line for line in said)


def test_one_that_takes_too_long_is_stopped(standin: StandIn) -> None:
    server = Server(PYTHON, ROOT)
    with pytest.raises(RuntimeError, match="not ready after 0 s"):
        server.wait_until_ready(limit_s=0)
    assert server.local == "" or not is_alive(server.local)


def test_a_program_that_is_there_is_not_downloaded(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")  # where nobody is: whoever downloads fails
    fetch_agent(PYTHON, ROOT)
    standin.program.unlink()
    with pytest.raises(RuntimeError, match="could not be downloaded"):
        fetch_agent(PYTHON, ROOT)
