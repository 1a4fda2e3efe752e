"""The older phone app: a page of another origin that uses the API of the older guide."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import OpenTab
from tests.browser.samples import FIRST
from tests.browser.server import Server

APP = """<!doctype html><title>The older app</title><link rel="icon" href="data:,">
<input type="file" id="photo">
<script>
window.send = async server => {
  const form = new FormData()
  form.append("command", "predict")
  form.append("image", document.getElementById("photo").files[0], "keyway_image.jpg")
  form.append("zipcode", "12345")
  const headers = { "ngrok-skip-browser-warning": "true" }
  const response = await fetch(server + "/", { method: "POST", body: form, headers })
  const id = response.headers.get("X-Request-Id")
  return { status: response.status, id, body: await response.json() }
}
</script>"""
# Fields that the app reads, with their types: the first block of the contract.
FIELDS: dict[str, type | tuple[type, ...]] = {
    "success": bool,
    "request_id": str,
    "keyway": str,
    "bitting": str,
    "brand": str,
    "confidence": float,
    "estimatedAnnualProduction": int,
    "manufacturingComplexity": int,
    "marketPenetration": float,
    "timeInMarket": (int, float),
    "pinCount": int,
    "materialType": str,
    "securityRating": str,
    "model_used": str,
    "zipcode": str,
    "timestamp": int,
    "api_version": str,
}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[str]:
    """Serve the app from another origin and return its address."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "index.html").write_text(APP)
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path / "app"))
    ) as files:
        threading.Thread(target=files.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{files.server_address[1]}/"
        files.shutdown()


def test_older_app_passes_the_preflight_and_reads_every_field(
    open_tab: OpenTab, server: Server, app: str
) -> None:
    tab = open_tab(server)
    page = tab.page
    methods: list[str] = []
    network = tab.context.new_cdp_session(page)
    network.on(
        "Network.requestWillBeSent", lambda event: methods.append(event["request"]["method"])
    )
    network.send("Network.enable")
    page.goto(app)
    page.set_input_files("#photo", FIRST.path)
    answer = page.evaluate("server => window.send(server)", server.address)
    assert methods[-2:] in (["OPTIONS", "POST"], ["POST", "OPTIONS"])
    body = answer["body"]
    assert (answer["status"], answer["id"]) == (200, body["request_id"])
    assert {
        name: body[name] for name, kind in FIELDS.items() if not isinstance(body[name], kind)
    } == {}
    assert (body["keyway"], body["bitting"], body["brand"], body["zipcode"]) == (
        FIRST.keyway,
        FIRST.bitting,
        "Schlage",
        "12345",
    )
    assert body["bitting"].split(",") == FIRST.digits and body["pinCount"] == len(FIRST.digits)
    assert (body["success"], len(body["request_id"]), body["api_version"]) == (True, 8, "2.0.0")
    assert (
        0 <= body["confidence"] <= 1
        and body["estimatedAnnualProduction"] > 0
        and body["manufacturingComplexity"] > 0
    )
    assert 0 <= body["marketPenetration"] <= 1 and 0 <= body["timeInMarket"] <= 1


def test_older_app_can_read_a_failure(open_tab: OpenTab, guarded: Server, app: str) -> None:
    """Failures need CORS headers as well."""
    tab = open_tab(guarded, "401")
    tab.page.goto(app)
    tab.page.set_input_files("#photo", FIRST.path)
    answer = tab.page.evaluate("server => window.send(server)", guarded.address)
    assert (answer["status"], answer["body"]["success"], answer["body"]["code"]) == (
        401,
        False,
        "unauthorized",
    )
