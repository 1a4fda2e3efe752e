"""Starts ngrok's agent through pyngrok, has it open one address, and ends it. Reaches into pyngrok's internals, hence the exact pin.

What pyngrok alone would do: put the token of its own variable into the command line, wait for ever for an agent that says nothing,
keep a handle of every agent that ever failed, and download
what is not there.
"""

from __future__ import annotations

import atexit
import http.client
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pyngrok import ngrok, process
from pyngrok.exception import PyngrokError, PyngrokNgrokHTTPError
from pyngrok.log import NgrokLog
from pyngrok.process import NgrokProcess

from keylike.tunnel.agent_file import pyngrok_config, written
from keylike.tunnel.faults import (
    BROKEN_PROGRAM,
    NO_PROGRAM,
    NO_TOKEN,
    SILENT,
    TOO_OLD,
    Fault,
    TunnelFault,
    fault_in,
)
from keylike.tunnel.launcher import write_launcher
from keylike.tunnel.reaper import Reaper

# The agent's own log, which quotes the token when that is wrong.
logging.getLogger("pyngrok").setLevel(logging.CRITICAL + 1)

START_S = 15.0
_ASK_S = 2.0
_LOOK_S = 0.02
_KILL_S = 5.0
_TROUBLE = (PyngrokError, OSError, http.client.HTTPException, ValueError)


class Agent:
    """One that has an address open."""

    def __init__(
        self, address: str, api: str, running: subprocess.Popen[str], trouble: threading.Event
    ) -> None:
        self.address = address
        self._api, self._running, self._trouble = api, running, trouble

    def troubled(self) -> bool:
        """Whether it has logged an error since this was asked last."""
        found = self._trouble.is_set()
        self._trouble.clear()
        return found

    def listed(self) -> bool:
        """Whether it says in good time that the address is open."""
        if self._running.poll() is not None:
            return False
        try:
            answer = ngrok.api_request(f"{self._api}/api/endpoints", timeout=_ASK_S)
            return any(_address(each) == self.address for each in answer.get("endpoints") or ())
        except _TROUBLE:
            return False


