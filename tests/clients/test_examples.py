"""The examples do what they say: curl's lines in a shell, the JavaScript in Node and in a browser, each against the real server."""

from __future__ import annotations

import functools
import http.server
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from keylike.readers import loading as model_loader
from tests.clients.conftest import Serve
from tests.clients.scripted import FAILURE, Say, Scripted
from tools.plain_pictures import BLUE, RED, plain

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "clients" / "examples"
TOKEN = "c4nary-token-of-an-example"


def need(*programs: str) -> None:
    """Skips where one is missing."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(
                f"{program} is not installed; on Debian or Ubuntu: apt-get install curl jq nodejs chromium"
            )


def test_every_line_of_curl_works(serve: Serve, tmp_path: Path) -> None:
    need("bash", "curl", "jq", "base64")
    reader: Any = model_loader.load(ROOT / "models" / "caliper")
    running = serve(reader, api_key=SecretStr(TOKEN), policy="predictions")
    settings = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TOKEN": TOKEN,
        "KEYLIKE": f"http://127.0.0.1:{running.server.port}",
    }
    said = []
    for block in re.findall(
        r"^```sh\n(.*?)^```$",
        (EXAMPLES / "curl.md").read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    ):
        ran = subprocess.run(
            ["bash", "-euc", block],
            cwd=ROOT,
            env=settings,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ran.returncode == 0, block + ran.stderr
        assert TOKEN not in block + ran.stdout + ran.stderr
        said.append(ran.stdout)
    assert [one.count('"bitting":"5,0,6,8,3"') for one in said[:4]] == [0, 1, 1, 1] and all(
        '"zipcode":"12345"' in one for one in said[1:4]
    )
    assert (
        said[4].startswith("SC1  5,0,6,8,3  ")
        and said[5].startswith("cut 1: 5, ")
        and said[5].count("\n") == 5
    )
    assert said[6].splitlines()[:2] == ["SC1 5,0,6,8,3", "KW1 7,3,5,2,5"] and said[6].splitlines()[
        2
    ].startswith("unsupported_image_type: ")
    assert (
        said[7] == "unsupported_image_type\n"
        and len(said[8]) == 9
        and said[9].startswith("healthy, caliper-")
    )
    assert list(tmp_path.glob(".keylike*")) == []


def node(address: str, *photos: Path) -> subprocess.CompletedProcess[str]:
    """Runs the example for Node."""
    need("node")
    settings = {"PATH": os.environ["PATH"], "KEYLIKE_TOKEN": TOKEN}
    command = ["node", str(EXAMPLES / "javascript" / "node.mjs"), address, *map(str, photos)]
    return subprocess.run(command, env=settings, capture_output=True, text=True, timeout=60)


def test_node_reads_and_tells_what_it_cannot(serve: Serve, tmp_path: Path) -> None:
    running = serve(api_key=SecretStr(TOKEN), policy="predictions")
    photos = [tmp_path / f"{name}.jpg" for name in ("red", "blue", "text")]
    for photo, data in zip(photos, (plain(RED), plain(BLUE), b"text"), strict=True):
        photo.write_bytes(data)
    ran = node(f"http://127.0.0.1:{running.server.port}", *photos)
    red, blue, text = ran.stdout.splitlines()
    assert red.endswith("red.jpg: SC1 2,5,4,7,3, 80 % sure")
    assert "unreadable" in blue and "Lay one key flat" in blue and "unsupported_image_type" in text
    assert (ran.returncode, ran.stderr) == (1, "") and TOKEN not in ran.stdout


def test_node_comes_back_when_it_is_told_to_and_follows_nobody(
    scripted: Any, tmp_path: Path
) -> None:
    photo = tmp_path / "red.jpg"
    photo.write_bytes(plain(RED))
    server: Scripted = scripted(
        Say(503, FAILURE, {"Retry-After": "0"}), Say(413, {**FAILURE, "code": "image_too_large"})
    )
    assert "image_too_large" in node(server.address + "/keys", photo).stdout
    assert [(one.path, one.headers["x-api-key"]) for one in server.asked] == [
        ("/keys/predict", TOKEN)
    ] * 2
    elsewhere: Scripted = scripted(Say())
    astray = node(scripted(Say(307, b"", {"Location": elsewhere.address})).address, photo)
    assert astray.returncode == 1 and elsewhere.asked == []


@pytest.fixture
def page() -> Iterator[str]:
    """The address of the example's folder, as another origin serves it."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
            ".mjs": "text/javascript"
        }

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(EXAMPLES / "javascript"))
    )
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/browser.html"
    server.shutdown()
    server.server_close()
    thread.join(20)


def test_a_browser_reads_from_another_page(serve: Serve, page: str, tmp_path: Path) -> None:
    need("chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    photo = tmp_path / "red.jpg"
    photo.write_bytes(plain(RED))
    running = serve(api_key=SecretStr(TOKEN), policy="predictions", origins=page.rpartition("/")[0])
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        tab = browser.new_page()
        tab.goto(f"{page}?keylike=http://127.0.0.1:{running.server.port}")
        tab.set_input_files("[name=photo]", photo)
        for token, shown in ((TOKEN, "SC1 2,5,4,7,3"), ("c4nary-of-nobody", "token")):
            tab.fill("[name=token]", token)
            tab.click("button")
            playwright.expect(tab.locator("output")).to_contain_text(shown)
        browser.close()
