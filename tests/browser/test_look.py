"""Appearance and accessibility: light and dark, a narrow phone, keyboard only, and axe."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenTab
from tests.browser.samples import FIRST
from tests.browser.server import Server
from tests.browser.tab import Tab
from tests.browser.test_history import turn_on
from tests.browser.test_refusals import NO_KEY

AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
NARROW = {"width": 360, "height": 740}


def camera(tab: Tab) -> None:
    """Open the camera."""
    tab.page.click("#use-camera")
    tab.page.wait_for_selector("main[data-state=camera]")


def reading(tab: Tab) -> None:
    """Show a reading with all details expanded."""
    tab.choose(FIRST.path)
    tab.page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")


def busy(tab: Tab) -> None:
    """Start a request that does not finish."""
    tab.page.route("**/predict", lambda route: None)
    tab.page.set_input_files("#file", FIRST.path)
    expect(tab.page.locator("#work-text")).to_have_text("Sending the photo")


def history(tab: Tab) -> None:
    """Show a history with one entry."""
    turn_on(tab.page)
    tab.choose(FIRST.path)
    tab.page.click("#open-history")
    expect(tab.page.locator(".saved > li")).to_have_count(1)


STATES: dict[str, Callable[[Tab], object]] = {
    "start": lambda tab: None,
    "camera": camera,
    "busy": busy,
    "read": reading,
    "refused": lambda tab: tab.choose(NO_KEY, "refused"),
    "history": history,
    "token": lambda tab: tab.page.click("#open-token"),
}


@pytest.mark.parametrize("state", STATES)
def test_page_passes_axe_and_does_not_scroll_sideways(
    open_tab: OpenTab, server: Server, state: str
) -> None:
    """Motion is off, since fading elements have too little contrast for a moment."""
    tab = open_tab(
        server, "422", viewport=NARROW, permissions=["camera"], reduced_motion="reduce"
    ).open()
    STATES[state](tab)
    tab.page.evaluate(AXE)
    for scheme in ("light", "dark"):
        tab.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        results: dict[str, Any] = tab.page.evaluate("axe.run()")
        assert [
            (each["id"], each["impact"], [node["html"] for node in each["nodes"]])
            for each in results["violations"]
        ] == [], scheme
        assert len(results["passes"]) > 15
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    for dialog in tab.page.locator("dialog[open]").all():
        assert dialog.evaluate("each => each.scrollWidth <= each.clientWidth")


def test_colour_scheme_changes_the_backgrounds(open_tab: OpenTab, server: Server) -> None:
    def backgrounds(scheme: str) -> list[int]:
        page = open_tab(server, color_scheme=scheme).open().page
        colours = [
            page.evaluate(f"getComputedStyle(document.querySelector('{each}')).backgroundColor")
            for each in ("body", ".stage", "dialog")
        ]
        return [int(colour.partition("(")[2].partition(",")[0]) for colour in colours]

    assert max(backgrounds("dark")) < 60
    assert min(backgrounds("light")) > 200


def test_page_works_with_the_keyboard_only(open_tab: OpenTab, server: Server) -> None:
    page = open_tab(server, permissions=["camera"]).open().page
    focused = []
    for _ in range(9):
        page.keyboard.press("Tab")
        focused.append(
            page.evaluate(
                "(({ id, className, tagName }) => id || className || tagName)(document.activeElement)"
            )
        )
    assert focused == [
        "skip",
        "brand",
        "open-history",
        "open-token",
        "use-camera",
        "file",
        "A",
        "BODY",
        "skip",
    ]
    page.focus("#use-camera")
    page.keyboard.press("Enter")
    page.wait_for_selector("main[data-state=camera]")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "use-camera"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#token")).to_be_visible()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "open-token"
    assert outlined(page)


def outlined(page: Page) -> bool:
    """Return True if the focused element has an outline."""
    shown: bool = page.evaluate("getComputedStyle(document.activeElement).outlineStyle === 'solid'")
    return shown


def test_page_is_small_and_loads_only_files_of_this_server(
    open_tab: OpenTab, server: Server
) -> None:
    """All files of a first visit have at most 40 kB when compressed, as a proxy or tunnel does."""
    tab = open_tab(server).open()
    bodies = {
        request.url: request.response()
        for request in tab.requests
        if request.url != f"{server.address}/health"
    }
    assert all(url.startswith(server.address) for url in bodies)
    sizes = [
        len(gzip.compress(response.body()))
        for response in bodies.values()
        if response and response.ok
    ]
    assert len(sizes) > 20
    assert sum(sizes) < 40_000
