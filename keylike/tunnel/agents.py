"""Start the ngrok agent through pyngrok, open one address with it, and stop it.

This module uses private attributes of pyngrok, so its version is pinned exactly. With its public
interface only, pyngrok would:

- put the token from its environment variable into the command line;
- wait forever for an agent that logs nothing;
- keep a reference to every agent that failed;
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

# Switch off pyngrok's log: it repeats the log of the agent, which contains an invalid token.
logging.getLogger("pyngrok").setLevel(logging.CRITICAL + 1)

# Seconds in which an agent must start and connect.
START_S = 15.0
# Timeout of a request to the agent's local API, in seconds.
_REQUEST_S = 2.0
# Interval in seconds at which a starting agent is checked.
_POLL_S = 0.02
# Longest time to wait for a killed agent, in seconds.
_KILL_S = 5.0
_API_ERRORS = (PyngrokError, OSError, http.client.HTTPException, ValueError)


class NgrokAgent:
    """A running agent that has opened a public address."""

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
    """A launcher of ngrok agents. It runs at most one agent at a time.

    Args:
        find_program: returns the path of the ngrok program, or None.
        token: authtoken of the ngrok account, or None.
        upstream: address of the server on this machine.
        domain: domain of the ngrok account; None for an address that ngrok chooses.
        start_s: seconds in which an agent must start and connect.
        clock: returns monotonic seconds.
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
        """Stop the previous agent, if any, and start a new one.

        Raises:
            TunnelFault: The tunnel cannot be opened.
        """
        with self._lock:
            return self._open()

    def close(self) -> None:
        """Stop the agent, even if it is still starting."""
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
        """Read the log of a starting agent: is it connected, and what is its most serious fault?"""
        self._has_session = self._has_session or "session established" in (line.msg or "")
        found = fault_in(line.line) if line.lvl in ("WARNING", "ERROR", "CRITICAL") else None
        if found and not (self._fault and self._fault.final):
            self._fault = found

    @contextmanager
    def _supervised(self, launcher: str) -> Iterator[None]:
        """Monitor an agent in a thread while it starts in the `with` block.

        The thread is needed because pyngrok blocks until the agent logs something.
        """
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
        """Register the agent with the reaper when it exists, and kill it if it must not start.

        It is killed if it needs too long, if the tunnel is being closed, or after a final fault,
        because the agent would try again forever.
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
        # pyngrok registers a function that stops each agent at exit, and so keeps it in memory. It
        # is removed, because here the reaper stops agents.
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
    """Kill the agent and its child processes. Wrapper scripts of package managers start some.

    SIGKILL is used because it also works for a suspended process. ngrok's service notices that the
    connections are closed.
    """
    if running.poll() is None:
        with suppress(OSError):
            os.killpg(running.pid, signal.SIGKILL)


def _address(endpoint: dict[str, Any]) -> str | None:
    address = endpoint.get("public_url") or endpoint.get("url")
    return address if isinstance(address, str) else None


def _drain_log(running: subprocess.Popen[str], errors: threading.Event) -> None:
    """Read the agent's log until it ends, because a full pipe would block the agent.

    Set `errors` if the log contains an error.
    """
    assert running.stdout is not None
    with running.stdout as log:
        while lines := os.read(log.fileno(), 65536):
            if b"lvl=eror" in lines or b"lvl=crit" in lines:
                errors.set()
