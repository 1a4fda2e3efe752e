"""Tests of the examples for curl, Node and browsers, which send photos to a real server."""

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
from tests.clients.scripted_server import FAILURE, ScriptedResponse, ScriptedServer
from tools.plain_pictures import BLUE, RED, plain

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "clients" / "examples"
TOKEN = "c4nary-token-of-an-example"


def require(*programs: str) -> None:
    """Skip the test if a program is missing."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(
                f"{program} is not installed; "
                "on Debian or Ubuntu: apt-get install curl jq nodejs chromium"
            )


def test_curl_examples_all_succeed(serve: Serve, tmp_path: Path) -> None:
    require("bash", "curl", "jq", "base64")
    reader: Any = model_loader.load(ROOT / "models" / "caliper")
    running = serve(reader, api_key=SecretStr(TOKEN), policy="predictions")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TOKEN": TOKEN,
        "KEYLIKE": f"http://127.0.0.1:{running.server.port}",
    }
    outputs = []
    for block in re.findall(
        r"^```sh\n(.*?)^```$",
        (EXAMPLES / "curl.md").read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    ):
        completed = subprocess.run(
            ["bash", "-euc", block],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert completed.returncode == 0, block + completed.stderr
        assert TOKEN not in block + completed.stdout + completed.stderr
        outputs.append(completed.stdout)
    assert [output.count('"bitting":"5,0,6,8,3"') for output in outputs[:4]] == [
        0,
        1,
        1,
        1,
    ] and all('"zipcode":"12345"' in output for output in outputs[1:4])
    assert (
        outputs[4].startswith("SC1  5,0,6,8,3  ")
        and outputs[5].startswith("cut 1: 5, ")
        and outputs[5].count("\n") == 5
    )
    assert outputs[6].splitlines()[:2] == ["SC1 5,0,6,8,3", "KW1 7,3,5,2,5"] and outputs[
        6
    ].splitlines()[2].startswith("unsupported_image_type: ")
    assert (
        outputs[7] == "unsupported_image_type\n"
        and len(outputs[8]) == 9
        and outputs[9].startswith("healthy, caliper-")
    )
    assert list(tmp_path.glob(".keylike*")) == []


def run_node(address: str, *photos: Path) -> subprocess.CompletedProcess[str]:
    """Run the example for Node with these photos."""
    require("node")
    environment = {"PATH": os.environ["PATH"], "KEYLIKE_TOKEN": TOKEN}
    command = ["node", str(EXAMPLES / "javascript" / "node.mjs"), address, *map(str, photos)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_node_example_prints_readings_and_failures(serve: Serve, tmp_path: Path) -> None:
    running = serve(api_key=SecretStr(TOKEN), policy="predictions")
    photos = [tmp_path / f"{name}.jpg" for name in ("red", "blue", "text")]
    for photo, data in zip(photos, (plain(RED), plain(BLUE), b"text"), strict=True):
        photo.write_bytes(data)
    completed = run_node(f"http://127.0.0.1:{running.server.port}", *photos)
    red, blue, text = completed.stdout.splitlines()
    assert red.endswith("red.jpg: SC1 2,5,4,7,3, 80 % sure")
    assert "unreadable" in blue and "Lay one key flat" in blue and "unsupported_image_type" in text
    assert (completed.returncode, completed.stderr) == (1, "") and TOKEN not in completed.stdout


def test_node_example_retries_and_does_not_follow_redirects(scripted: Any, tmp_path: Path) -> None:
    photo = tmp_path / "red.jpg"
    photo.write_bytes(plain(RED))
    server: ScriptedServer = scripted(
        ScriptedResponse(503, FAILURE, {"Retry-After": "0"}),
        ScriptedResponse(413, {**FAILURE, "code": "image_too_large"}),
    )
    assert "image_too_large" in run_node(server.address + "/keys", photo).stdout
    assert [(output.path, output.headers["x-api-key"]) for output in server.requests] == [
        ("/keys/predict", TOKEN)
    ] * 2
    other_server: ScriptedServer = scripted(ScriptedResponse())
    redirected = run_node(
        scripted(ScriptedResponse(307, b"", {"Location": other_server.address})).address, photo
    )
    assert redirected.returncode == 1 and other_server.requests == []


@pytest.fixture
def page() -> Iterator[str]:
    """Serve the page of the browser example from another origin and return its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
            ".mjs": "text/javascript"
        }

        def log_message(self, format: str, *args: object) -> None:
            """Discard the message."""

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


def test_browser_example_reads_from_another_origin(serve: Serve, page: str, tmp_path: Path) -> None:
    require("chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    photo = tmp_path / "red.jpg"
    photo.write_bytes(plain(RED))
    running = serve(api_key=SecretStr(TOKEN), policy="predictions", origins=page.rpartition("/")[0])
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        tab = browser.new_page()
        tab.goto(f"{page}?keylike=http://127.0.0.1:{running.server.port}")
        tab.set_input_files("[name=photo]", photo)
        for token, expected in ((TOKEN, "SC1 2,5,4,7,3"), ("c4nary-unknown", "token")):
            tab.fill("[name=token]", token)
            tab.click("button")
            playwright.expect(tab.locator("output")).to_contain_text(expected)
        browser.close()
