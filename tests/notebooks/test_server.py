"""Tests of the server that a notebook starts: its output until it is ready, and its failures."""

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
from notebooks.server import Server, fetch_agent
from tests.notebooks.notebook_runner import BITTING, ROOT, read_sample
from tests.running import until
from tests.tunnel.standin import NGROK_TOKEN, StandIn

PYTHON = Path(sys.executable)


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """Install a stand-in for ngrok's agent, and check at the end that nothing of it is running."""
    installed = StandIn(tmp_path / "ngrok")
    monkeypatch.setenv("PATH", f"{installed.bin}:{os.environ['PATH']}")
    monkeypatch.setenv("KEYLIKE_LOGS", str(tmp_path / "logs"))
    yield installed
    until(installed.gone)


def test_server_with_refused_tunnel_still_reads(
    standin: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A server with existing tokens creates none. The notebook's server must create one anyway.
    TokenStore(tmp_path / "tokens.sqlite3", time.time).new("phone", Tier.FREE, None)
    monkeypatch.setenv("KEYLIKE_TOKENS", str(tmp_path / "tokens.sqlite3"))
    standin.misbehave("bad_token")
    lines: list[str] = []
    server = Server(PYTHON, ROOT, ngrok_token=NGROK_TOKEN)
    server.wait_until_ready(lines.append)
    try:
        assert any("rejects the authtoken" in line for line in lines) and server.link is None
        assert server.token is not None and server.token not in "\n".join(lines)
        assert (read_sample(server.local, server.token), read_sample(server.local, None)) == (
            BITTING,
            "unauthorized",
        )
    finally:
        server.stop()
    assert not is_alive(server.local)


def test_server_lost_tunnel_gets_new_link(standin: StandIn) -> None:
    server = Server(PYTHON, ROOT, ngrok_token=NGROK_TOKEN)
    server.wait_until_ready(lambda line: None)
    try:
        before, token = server.link, server.token
        assert before is not None and before.endswith(f"/#token={token}")
        standin.send_signal(9)
        until(lambda: server.link != before)
        assert (
            server.link is not None
            and read_sample(server.link.partition("/#")[0], server.token) == BITTING
        )
    finally:
        server.stop()
    assert server.link is None


def test_server_invalid_setting_shows_reason(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYLIKE_THREADS", "many")
    lines: list[str] = []
    with pytest.raises(RuntimeError, match="The server ended"):
        Server(PYTHON, ROOT).wait_until_ready(lines.append)
    assert any("KEYLIKE_THREADS" in line for line in lines)


def test_server_not_ready_in_time_is_stopped(standin: StandIn) -> None:
    server = Server(PYTHON, ROOT)
    with pytest.raises(RuntimeError, match="not ready after 0 s"):
        server.wait_until_ready(limit_s=0)
    assert server.local == "" or not is_alive(server.local)


def test_fetch_agent_installed_program_is_not_downloaded(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    # No server listens on this port, so any download fails.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    fetch_agent(PYTHON, ROOT)
    standin.program.unlink()
    with pytest.raises(RuntimeError, match="could not be downloaded"):
        fetch_agent(PYTHON, ROOT)
