"""Tests of the server that a notebook starts: its tunnel and its failures."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
    """Install a fake ngrok agent. Check after the test that none of its processes still runs."""
    installed = StandIn(tmp_path / "ngrok")
    monkeypatch.setenv("PATH", f"{installed.bin}:{os.environ['PATH']}")
    monkeypatch.setenv("KEYLIKE_LOGS", str(tmp_path / "logs"))
    yield installed
    until(installed.gone)


def test_notebook_server_reads_photos_if_its_tunnel_is_refused(
    standin: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A server with existing tokens creates no further token for its tunnel. The server of a
    # notebook must do so, because the notebook knows none of the existing tokens.
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


def test_notebook_server_gets_a_new_link_after_its_tunnel_is_lost(standin: StandIn) -> None:
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


def test_notebook_server_shows_the_reason_of_an_invalid_setting(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYLIKE_THREADS", "many")
    lines: list[str] = []
    with pytest.raises(RuntimeError, match="The server ended"):
        Server(PYTHON, ROOT).wait_until_ready(lines.append)
    assert any("KEYLIKE_THREADS" in line for line in lines)


def test_notebook_server_that_is_not_ready_in_time_is_stopped(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[str]] = []

    class Recorded(subprocess.Popen[str]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    server = Server(PYTHON, ROOT)
    with pytest.raises(RuntimeError, match="not ready after 0 s"):
        server.wait_until_ready(limit_s=0)
    processes = [each for each in started if "app.py" in str(each.args)]
    assert len(processes) == 1 and processes[0].poll() is not None


def test_fetch_agent_downloads_ngrok_only_if_it_is_not_installed(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    # No proxy listens on this port, so every download fails.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    fetch_agent(PYTHON, ROOT)
    standin.program.unlink()
    with pytest.raises(RuntimeError, match="could not be downloaded"):
        fetch_agent(PYTHON, ROOT)
