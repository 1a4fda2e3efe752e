"""A real Redis for tests, on a free loopback port, with a password, without files."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from redis import Redis

PASSWORD = "canary-password"


class RedisServer:
    """A Redis that can be started and killed repeatedly at the same address."""

    def __init__(self, folder: Path) -> None:
        self._binary = shutil.which("redis-server")
        if self._binary is None:
            pytest.skip(
                "redis-server is not installed; on Debian or Ubuntu: apt-get install redis-server"
            )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        at = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        how = ["--save", "", "--appendonly", "no", "--requirepass", PASSWORD]
        self._process = subprocess.Popen(
            [str(self._binary), *at, *how], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        said = []
        for line in self._process.stdout:
            said.append(line)
            if "Ready to accept connections" in line:
                return
        raise AssertionError("redis-server ended: " + "".join(said))

    def kill(self) -> None:
        """Kill the server."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def client(self) -> Redis:
        """Return a new connection for inspecting the data."""
        return Redis.from_url(self.url)
