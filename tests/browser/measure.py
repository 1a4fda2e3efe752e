"""Measure size and load time of the page: python -m tests.browser.measure. The last line is JSON.

Weight: all files of a first visit, raw and compressed one by one. Ready: time from navigation until
the page's script has run, with an empty cache. `phone` has a processor four times slower and a
mobile network (9 Mbit/s, 60 ms round trip).
"""

from __future__ import annotations

import gzip
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Response

from tests.browser.chromium import chromium
from tests.browser.server import Server

_TIMES = 15
_NETWORK = {
    "offline": False,
    "latency": 60,
    "downloadThroughput": 9e6 / 8,
    "uploadThroughput": 3e6 / 8,
}
_READY = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
_PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"


def weight(browser: Browser, address: str) -> dict[str, int]:
    """Return the number and bytes of the files of a first visit, without the service worker."""
    page = browser.new_context(service_workers="block").new_page()
    responses: list[Response] = []
    page.on("response", lambda response: responses.append(response))
    page.goto(address)
    page.wait_for_selector("#server[data-state=ready]")
    bodies = [response.body() for response in responses if not response.url.endswith("/health")]
    page.context.close()
    return {
        "files": len(bodies),
        "bytes": sum(map(len, bodies)),
        "gzipped": sum(len(gzip.compress(body)) for body in bodies),
    }


def readiness(browser: Browser, address: str, *, phone: bool) -> dict[str, int]:
    """Return milliseconds until ready (median and worst) and until the first paint (median)."""
    ready, painted = [], []
    for _ in range(_TIMES):
        page = browser.new_page()
        if phone:
            session = page.context.new_cdp_session(page)
            session.send("Network.enable")
            session.send("Network.emulateNetworkConditions", _NETWORK)
            session.send("Emulation.setCPUThrottlingRate", {"rate": 4})
        page.goto(address)
        page.wait_for_selector("#server[data-state=ready]")
        ready.append(page.evaluate(_READY))
        painted.append(page.evaluate(_PAINTED))
        page.close()
    return {
        "median": round(statistics.median(ready)),
        "worst": round(max(ready)),
        "painted": round(statistics.median(painted)),
    }


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder, chromium(Path(folder)) as browser:
        server = Server(Path(folder))
        try:
            figures: dict[str, Any] = {
                "weight": weight(browser, server.address),
                "ready_ms": readiness(browser, server.address, phone=False),
                "phone_ready_ms": readiness(browser, server.address, phone=True),
            }
        finally:
            server.stop()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
