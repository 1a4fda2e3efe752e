"""The server as a process beside the notebook: started, listened to until it is ready, and gone at the latest when the notebook is."""

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

# A large model on a Drive is read twice: first for its hashes.
_READY_S = 1800.0
_STOP_S = 30.0
_LOCAL = re.compile(r"serves on (\S+) with the model")
_OPEN = re.compile(r"Open on the phone:  ((?:[^\s#]+)/(?:#token=(\S+))?)")
_REFUSED = re.compile(r"The local server keeps running:  [^\s#]+/(?:#token=(\S+))?")
_TOKEN = re.compile(r"kl_[\w-]{20,}")
_AGENT = """
from keylike.tunnel.ngrok_binary import find_ngrok
from pyngrok import conf, installer
find_ngrok() or installer.install_ngrok(conf.DEFAULT_NGROK_PATH)
"""


def fetch_agent(python: Path, home: Path) -> None:
    """Downloads ngrok's own program to where pyngrok keeps it, unless this machine has it. Raises RuntimeError."""
    done = subprocess.run(
        [python, "-c", _AGENT],
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        raise RuntimeError(
            "ngrok's program could not be downloaded: "
            + (done.stdout.strip().splitlines() or ["no reason given"])[-1]
        )


class Server:
    """`app.py` in `home`, run by `python`, on a free port of this machine; with a tunnel where there is an `ngrok_token`.

    `local` is its own address; `link` is what a phone opens, None where there is no tunnel; `token` is what callers need, None for nothing.
    Raises OSError where it cannot be started.
    """

    def __init__(
        self, python: Path, home: Path, *, model: Path | None = None, ngrok_token: str | None = None
    ) -> None:
        self.local = ""
        self.link: str | None = None
        self.token: str | None = os.environ.get("KEYLIKE_API_KEY") or None
        self._tunnel, self._told, self._loaded = ngrok_token is not None, False, False
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._guard = Reaper()
        # Where there are tokens of other runs, none is made for this one: so they are left out.
        settings = {
            "KEYLIKE_PORT": "0",
            "KEYLIKE_LOG_LEVEL": "ERROR",
            "KEYLIKE_TOKENS": str(self._guard.folder / "tokens.sqlite3"),
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
                start_new_session=True,  # stopping a cell does not stop the server; and the guard ends groups
            )
        except OSError:
            self._guard.close()
            raise
        self._guard.watch(self._process.pid)
        self._listener = threading.Thread(target=self._listen, name="server's output", daemon=True)
        self._listener.start()

    def wait_until_ready(
        self, show: Callable[[str], None] = print, limit_s: float = _READY_S
    ) -> None:
        """Shows what it says, but for its token, until it can read and there is a tunnel, or a reason for none. Raises RuntimeError where
        it ends before, or takes longer; then nothing of it is left."""
        until = time.monotonic() + limit_s
        try:
            while not self._ready() or not self._lines.empty():
                line = self._lines.get(timeout=max(0.0, until - time.monotonic()))
                if line is None:
                    raise RuntimeError("The server ended; why is said above.")
                show(_TOKEN.sub("…", line))
        except queue.Empty:
            self.stop()
            raise RuntimeError(
                f"The server was not ready after {limit_s:g} s, and was stopped."
            ) from None
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends it, once it has answered what it was asked, and its tunnel with it; again does nothing."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._guard.forget(self._process.pid)
        self._guard.close()
        self._listener.join()
        self.link = None

    def _ready(self) -> bool:
        return self._loaded and (self._told or not self._tunnel)

    def _listen(self) -> None:
        """Reads all that it says, for as long as it runs: with a full pipe it would wait."""
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self._note(line.rstrip())
                self._lines.put(line.rstrip())
        self._lines.put(None)

    def _note(self, line: str) -> None:
        if found := _LOCAL.search(line):
            self.local = found[1]
        elif found := _OPEN.match(line):
            self.link, self.token, self._told = found[1], found[2] or self.token, True
        elif found := _REFUSED.match(line):
            self.link, self.token, self._told = None, found[1] or self.token, True
        elif line.startswith(("Ready: ", "Degraded: ")):
            self._loaded = True
