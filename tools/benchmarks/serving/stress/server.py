"""Server under test: app.py with default settings, in its own process group."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tools.benchmarks.serving.resource_monitor import ResourceMonitor

ROOT = Path(__file__).resolve().parents[4]
_START_S, _STOP_S = 60.0, 60.0
# Prefixes of variables that the person who runs the scenarios may have set.
_SETTING_PREFIXES = ("KEYLIKE_", "OTEL_", "MODEL_PATH", "NGROK_TOKEN")


class Server:
    """Server that is ready once the context is entered, and has ended once it is left.

    `work` is the folder for its logs, and `settings` are environment variables.

    Raises:
        RuntimeError: The server did not become ready.
    """

    def __init__(self, work: Path, **settings: str) -> None:
        work = work.resolve()
        work.mkdir(parents=True, exist_ok=True)
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_SETTING_PREFIXES)
        }
        environment |= {"KEYLIKE_PORT": "0", "KEYLIKE_LOGS": str(work / "logs"), **settings}
        with (work / "stderr.txt").open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "app.py")],
                cwd=work,  # a folder without a .env file
                env=environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        assert self.process.stdout is not None
        match = re.search(r"http://127\.0\.0\.1:(\d+)", self.process.stdout.readline())
        if match is None:
            self._end()
            raise RuntimeError("the server did not start; see its stderr.txt")
        self.port = int(match[1])
        self.url = f"http://127.0.0.1:{self.port}"
        deadline = time.monotonic() + _START_S
        while not self._ready():
            if time.monotonic() > deadline:
                self._end()
                raise RuntimeError("the server did not become ready")
            time.sleep(0.05)
        self.monitor = ResourceMonitor(self.process.pid)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.monitor.stop()
        self._end()

    def metric(self, name: str) -> float:
        """Return the value of a series in /metrics.

        `name` includes the labels as written there. Raises KeyError if there is no such series.
        """
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=_START_S) as response:
            lines: list[str] = response.read().decode().splitlines()
        values = {
            series: float(value)
            for series, _, value in (
                line.rpartition(" ") for line in lines if not line.startswith("#")
            )
        }
        return values[name]

    def signal(self) -> None:
        """Send SIGTERM to the server process only."""
        self.process.send_signal(signal.SIGTERM)

    def suspend(self) -> None:
        """Suspend the server until `resume`, and wait until it has stopped. Its connections stay
        open."""
        self.process.send_signal(signal.SIGSTOP)
        while psutil.Process(self.process.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)

    def resume(self) -> None:
        """Resume a suspended server."""
        self.process.send_signal(signal.SIGCONT)

    def wait_until_ended(self) -> int | None:
        """Wait for the server to end and return its exit status, or None after a minute."""
        try:
            return self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            return None

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health/ready", timeout=5):
                return True
        except OSError:
            return False

    def _end(self) -> None:
        """Ask the server to end, then kill the whole group."""
        if self.process.poll() is None:
            self.signal()
            if self.wait_until_ended() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
