"""One visit to the page: what a person does there, and what the browser complained of meanwhile."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request

# What Chromium itself writes of each answer that is a failure; tests that make one say so.
_BLOCKED = "Service Worker registration blocked by Playwright"
_FAILED = re.compile(
    r"Failed to load resource: .*(?:status of (\d+)|(net::ERR_CONNECTION_REFUSED))"
)


# Fails after a while: what is evaluated may otherwise take for ever.
CONTROLLED = """() => new Promise((resolve, reject) => {
  setTimeout(reject, 15000, new Error("no service worker came"))
  navigator.serviceWorker.controller ? resolve() : navigator.serviceWorker.addEventListener("controllerchange", resolve)
})"""


class Visit:
    """A tab in a browser of its own. `failures` are the statuses that the test expects, or the browser's word for no answer."""

    def __init__(self, context: BrowserContext, address: str, *failures: str) -> None:
        self.context, self.address, self._failures = context, address, failures
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.requests: list[Request] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request))

    def open(self, path: str = "/", server: str = "ready") -> Visit:
        """Goes to the page and waits until it knows how the server is."""
        self.page.goto(self.address + path)
        self.page.wait_for_selector(f"#server[data-state={server}]")
        return self

    def choose(self, photo: Path | dict[str, Any], outcome: str = "read") -> Visit:
        """Chooses a photo and waits for what comes of it."""
        self.page.set_input_files("#file", photo)  # type: ignore[arg-type]
        self.page.wait_for_selector(f"main[data-state={outcome}]")
        return self

    def wait_for_worker(self) -> None:
        """Until the service worker looks after the page."""
        self.page.evaluate(CONTROLLED)

    @property
    def code(self) -> list[str]:
        """The digits that are shown large."""
        return [
            text.split("cut")[0].strip()
            for text in self.page.locator(".code li").all_text_contents()
        ]

    @property
    def title(self) -> str:
        """What the outcome is called."""
        return self.page.inner_text("#outcome-title")

    def sent(self, path: str) -> list[Request]:
        """The requests that went there."""
        return [request for request in self.requests if request.url == self.address + path]

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning") or message.text == _BLOCKED:
            return
        failed = _FAILED.match(message.text)
        if not failed or (failed[1] or failed[2]) not in self._failures:
            self.complaints.append(message.text)
