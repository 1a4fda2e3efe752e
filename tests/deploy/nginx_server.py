"""nginx with the configuration of deploy/ on a free loopback port, in front of a test server."""

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
    """Return the path of nginx, or skip the test if it is not installed."""
    path = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if path is None:
        pytest.skip("nginx is not installed; on Debian or Ubuntu: apt-get install nginx")
    return path


class Nginx:
    """nginx process that forwards requests to the servers at `upstream_ports`.

    `changes` gives directives of the configuration other values.
    """

    def __init__(self, folder: Path, *upstream_ports: int, **changes: str) -> None:
        self.folder = folder
        certificate, _ = make_certificate(folder)
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        self._tls = ssl.create_default_context(cafile=certificate)
        replacements = {
            " /tmp/": f" {folder}/",
            "/dev/stdout": f"{folder}/access.log",
            "/etc/nginx/tls/": f"{folder}/",
        }
        replacements |= {
            "listen 8443": f"listen 127.0.0.1:{self.port}",
            "server keylike:5000 max_fails=0;": " ".join(
                f"server 127.0.0.1:{port} max_fails=0;" for port in upstream_ports
            ),
        }
        text = CONFIGURATION.read_text(encoding="utf-8")
        for old, new in replacements.items():
            assert old in text, old
            text = text.replace(old, new)
        for name, value in changes.items():
            text, count = re.subn(rf"\b{name} [^;]+;", f"{name} {value};", text)
            assert count, name
        (folder / "nginx.conf").write_text(text, encoding="utf-8")
        # When root starts nginx without `user root`, its workers run as `nobody`, who cannot read
        # the folder of the test.
        self._command = [
            find_nginx(),
            "-p",
            str(folder),
            "-e",
            "stderr",
            "-c",
            str(folder / "nginx.conf"),
        ]
        self._directives = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
        self._process: subprocess.Popen[bytes] | None = None

    def check_configuration(self) -> str:
        """Return what `nginx -t` reports about the configuration."""
        return subprocess.run(
            [*self._command, "-t"], capture_output=True, text=True, timeout=30
        ).stderr

    def start(self) -> None:
        """Start nginx and wait until it accepts connections."""
        self._process = subprocess.Popen(
            [*self._command, "-g", self._directives], stderr=subprocess.DEVNULL
        )
        until(self._accepts_connections)

    def stop(self) -> None:
        """Stop nginx and wait until it has ended."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)

    def connect(self) -> http.client.HTTPSConnection:
        """Return a new connection that checks the certificate."""
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=self._tls)

    def raw(self) -> ssl.SSLSocket:
        """Return a TLS socket for requests that are not valid HTTP."""
        return self._tls.wrap_socket(
            socket.create_connection(("127.0.0.1", self.port), timeout=20),
            server_hostname="127.0.0.1",
        )

    def plain(self) -> socket.socket:
        """Return a socket without TLS."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def _accepts_connections(self) -> bool:
        assert self._process and self._process.poll() is None, self.check_configuration()
        try:
            self.plain().close()
        except ConnectionRefusedError:
            return False
        return True
