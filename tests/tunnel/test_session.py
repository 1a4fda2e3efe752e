"""Tests of a tunnel in this process: its status, and the environment variables that it changes."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from keylike.tunnel import session
from keylike.tunnel.faults import Fault
from keylike.tunnel.session import TunnelOptions, open_tunnel
from keylike.tunnel.watchdog import Stage, TunnelStatus
from tests.running import until


class Events:
    """A listener of tunnel events that keeps the names of faults."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def opened(self, address: str, *, new: bool) -> None:
        """Ignore the event."""

    def lost(self) -> None:
        """Ignore the event."""

    def refused(self, fault: Fault) -> None:
        """Keep the name of the fault."""
        self.faults.append(fault.name)


@pytest.fixture(autouse=True)
def no_ngrok(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide any ngrok program, so that the tunnel never starts one."""

    def find_nothing() -> Path | None:
        return None

    monkeypatch.setattr(session, "find_ngrok", find_nothing)


@pytest.mark.parametrize("before", [{}, {"no_proxy": "example.org"}, {"NO_PROXY": "a,b"}])
@pytest.mark.parametrize("fails", [False, True])
def test_open_tunnel_restores_the_variable_no_proxy_on_exit(
    monkeypatch: pytest.MonkeyPatch, before: dict[str, str], fails: bool
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in before.items():
        monkeypatch.setenv(name, value)
    events, status, stopped = Events(), TunnelStatus(), threading.Event()
    options = TunnelOptions("http://127.0.0.1:9", "token")
    try:
        with open_tunnel(options, events, status, stopped):
            until(lambda: events.faults != [])
            for name in ("no_proxy", "NO_PROXY"):
                entries = os.environ[name].split(",")
                assert entries[-2:] == ["127.0.0.1", "localhost"]
                assert ",".join(entries[:-2]) == before.get(name, "")
            if fails:
                raise RuntimeError
    except RuntimeError:
        assert fails
    assert events.faults == ["no_program"]
    assert stopped.is_set() and status.stage is Stage.OFF
    after = {name: os.environ[name] for name in ("no_proxy", "NO_PROXY") if name in os.environ}
    assert after == before
