"""nginx with the configuration of deploy/, on a free loopback port, before a server of the test's."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.clients.certificates import make_certificate
from tests.running import until

CONFIGURATION = Path(__file__).resolve().parent.parent.parent / "deploy" / "nginx" / "nginx.conf"


def find_nginx() -> str:
    """Where it is; skips where it is not."""
    path = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if path is None:
        pytest.skip("nginx is not installed; on Debian or Ubuntu: apt-get install nginx")
    return path


class Nginx:
    """Runs from the start on; `changes` are made to the configuration, each of which must be in it."""

    def __init__(self, folder: Path, behind: int, **changes: str) -> None:
        self.folder = folder
        trusted, _ = make_certificate(folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._tls = ssl.create_default_context(cafile=trusted)
        places = {
            " /tmp/": f" {folder}/",
            "/dev/stdout": f"{folder}/access.log",
            "/etc/nginx/tls/": f"{folder}/",
        }
        places |= {
            "listen 8443": f"listen 127.0.0.1:{self.port}",
            "keylike:5000": f"127.0.0.1:{behind}",
        }
        text = CONFIGURATION.read_text(encoding="utf-8")
        for old, new in places.items():
            assert old in text, old
            text = text.replace(old, new)
        for name, value in changes.items():
            text, count = re.subn(rf"\b{name} [^;]+;", f"{name} {value};", text)
            assert count, name
        (folder / "nginx.conf").write_text(text, encoding="utf-8")
        # It would otherwise go on as nobody, whom the test's folder does not let in.
        self._command = [
            find_nginx(),
            "-p",
            str(folder),
            "-e",
            "stderr",
            "-c",
            str(folder / "nginx.conf"),
        ]
        self._alone = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
        self._process: subprocess.Popen[bytes] | None = None

    def checked(self) -> str:
        """What nginx says of the configuration."""
        return subprocess.run(
            [*self._command, "-t"], capture_output=True, text=True, timeout=30
        ).stderr

    def start(self) -> None:
        """Returns when it answers."""
        self._process = subprocess.Popen(
            [*self._command, "-g", self._alone], stderr=subprocess.DEVNULL
        )
        until(self._answers)

    def stop(self) -> None:
        """Waits for the end."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)

    def connect(self) -> http.client.HTTPSConnection:
        """A connection of one's own, whose certificate is checked."""
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=self._tls)

    def raw(self) -> ssl.SSLSocket:
        """The same for those who do not speak HTTP properly."""
        return self._tls.wrap_socket(
            socket.create_connection(("127.0.0.1", self.port), timeout=20),
            server_hostname="127.0.0.1",
        )

    def plain(self) -> socket.socket:
        """Without TLS."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def _answers(self) -> bool:
        assert self._process and self._process.poll() is None, self.checked()
        try:
            self.plain().close()
        except ConnectionRefusedError:
            return False
        return True