class Agents:
    """Opens `upstream` to the world, at `domain` or an address of ngrok's choice, with one agent at a time.

    `program` finds the agent, which has `start_s` seconds to have its session; `clock` counts them.
    """

    def __init__(
        self,
        program: Callable[[], Path | None],
        token: str | None,
        upstream: str,
        domain: str | None,
        *,
        start_s: float = START_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._program, self._token, self._upstream, self._domain = program, token, upstream, domain
        self._start_s, self._clock = start_s, clock
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._guard: Reaper | None = None
        self._running: subprocess.Popen[str] | None = None
        self._log: threading.Thread | None = None
        self._heard: Fault | None = None
        self._session, self._trouble = False, threading.Event()

    def open(self) -> Agent:
        """A new agent, the one before being ended. Raises TunnelFault."""
        with self._lock:
            return self._open()

    def close(self) -> None:
        """Ends the agent, also one that is being started."""
        self._closed.set()
        if (running := self._running) is not None:
            _kill(running)
        with self._lock:
            self._end()
        if self._guard is not None:
            self._guard.close()

    def _open(self) -> Agent:
        self._end()
        if self._token is None:
            raise TunnelFault(NO_TOKEN)
        program = self._program()
        if program is None:
            raise TunnelFault(NO_PROGRAM)
        try:
            started = self._start(program, self._token)
            return Agent(
                self._address_of(str(started.api_url)),
                str(started.api_url),
                started.proc,
                self._trouble,
            )
        except TunnelFault:
            self._end()
            raise

    def _start(self, program: Path, token: str) -> NgrokProcess:
        self._heard, self._session = None, False
        try:
            self._guard = (
                self._guard if self._guard is not None and self._guard.whole() else Reaper()
            )
            launcher = str(write_launcher(self._guard.folder, program, os.environ))
            with written(self._guard.folder / "agent.yml", token) as file, self._minded(launcher):
                started = process.get_process(
                    pyngrok_config(launcher, file, self._start_s, self._hear)
                )
        except (PyngrokError, UnicodeError):
            raise TunnelFault(self._heard or (TOO_OLD if self._session else SILENT)) from None
        except OSError:
            raise TunnelFault(BROKEN_PROGRAM) from None
        self._look_after(started)
        self._trouble = threading.Event()
        self._log = threading.Thread(
            target=_drain, args=(started.proc, self._trouble), name="agent's log", daemon=True
        )
        self._log.start()
        return started

    def _address_of(self, api: str) -> str:
        """Has the agent open an address."""
        asked: dict[str, Any] = {
            "name": "keylike",
            "upstream": {"url": self._upstream},
            "inspect": False,
        }
        if self._domain:
            asked["url"] = f"https://{self._domain}"
        try:
            address = _address(
                ngrok.api_request(f"{api}/api/endpoints", "POST", asked, timeout=self._start_s)
            )
        except PyngrokNgrokHTTPError as error:
            raise TunnelFault(fault_in(error.body) or SILENT) from None
        except _TROUBLE:
            raise TunnelFault(SILENT) from None
        if address is None:
            raise TunnelFault(SILENT)
        return address.rstrip("/")

    def _hear(self, line: NgrokLog) -> None:
        """Of what the starting agent logs, whether it has a session, and else the gravest thing that is wrong."""
        self._session = self._session or "session established" in (line.msg or "")
        found = fault_in(line.line) if line.lvl in ("WARNING", "ERROR", "CRITICAL") else None
        if found and not (self._heard and self._heard.final):
            self._heard = found

    @contextmanager
    def _minded(self, launcher: str) -> Iterator[None]:
        """Somebody looks after an agent while it starts, since pyngrok does not come back before the agent has said something."""
        over = threading.Event()
        minder = threading.Thread(
            target=self._mind, args=(launcher, over), name="agent's start", daemon=True
        )
        minder.start()
        try:
            yield
        finally:
            over.set()
            minder.join()

    def _mind(self, launcher: str, over: threading.Event) -> None:
        """Has the agent guarded as soon as it is there, and ends it when its time is up, when nobody wants it any more, or when it was told
        what does not change by asking again and again, which it would do for ever."""
        until = self._clock() + self._start_s
        while not over.wait(_LOOK_S):
            started = process._current_processes.get(launcher)
            if started is not None:
                self._look_after(started)
            given_up = self._closed.is_set() or (self._heard is not None and self._heard.final)
            if self._running is not None and (given_up or self._clock() >= until):
                _kill(self._running)

    def _look_after(self, started: NgrokProcess) -> None:
        if self._running is None:
            self._running = started.proc
            assert self._guard is not None
            self._guard.watch(started.proc.pid)

    def _end(self) -> None:
        running, self._running = self._running, None
        # pyngrok would hold on to every agent that ever was, to end them at the end; here the guard does so.
        atexit.unregister(process._terminate_process)
        if running is None:
            return
        _kill(running)
        with suppress(subprocess.TimeoutExpired):
            running.wait(_KILL_S)
        if self._log is not None:
            self._log.join(_KILL_S)
        elif running.stdout is not None:
            running.stdout.close()
        self._log = None
        assert self._guard is not None
        self._guard.leave(running.pid)


def _kill(running: subprocess.Popen[str]) -> None:
    """With what it started itself, as scripts of package managers around it do. A stopped one would not hear anything gentler, and ngrok
    sees its connections close all the same."""
    if running.poll() is None:
        with suppress(OSError):
            os.killpg(running.pid, signal.SIGKILL)


def _address(endpoint: dict[str, Any]) -> str | None:
    address = endpoint.get("public_url") or endpoint.get("url")
    return address if isinstance(address, str) else None


def _drain(running: subprocess.Popen[str], trouble: threading.Event) -> None:
    """Reads what the agent logs: it would wait with a full pipe otherwise. An error is a reason to look whether all is well."""
    assert running.stdout is not None
    with running.stdout as log:
        while lines := os.read(log.fileno(), 65536):
            if b"lvl=eror" in lines or b"lvl=crit" in lines:
                trouble.set()
