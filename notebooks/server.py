"""Starts the server process for the notebook, waits until it is ready, and stops it."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from keylike.tunnel.reaper import Reaper

# Longest time in seconds until the server is ready. A large model on Google Drive takes long: it is
# read once for the hashes and once for loading.
_READY_S = 1800.0
_STOP_S = 30.0  # seconds after which a server that does not stop is killed
# Lines of the server's output, and the form of a token.
_LOCAL_ADDRESS = re.compile(r"serves on (\S+) with the model")
_TUNNEL_OPEN = re.compile(r"Open on the phone:  ((?:[^\s#]+)/(?:#token=(\S+))?)")
_TUNNEL_FAILED = re.compile(r"The local server keeps running:  [^\s#]+/(?:#token=(\S+))?")
_TOKEN = re.compile(r"kl_[\w-]{20,}")
_AGENT_SCRIPT = """
from keylike.tunnel.ngrok_binary import find_ngrok
from pyngrok import conf, installer
find_ngrok() or installer.install_ngrok(conf.DEFAULT_NGROK_PATH)
"""


def fetch_agent(python: Path, home: Path) -> None:
    """Download the ngrok program to pyngrok's folder, unless ngrok is already installed.

    Raises:
        RuntimeError: The download failed.
    """
    completed = subprocess.run(
        [python, "-c", _AGENT_SCRIPT],
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if completed.returncode:
        raise RuntimeError(
            "The ngrok program could not be downloaded: "
            + (completed.stdout.strip().splitlines() or ["no reason given"])[-1]
        )


class Server:
    """Server process that runs `app.py` in `home` on a free port.

    It opens a tunnel if `ngrok_token` is given.

    Attributes:
        local: Address of the server on this machine.
        link: Public address with the token, for a phone. None without a tunnel.
        token: API token of the server, or None if it needs none.

    Raises:
        OSError: The process could not be started.
    """

    def __init__(
        self, python: Path, home: Path, *, model: Path | None = None, ngrok_token: str | None = None
    ) -> None:
        self.local = ""
        self.link: str | None = None
        self.token: str | None = os.environ.get("KEYLIKE_API_KEY") or None
        self._tunnel = ngrok_token is not None
        self._tunnel_settled = False
        self._loaded = False
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reaper = Reaper()
        # The server creates a temporary token only if no tokens exist, so it gets an empty token
        # file.
        settings = {
            "KEYLIKE_PORT": "0",
            "KEYLIKE_LOG_LEVEL": "ERROR",
            "KEYLIKE_TOKENS": str(self._reaper.folder / "tokens.sqlite3"),
        }
        settings |= {"KEYLIKE_TUNNEL": str(self._tunnel), "NGROK_TOKEN": ngrok_token or ""} | (
            {"MODEL_PATH": str(model)} if model else {}
        )
        try:
            self._process = subprocess.Popen(
                [python, "app.py"],
                cwd=home,
                env={**os.environ, **settings},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                # In a new session, the server does not end when a cell is interrupted. The reaper
                # needs a process group of its own.
                start_new_session=True,
            )
        except OSError:
            self._reaper.close()
            raise
        self._reaper.watch(self._process.pid)
        self._listener = threading.Thread(target=self._listen, name="server's output", daemon=True)
        self._listener.start()

    def wait_until_ready(
        self, show: Callable[[str], None] = print, limit_s: float = _READY_S
    ) -> None:
        """Show the server's output until the model is loaded and the tunnel is open or has failed.

        Tokens in the output are hidden. On any error the server is stopped.

        Args:
            show: Function that receives each line.
            limit_s: Longest time to wait, in seconds.

        Raises:
            RuntimeError: The server ended, or was not ready in time.
        """
        deadline = time.monotonic() + limit_s
        try:
            while not self._ready() or not self._lines.empty():
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
                if line is None:
                    raise RuntimeError("The server ended. Its output above has the reason.")
                show(_TOKEN.sub("…", line))
        except queue.Empty:
            self.stop()
            raise RuntimeError(
                f"The server was not ready after {limit_s:g} s and was stopped."
            ) from None
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and its tunnel after the requests in progress. It may be called twice."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reaper.forget(self._process.pid)
        self._reaper.close()
        self._listener.join()
        self.link = None

    def _ready(self) -> bool:
        return self._loaded and (self._tunnel_settled or not self._tunnel)

    def _listen(self) -> None:
        """Read all output of the server. Otherwise it would block on a full pipe."""
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self._parse(line.rstrip())
                self._lines.put(line.rstrip())
        self._lines.put(None)

    def _parse(self, line: str) -> None:
        if match := _LOCAL_ADDRESS.search(line):
            self.local = match[1]
        elif match := _TUNNEL_OPEN.match(line):
            self.link, self.token, self._tunnel_settled = match[1], match[2] or self.token, True
        elif match := _TUNNEL_FAILED.match(line):
            self.link, self.token, self._tunnel_settled = None, match[1] or self.token, True
        elif line.startswith(("Ready: ", "Degraded: ")):
            self._loaded = True
