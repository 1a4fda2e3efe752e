"""Starts the ngrok agent through pyngrok, opens one address with it, and ends it.

This module reaches into pyngrok's private attributes, hence the exact version pin. Used as
documented, pyngrok would:

- put the token from its own environment variable into the command line;
- wait forever for an agent that logs nothing;
- keep a handle of every agent that failed;
- download a missing agent without asking.
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

from keylike.tunnel.agent_files import config_file, pyngrok_config, write_launcher
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
from keylike.tunnel.reaper import Reaper

# pyngrok repeats the agent's log, which quotes an invalid token.
logging.getLogger("pyngrok").setLevel(logging.CRITICAL + 1)

START_S = 15.0
_REQUEST_S = 2.0
_POLL_S = 0.02
_KILL_S = 5.0
_API_ERRORS = (PyngrokError, OSError, http.client.HTTPException, ValueError)


class NgrokAgent:
    """A running agent that has one address open."""

    def __init__(
        self, address: str, api: str, process: subprocess.Popen[str], errors: threading.Event
    ) -> None:
        self.address = address
        self._api = api
        self._process = process
        self._errors = errors

    def logged_error(self) -> bool:
        """Return True if the agent has logged an error since the last call."""
        found = self._errors.is_set()
        self._errors.clear()
        return found

    def lists_address(self) -> bool:
        """Return True if the agent answers in time and reports its address as open."""
        if self._process.poll() is not None:
            return False
        try:
            answer = ngrok.api_request(f"{self._api}/api/endpoints", timeout=_REQUEST_S)
            return any(_address(each) == self.address for each in answer.get("endpoints") or ())
        except _API_ERRORS:
            return False


class NgrokLauncher:
    """A launcher that makes the server public, with one agent at a time.

    Args:
        find_program: returns the ngrok program, or None.
        token: ngrok's authtoken.
        upstream: address of the server on this machine.
        domain: domain of the ngrok account; None for an address that ngrok chooses.
        start_s: seconds in which an agent must establish its session.
        clock: returns seconds.
    """

    def __init__(
        self,
        find_program: Callable[[], Path | None],
        token: str | None,
        upstream: str,
        domain: str | None,
        *,
        start_s: float = START_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find_program = find_program
        self._token = token
        self._upstream = upstream
        self._domain = domain
        self._start_s = start_s
        self._clock = clock
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._reaper: Reaper | None = None
        self._process: subprocess.Popen[str] | None = None
        self._log_reader: threading.Thread | None = None
        self._fault: Fault | None = None
        self._has_session = False
        self._errors = threading.Event()

    def open(self) -> NgrokAgent:
        """Start a new agent, after ending the previous one. Raises TunnelFault."""
        with self._lock:
            return self._open()

    def close(self) -> None:
        """End the agent, even while it starts."""
        self._closed.set()
        if (running := self._process) is not None:
            _kill(running)
        with self._lock:
            self._end()
        if self._reaper is not None:
            self._reaper.close()

    def _open(self) -> NgrokAgent:
        self._end()
        if self._token is None:
            raise TunnelFault(NO_TOKEN)
        program = self._find_program()
        if program is None:
            raise TunnelFault(NO_PROGRAM)
        try:
            started = self._start(program, self._token)
            return NgrokAgent(
                self._open_address(str(started.api_url)),
                str(started.api_url),
                started.proc,
                self._errors,
            )
        except TunnelFault:
            self._end()
            raise

    def _start(self, program: Path, token: str) -> NgrokProcess:
        self._fault = None
        self._has_session = False
        try:
            if self._reaper is None or not self._reaper.is_intact():
                self._reaper = Reaper()
            folder = self._reaper.folder
            launcher = str(write_launcher(folder, program, os.environ))
            with config_file(folder / "agent.yml", token) as file, self._supervised(launcher):
                started = process.get_process(
                    pyngrok_config(launcher, file, self._start_s, self._on_log)
                )
        except (PyngrokError, UnicodeError):
            raise TunnelFault(self._fault or (TOO_OLD if self._has_session else SILENT)) from None
        except OSError:
            raise TunnelFault(BROKEN_PROGRAM) from None
        self._register(started)
        self._errors = threading.Event()
        self._log_reader = threading.Thread(
            target=_drain_log, args=(started.proc, self._errors), name="ngrok log", daemon=True
        )
        self._log_reader.start()
        return started

    def _open_address(self, api: str) -> str:
        """Open an address through the agent's API and return it."""
        endpoint: dict[str, Any] = {
            "name": "keylike",
            "upstream": {"url": self._upstream},
            "inspect": False,
        }
        if self._domain:
            endpoint["url"] = f"https://{self._domain}"
        try:
            address = _address(
                ngrok.api_request(f"{api}/api/endpoints", "POST", endpoint, timeout=self._start_s)
            )
        except PyngrokNgrokHTTPError as error:
            raise TunnelFault(fault_in(error.body) or SILENT) from None
        except _API_ERRORS:
            raise TunnelFault(SILENT) from None
        if address is None:
            raise TunnelFault(SILENT)
        return address.rstrip("/")

    def _on_log(self, line: NgrokLog) -> None:
        """Note from the log of a starting agent that it has a session, and its gravest fault."""
        self._has_session = self._has_session or "session established" in (line.msg or "")
        found = fault_in(line.line) if line.lvl in ("WARNING", "ERROR", "CRITICAL") else None
        if found and not (self._fault and self._fault.final):
            self._fault = found

    @contextmanager
    def _supervised(self, launcher: str) -> Iterator[None]:
        """Supervise an agent while it starts; pyngrok blocks until the agent logs something."""
        started = threading.Event()
        supervisor = threading.Thread(
            target=self._supervise, args=(launcher, started), name="ngrok start", daemon=True
        )
        supervisor.start()
        try:
            yield
        finally:
            started.set()
            supervisor.join()

    def _supervise(self, launcher: str, started: threading.Event) -> None:
        """Register the agent with the reaper as soon as it exists, and kill it if it cannot start.

        That is the case when its time is up or when the tunnel is being closed. It is also the
        case after a final fault, which the agent would retry forever.
        """
        deadline = self._clock() + self._start_s
        while not started.wait(_POLL_S):
            starting = process._current_processes.get(launcher)
            if starting is not None:
                self._register(starting)
            given_up = self._closed.is_set() or (self._fault is not None and self._fault.final)
            if self._process is not None and (given_up or self._clock() >= deadline):
                _kill(self._process)

    def _register(self, started: NgrokProcess) -> None:
        if self._process is None:
            self._process = started.proc
            assert self._reaper is not None
            self._reaper.watch(started.proc.pid)

    def _end(self) -> None:
        running, self._process = self._process, None
        # pyngrok registers every agent to be ended at exit and so keeps it alive in memory. The
        # reaper does that job here.
        atexit.unregister(process._terminate_process)
        if running is None:
            return
        _kill(running)
        with suppress(subprocess.TimeoutExpired):
            running.wait(_KILL_S)
        if self._log_reader is not None:
            self._log_reader.join(_KILL_S)
        elif running.stdout is not None:
            running.stdout.close()
        self._log_reader = None
        assert self._reaper is not None
        self._reaper.forget(running.pid)


def _kill(running: subprocess.Popen[str]) -> None:
    """Kill the agent and its children, which package managers' wrapper scripts start.

    A stopped process would not receive a gentler signal. ngrok notices the closed connections.
    """
    if running.poll() is None:
        with suppress(OSError):
            os.killpg(running.pid, signal.SIGKILL)


def _address(endpoint: dict[str, Any]) -> str | None:
    address = endpoint.get("public_url") or endpoint.get("url")
    return address if isinstance(address, str) else None


def _drain_log(running: subprocess.Popen[str], errors: threading.Event) -> None:
    """Read the agent's log, since a full pipe would block the agent; set `errors` on an error."""
    assert running.stdout is not None
    with running.stdout as log:
        while lines := os.read(log.fileno(), 65536):
            if b"lvl=eror" in lines or b"lvl=crit" in lines:
                errors.set()
