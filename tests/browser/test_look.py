"""What it looks like to everybody: light and dark, on the narrowest phone, by keyboard alone, to axe."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visiting
from tests.browser.samples import FIRST
from tests.browser.server import Server
from tests.browser.test_history import turn_on
from tests.browser.test_refusals import NO_KEY
from tests.browser.visit import Visit

AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
NARROW = {"width": 360, "height": 740}


def camera(visit: Visit) -> None:
    """Before the camera."""
    visit.page.click("#use-camera")
    visit.page.wait_for_selector("main[data-state=camera]")


def reading(visit: Visit) -> None:
    """A reading with all that can be opened open."""
    visit.choose(FIRST.path)
    visit.page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")


def busy(visit: Visit) -> None:
    """At work."""
    visit.page.route("**/predict", lambda route: None)
    visit.page.set_input_files("#file", FIRST.path)
    expect(visit.page.locator("#work-text")).to_have_text("Sending the photo")


def history(visit: Visit) -> None:
    """A history with an entry."""
    turn_on(visit.page)
    visit.choose(FIRST.path)
    visit.page.click("#open-history")
    expect(visit.page.locator(".kept > li")).to_have_count(1)


STATES: dict[str, Callable[[Visit], object]] = {
    "start": lambda visit: None,
    "camera": camera,
    "busy": busy,
    "read": reading,
    "refused": lambda visit: visit.choose(NO_KEY, "refused"),
    "history": history,
    "token": lambda visit: visit.page.click("#open-token"),
}


@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    visiting: Visiting, server: Server, state: str
) -> None:
    """Without motion, since what fades in has too little contrast for a moment."""
    visit = visiting(
        server, "422", viewport=NARROW, permissions=["camera"], reduced_motion="reduce"
    ).open()
    STATES[state](visit)
    visit.page.evaluate(AXE)
    for scheme in ("light", "dark"):
        visit.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found: dict[str, Any] = visit.page.evaluate("axe.run()")
        assert [
            (each["id"], each["impact"], [node["html"] for node in each["nodes"]])
            for each in found["violations"]
        ] == [], scheme
        assert len(found["passes"]) > 15
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    for dialog in visit.page.locator("dialog[open]").all():
        assert dialog.evaluate("each => each.scrollWidth <= each.clientWidth")


def test_dark_is_dark_and_light_is_light(visiting: Visiting, server: Server) -> None:
    def grounds(scheme: str) -> list[int]:
        page = visiting(server, color_scheme=scheme).open().page
        colours = [
            page.evaluate(f"getComputedStyle(document.querySelector('{each}')).backgroundColor")
            for each in ("body", ".stage", "dialog")
        ]
        return [int(colour.partition("(")[2].partition(",")[0]) for colour in colours]

    assert max(grounds("dark")) < 60
    assert min(grounds("light")) > 200


def test_keyboard_alone(visiting: Visiting, server: Server) -> None:
    page = visiting(server, permissions=["camera"]).open().page
    seen = []
    for _ in range(9):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                "document.activeElement.id || document.activeElement.className || document.activeElement.tagName"
            )
        )
    assert seen == [
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
    """Whether one sees where the keyboard is."""
    shown: bool = page.evaluate("getComputedStyle(document.activeElement).outlineStyle === 'solid'")
    return shown


def test_page_is_light_and_comes_from_here_alone(visiting: Visiting, server: Server) -> None:
    """At most 40 kB once compressed, as a proxy or tunnel sends it, with every file that a first visit fetches."""
    visit = visiting(server).open()
    bodies = {
        request.url: request.response()
        for request in visit.requests
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
