"""The server on trial: app.py with its defaults, in a process group of its own."""

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

from tools.benchmarks.serving.watch import Watch

ROOT = Path(__file__).resolve().parents[4]
_START_S, _STOP_S = 60.0, 60.0
# Whoever runs the trials may have settings of their own.
_SETTINGS = ("KEYLIKE_", "OTEL_", "MODEL_PATH", "NGROK_TOKEN")


class Server:
    """Ready once it is entered, gone once it is left; `work` takes its logs. Raises RuntimeError where it does not get ready."""

    def __init__(self, work: Path) -> None:
        work = work.resolve()
        work.mkdir(parents=True, exist_ok=True)
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)
        }
        environment |= {"KEYLIKE_PORT": "0", "KEYLIKE_LOGS": str(work / "logs")}
        with (work / "stderr.txt").open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "app.py")],
                cwd=work,  # where no .env lies
                env=environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        assert self.process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.process.stdout.readline())
        if found is None:
            self._end()
            raise RuntimeError("the server did not start; its stderr.txt says why")
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"
        until = time.monotonic() + _START_S
        while not self._ready():
            if time.monotonic() > until:
                self._end()
                raise RuntimeError("the server did not get ready")
            time.sleep(0.05)
        self.watch = Watch(self.process.pid)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.watch.stop()
        self._end()

    def metric(self, name: str) -> float:
        """The value of a series as /metrics shows it, its labels as written there. Raises KeyError where there is none."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=_START_S) as answer:
            lines: list[str] = answer.read().decode().splitlines()
        values = {
            series: float(value)
            for series, _, value in (
                line.rpartition(" ") for line in lines if not line.startswith("#")
            )
        }
        return values[name]

    def signal(self) -> None:
        """SIGTERM, to the server alone."""
        self.process.send_signal(signal.SIGTERM)

    def hold_still(self) -> None:
        """It gets no processor time until `go_on`; its connections stay. Comes back once it stands still."""
        self.process.send_signal(signal.SIGSTOP)
        while psutil.Process(self.process.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)

    def go_on(self) -> None:
        """After `hold_still`."""
        self.process.send_signal(signal.SIGCONT)

    def ended(self) -> int | None:
        """Its exit status, once it has one; None where it goes on after a minute."""
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
        """Asks it, then kills the whole group."""
        if self.process.poll() is None:
            self.signal()
            if self.ended() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
