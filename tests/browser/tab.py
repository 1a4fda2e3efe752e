"""A browser tab: the actions of a user, and the errors that the browser logs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request

# Messages that Chromium logs for failed responses. Tests name those that they expect.
_BLOCKED = "Service Worker registration blocked by Playwright"
_FAILED = re.compile(r"Failed to load resource: .*(?:status of (\d+)|(net::ERR_[A-Z_]+))")


# Playwright has no timeout for evaluated promises.
CONTROLLED = """() => new Promise((resolve, reject) => {
  setTimeout(reject, 15000, new Error("no service worker took control"))
  const { serviceWorker } = navigator
  if (serviceWorker.controller) resolve()
  else serviceWorker.addEventListener("controllerchange", resolve)
})"""


class Tab:
    """A tab with its own browser context.

    Args:
        context: The browser context.
        address: The server's address.
        failures: Statuses of failed responses, or network errors, that the test expects.
    """

    def __init__(self, context: BrowserContext, address: str, *failures: str) -> None:
        self.context = context
        self.address = address
        self._failures = failures
        self.page: Page = context.new_page()
        self.errors: list[str] = []
        self.requests: list[Request] = []
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request))

    def open(self, path: str = "/", server: str = "ready") -> Tab:
        """Open the page and wait until it shows the server's status."""
        self.page.goto(self.address + path)
        self.page.wait_for_selector(f"#server[data-state={server}]")
        return self

    def choose(self, photo: Path | dict[str, Any], outcome: str = "read") -> Tab:
        """Choose a photo and wait for the outcome."""
        self.page.set_input_files("#file", photo)  # type: ignore[arg-type]
        self.page.wait_for_selector(f"main[data-state={outcome}]")
        return self

    def switch(self, language: str) -> None:
        """Choose a language."""
        self.page.select_option("#language", language)
        self.page.wait_for_selector(f"html[lang={language}]", state="attached")

    def wait_for_worker(self) -> None:
        """Wait until the service worker controls the page."""
        self.page.evaluate(CONTROLLED)

    @property
    def code(self) -> list[str]:
        """Return the displayed digits of the code."""
        return [text.strip()[0] for text in self.page.locator(".code li").all_text_contents()]

    @property
    def title(self) -> str:
        """Return the title of the outcome."""
        return self.page.inner_text("#outcome-title")

    def sent(self, path: str) -> list[Request]:
        """Return the requests to a path."""
        return [request for request in self.requests if request.url == self.address + path]

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning") or message.text == _BLOCKED:
            return
        failed = _FAILED.match(message.text)
        if not failed or (failed[1] or failed[2]) not in self._failures:
            self.errors.append(message.text)
