"""The real server with the embedded reader, as a child process on the loopback address."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
_STOP_S = 20


class Server:
    """A server process.

    Args:
        folder: Receives logs and tokens.
        settings: Environment variables.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self._folder = folder
        self._settings = settings
        self.port = 0
        self.start()

    @property
    def address(self) -> str:
        """Return the URL without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the process, on the same port as before, and wait until it is ready."""
        defaults = {
            "KEYLIKE_PORT": str(self.port),
            "KEYLIKE_LOGS": "logs",
            "KEYLIKE_TOKENS": "tokens.sqlite3",
        }
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("KEYLIKE_", "MODEL_PATH", "NGROK_", "OTEL_"))
        }
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "app.py")],
            cwd=self._folder,
            env=inherited | defaults | self._settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            self.port = int(found[1]) if found else self.port
            if line.startswith("Ready"):
                return
        raise RuntimeError(f"the server did not start: {self._process.wait(_STOP_S)}")

    def stop(self) -> None:
        """Kill the process, since a drain would wait for the browser's open connections."""
        self._process.kill()
        self._process.communicate(timeout=_STOP_S)
