"""Starts the server of a stress scenario: app.py with default settings in its own process group."""

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
_START_S, _STOP_S = 60.0, 60.0  # seconds that the server may take to start and to stop
# Prefixes of environment variables that are removed, so that the server uses the default settings.
_SETTING_PREFIXES = ("KEYLIKE_", "OTEL_", "MODEL_PATH", "NGROK_TOKEN")


class Server:
    """Server process as a context manager: ready when the context starts, ended when it ends.

    Args:
        work: Folder for the server's logs.
        settings: Environment variables.

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

        Args:
            name: Name of the series with its labels, as /metrics writes them.

        Raises:
            KeyError: There is no such series.
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
        """Suspend the server until `resume`. Return when it is suspended.

        Its connections stay open.
        """
        self.process.send_signal(signal.SIGSTOP)
        while psutil.Process(self.process.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)

    def resume(self) -> None:
        """Resume a suspended server."""
        self.process.send_signal(signal.SIGCONT)

    def wait_until_ended(self) -> int | None:
        """Wait until the server ends and return its exit status, or None after a minute."""
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
        """Send SIGTERM, and kill the process group if the server does not end."""
        if self.process.poll() is None:
            self.signal()
            if self.wait_until_ended() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
