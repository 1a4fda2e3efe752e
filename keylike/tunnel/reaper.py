"""A helper process that kills the ngrok agent when the server exits, even if the server is killed.

The helper waits for input from a pipe to which the server writes. A server that is killed cannot
run cleanup code, but the kernel closes the pipe, and the helper notices that. This module run as a
script is the helper. It needs only Python's standard library.
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

# Longest time to wait for the helper at the end, in seconds.
_WAIT_S = 5.0


class Reaper:
    """The helper process, which kills the watched processes when this process exits.

    `folder` is a temporary folder that only this user can access. The helper removes it at the end.

    Raises:
        OSError: The helper cannot be started.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="keylike-tunnel-"))
        command = [sys.executable, "-I", "-S", __file__, str(self.folder)]
        # In a new session, the helper does not get Ctrl-C from the terminal, or the signal when the
        # terminal is closed. It must run until the server has exited.
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
        """Make the helper kill the process group of `pid` when this process exits.

        `pid` must be a child process that is the leader of its process group.
        """
        self._send(f"+{pid}")

    def forget(self, pid: int) -> None:
        """Stop watching a process that has exited, because the system may reuse its id."""
        self._send(f"-{pid}")

    def is_intact(self) -> bool:
        """Return True if the helper runs and its folder still belongs to this user.

        Some systems delete old temporary folders. Another user could then create a folder with the
        same name.
        """
        try:
            return self._process.poll() is None and self.folder.lstat().st_uid == os.getuid()
        except OSError:
            return False

    def close(self) -> None:
        """Kill the processes that are still watched, and remove the folder."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_WAIT_S)

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        # Ignore the error if the helper was killed or closed: the tunnel works without it.
        with suppress(OSError, ValueError):
            print(line, file=self._process.stdin, flush=True)


def run_helper(folder: str) -> None:
    """Read the processes to watch until the pipe closes, then kill them and remove `folder`."""
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
    run_helper(sys.argv[1])
