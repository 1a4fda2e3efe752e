"""Sees to it that no agent outlives the server, however that ends: a small process that waits for the server's end of a pipe to close.

Run as a script it is that process, and needs nothing but Python. A server that is killed, or ends at once, runs no code of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

_WAIT_S = 5.0


class Reaper:
    """Knows which processes must go when this one does. `folder` is private to this user and goes with it. Raises OSError."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="keylike-tunnel-"))
        command = [sys.executable, "-I", "-S", __file__, str(self.folder)]
        # In a session of its own: Ctrl-C in the terminal and its closing are for the server, which tells the guard by ending.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            env={},
            cwd="/",
            text=True,
        )

    def watch(self, pid: int) -> None:
        """From now on the process `pid`, a child of this one that leads a group of its own, goes with its group when this one does."""
        self._say(f"+{pid}")

    def leave(self, pid: int) -> None:
        """It is gone already, and its number may be another's."""
        self._say(f"-{pid}")

    def whole(self) -> bool:
        """Whether it is there, and its folder: systems clear out temporary ones that are old, and then somebody else could make it anew."""
        try:
            return self._process.poll() is None and self.folder.lstat().st_uid == os.getuid()
        except OSError:
            return False

    def close(self) -> None:
        """Kills what is still watched, and removes the folder."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_WAIT_S)

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        with suppress(
            OSError, ValueError
        ):  # somebody killed the guard, or it is closed: the tunnel works without
            print(line, file=self._process.stdin, flush=True)


def keep_guard(folder: str) -> None:
    """Reads who is to be watched until the pipe closes, and then leaves nothing behind."""
    watched: set[int] = set()
    for line in sys.stdin:
        if line.startswith("+"):
            watched.add(int(line))
        else:
            watched.discard(-int(line))
    for pid in watched:
        with suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    keep_guard(sys.argv[1])
