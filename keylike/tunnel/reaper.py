"""A helper process that ends the ngrok agent when the server dies, however that happens.

The helper blocks on a pipe whose other end belongs to the server. A server that is killed cannot
run cleanup code, but the kernel closes its end of the pipe. Run as a script, this module is the
helper; it needs only Python's standard library.
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
    """A handle on the helper process, which kills the watched processes when this process ends.

    `folder` is private to this user and is removed at the end. Raises OSError.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="keylike-tunnel-"))
        command = [sys.executable, "-I", "-S", __file__, str(self.folder)]
        # A new session: Ctrl-C and the closing of the terminal must reach only the server. The
        # helper learns of the server's end by the pipe.
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
        """Kill the process group of `pid` when this process ends.

        `pid` must be a child process that leads a process group of its own.
        """
        self._send(f"+{pid}")

    def forget(self, pid: int) -> None:
        """Stop watching a process that has ended, since the system may reuse its number."""
        self._send(f"-{pid}")

    def is_intact(self) -> bool:
        """Return True if the helper runs and its folder still belongs to this user.

        Systems delete old temporary folders, and then another user could create the same one.
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
        # The tunnel works without the helper, which may have been killed or closed.
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
