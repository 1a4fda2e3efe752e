"""/docs: Swagger UI renders the whole API under the content security policy."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import OpenTab
from tests.browser.server import Server


def test_docs_page_renders_without_errors(open_tab: OpenTab, server: Server) -> None:
    page = open_tab(server).page
    page.goto(f"{server.address}/docs")
    expect(page.locator(".opblock").first).to_be_visible()
    assert page.locator(".opblock").count() >= 12
    page.click("#operations-predictions-predict .opblock-summary-control")
    expect(page.locator("#operations-predictions-predict .responses-table").first).to_be_visible()
