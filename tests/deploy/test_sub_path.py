"""Tests of the server behind a real nginx that forwards only one path to it, such as /keys/."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest

from keylike.settings import Settings
from tests.deploy.nginx_server import find_nginx
from tests.fakes import ColourReader
from tests.running import Running, until
from tools.plain_pictures import plain

# A configuration of nginx. `upstream` ends with a slash if nginx is to remove /keys from the path
# of a request before it forwards the request.
CONFIGURATION = """\
pid {folder}/nginx.pid;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/unused;
    uwsgi_temp_path {folder}/unused;
    scgi_temp_path {folder}/unused;
    server {{
        listen 127.0.0.1:{port};
        location /keys/ {{
            proxy_pass {upstream};
            proxy_set_header X-Forwarded-For $remote_addr;
            {header}
        }}
    }}
}}
"""
HEADER = "proxy_set_header X-Forwarded-Prefix /keys;"
SubPath = Callable[..., Callable[..., tuple[int, dict[str, str], bytes]]]


@pytest.fixture
def sub_path(settings: Settings, tmp_path: Path) -> Iterator[SubPath]:
    """Return a function that starts a server behind nginx.

    That function returns another one, which sends requests to nginx.
    """
    stop: list[Callable[[], object]] = []

    def start(
        header: str = "", *, keeps_path: bool = False, **changes: object
    ) -> Callable[..., tuple[int, dict[str, str], bytes]]:
        running = Running(settings.model_copy(update=changes), ColourReader())
        stop.append(running.stop)
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        upstream = f"http://127.0.0.1:{running.server.port}" + ("" if keeps_path else "/")
        path = tmp_path / "nginx.conf"
        path.write_text(
            CONFIGURATION.format(folder=tmp_path, port=port, upstream=upstream, header=header)
        )
        directives = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
        process = subprocess.Popen(
            [find_nginx(), "-p", str(tmp_path), "-e", "stderr", "-c", str(path), "-g", directives],
            stderr=subprocess.DEVNULL,
        )
        stop.extend([lambda: process.wait(20), process.terminate])

        def send(
            method: str, path: str, body: bytes | None = None, **headers: str
        ) -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, names)
            response = connection.getresponse()
            answer = response.status, dict(response.headers), response.read()
            connection.close()
            return answer

        def is_up() -> bool:
            try:
                return send("GET", "/keys/health/live")[0] == 200
            except ConnectionRefusedError:
                return False

        until(is_up)
        return send

    yield start
    for end in reversed(stop):
        end()


@pytest.mark.parametrize(
    ("header", "keeps_path", "changes"),
    [
        ("", False, {}),
        (HEADER, False, {"proxy": "127.0.0.1"}),
        ("", False, {"prefix": "/keys"}),
        ("", True, {"prefix": "/keys"}),
    ],
    ids=["no setting", "header", "setting", "setting and kept path"],
)
def test_all_files_of_the_web_page_are_found_under_a_path(
    sub_path: SubPath, header: str, keeps_path: bool, changes: dict[str, str]
) -> None:
    send = sub_path(header, keeps_path=keeps_path, **changes)
    for page in ("/keys/", "/keys/v1/", "/keys/docs", "/keys/docs/"):
        status, _, body = send("GET", page, Accept="text/html")
        found = {urljoin(page, each) for each in links(body)}
        assert status == 200 and len(found) >= 4
        assert {path: send("GET", path)[0] for path in found} == dict.fromkeys(found, 200)
    manifest = json.loads(send("GET", "/keys/web/manifest.webmanifest")[2])
    at = "/keys/web/manifest.webmanifest"
    assert {urljoin(at, manifest[name]) for name in ("start_url", "scope")} == {"/keys/"}
    for picture in (*manifest["icons"], *manifest["screenshots"]):
        assert send("GET", urljoin(at, picture["src"]))[0] == 200
    assert urljoin(at, manifest["share_target"]["action"]) == "/keys/share"
    assert send("GET", "/keys/sw.js")[0] == 200
    assert send("GET", "/keys/favicon.ico")[0] == 200
    status, _, answer = send("POST", "/keys/predict", plain(), Content_Type="image/jpeg")
    assert (status, json.loads(answer)["bitting"]) == (200, "2,5,4,7,3")


@pytest.mark.parametrize(
    ("header", "changes"),
    [(HEADER, {"proxy": "127.0.0.1"}), ("", {"prefix": "/keys"})],
    ids=["header", "setting"],
)
def test_addresses_in_responses_start_with_the_path(
    sub_path: SubPath, header: str, changes: dict[str, str]
) -> None:
    send = sub_path(header, **changes)
    for path in ("/keys/", "/keys/v1/"):
        welcome = json.loads(send("GET", path)[2])
        assert (welcome["predict"], welcome["openapi"]) == ("/keys/predict", "/keys/openapi.json")
    for path in ("/keys/openapi.json", "/keys/v1/openapi.json"):
        servers = json.loads(send("GET", path)[2])["servers"]
        assert [server["url"] for server in servers] == ["/keys", "/keys/v1"]


def test_forwarded_prefix_of_an_unconfigured_proxy_is_ignored(sub_path: SubPath) -> None:
    send = sub_path(HEADER)
    assert json.loads(send("GET", "/keys/")[2])["predict"] == "/predict"


@pytest.mark.parametrize("sent", ["//evil.example", "/a b", "https://evil.example", "/a,/b", "/"])
def test_malformed_forwarded_prefix_is_ignored(sub_path: SubPath, sent: str) -> None:
    send = sub_path(f'proxy_set_header X-Forwarded-Prefix "{sent}";', proxy="127.0.0.1")
    assert json.loads(send("GET", "/keys/")[2])["predict"] == "/predict"


def links(page: bytes) -> list[str]:
    """Return the addresses that a page loads or links to, without fragments."""
    return re.findall(r'(?:href|src)="([^"#]+)"', page.decode())
