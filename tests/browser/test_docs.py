"""/docs: Swagger UI draws the whole API under the policy that the page is served with."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Visiting
from tests.browser.server import Server


def test_documentation_is_drawn_without_a_complaint(visiting: Visiting, server: Server) -> None:
    page = visiting(server).page
    page.goto(f"{server.address}/docs")
    expect(page.locator(".opblock").first).to_be_visible()
    assert page.locator(".opblock").count() >= 12
    page.click("#operations-predictions-predict .opblock-summary-control")
    expect(page.locator("#operations-predictions-predict .responses-table").first).to_be_visible()
