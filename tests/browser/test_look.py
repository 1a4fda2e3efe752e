"""Appearance and accessibility: light and dark, a narrow phone, keyboard only, and axe."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from keylike.resources import WEB
from tests.browser.conftest import OpenTab
from tests.browser.samples import FIRST, SECOND
from tests.browser.server import Server
from tests.browser.tab import Tab
from tests.browser.test_history import turn_on
from tests.browser.test_refusals import NO_KEY, NO_PICTURE

AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
LANGUAGES = ("en", "es", "de", "fr")
SCHEMES = ("light", "dark")
WIDTHS = (320, 390, 1280)
# Sizes of the browser's text in pixels: usual, and twice as large (WCAG 1.4.4).
TEXT_SIZES = (16, 32)
# Windows that the tests check. `python -m tests.browser.audit` checks all combinations.
WINDOWS = ((320, 16), (320, 32))
# Texts that reach beyond the window or beyond an element that cuts them.
CUT_OFF = """() => {
  const name = each => `${each.tagName} ${each.id} ${each.className} "${each.textContent.trim().slice(0, 40)}"`
  const found = []
  for (const each of document.querySelectorAll("body *")) {
    const hasText = [...each.childNodes].some(node => node.nodeType === 3 && node.data.trim())
    const box = each.getBoundingClientRect()
    if (!hasText || !box.width || each.closest(".visually-hidden, .more, .skip, option, svg, .drop"))
      continue
    const head = each.closest("thead")
    if (head && getComputedStyle(head).clipPath !== "none") continue
    if (box.left < -1 || box.right > innerWidth + 1) found.push(`outside: ${name(each)}`)
    if (each.scrollWidth > each.clientWidth + 1 && each.clientWidth && each.tagName !== "PRE")
      found.push(`too wide: ${name(each)}`)
    for (let outer = each.parentElement; outer; outer = outer.parentElement) {
      const frame = outer.getBoundingClientRect()
      if (getComputedStyle(outer).overflowY === "hidden" &&
          (box.top < frame.top - 1 || box.bottom > frame.bottom + 1))
        found.push(`cut: ${name(each)}`)
    }
  }
  for (const each of document.querySelectorAll(".card > *, .sheet > *, form > *")) {
    const { right } = each.parentElement.getBoundingClientRect()
    const padding = parseFloat(getComputedStyle(each.parentElement).paddingRight)
    if (each.getBoundingClientRect().right > right - padding + 1)
      found.push(`wider than its card: ${name(each)}`)
  }
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page scrolls sideways")
  for (const each of document.querySelectorAll("dialog[open]"))
    if (each.scrollWidth > each.clientWidth) found.push("the dialog scrolls sideways")
  return found
}"""


class View:
    """A tab whose language, width, text size and colours change."""

    def __init__(self, tab: Tab) -> None:
        self._tab = tab
        self._page = tab.page
        self._page.evaluate(AXE)
        self._browser = tab.context.new_cdp_session(tab.page)

    def show(self, language: str) -> None:
        """Show the page in a language, also while a dialog covers the menu."""
        in_history = self._page.locator("#history[open]").count() > 0
        if in_history:
            self._page.click("#undo")
            expect(self._page.locator(".saved > li")).to_have_count(2)
            self._page.keyboard.press("Escape")
        self._page.evaluate(
            """name => {
              const menu = document.getElementById("language")
              menu.value = name
              menu.dispatchEvent(new Event("change"))
            }""",
            language,
        )
        self._page.wait_for_selector(f"html[lang={language}]", state="attached")
        if in_history:
            open_history(self._page)

    def resize(self, width: int, text: int) -> None:
        """Change the window's width and the browser's text size."""
        self._page.set_viewport_size({"width": width, "height": 844})
        self._browser.send(
            "Page.setFontSizes", {"fontSizes": {"standard": text, "fixed": text * 13 // 16}}
        )

    def cut_off(self) -> list[str]:
        """Return the texts that do not fit, and what scrolls sideways."""
        found: list[str] = self._page.evaluate(CUT_OFF)
        return found

    def violations(self, scheme: str) -> list[tuple[str, str, list[str]]]:
        """Return the violations that axe finds, with their elements."""
        self._page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        results: dict[str, Any] = self._page.evaluate("axe.run({ resultTypes: ['violations'] })")
        assert len(results["passes"]) > 15
        return [
            (each["id"], each["impact"], [node["html"] for node in each["nodes"]])
            for each in results["violations"]
        ]


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


def token(tab: Tab) -> None:
    """Open the dialog for the token."""
    tab.page.evaluate("location.hash = 'token=x'")
    tab.page.click("#open-token")


def edited(tab: Tab) -> None:
    """Correct a cut, with the menus of depths open for more."""
    tab.choose(FIRST.path)
    tab.page.click("#edit")
    tab.page.select_option("#depth-2", "1")


def history(tab: Tab) -> None:
    """Fill the history and open it."""
    turn_on(tab.page)
    tab.choose(FIRST.path)
    tab.choose(SECOND.path)
    open_history(tab.page)


def open_history(page: Page) -> None:
    """Show a history with one entry, and another that can be restored."""
    page.click("#open-history")
    page.click("[data-action=delete] >> nth=0")
    expect(page.locator("#undo")).to_be_focused()


STATES: dict[str, Callable[[Tab], object]] = {
    "start": lambda tab: None,
    "camera": camera,
    "busy": busy,
    "read": reading,
    "edited": edited,
    "refused": lambda tab: tab.choose(NO_KEY, "refused"),
    "wrong file": lambda tab: tab.choose(NO_PICTURE, "refused"),
    "history": history,
    "token": token,
}


@pytest.mark.parametrize("state", STATES)
def test_page_passes_axe_and_fits_in_every_language(
    open_tab: OpenTab, server: Server, state: str
) -> None:
    """Each state runs axe twice, with languages, schemes, widths and text sizes in turn.

    Motion is off, since fading elements have too little contrast for a moment.
    """
    tab = open_tab(server, "422", permissions=["camera"], reduced_motion="reduce").open()
    view = View(tab)
    STATES[state](tab)
    turn = list(STATES).index(state)
    for number, language in enumerate(LANGUAGES):
        view.show(language)
        for window in WINDOWS:
            view.resize(*window)
            assert view.cut_off() == [], (language, window)
        if number % 2 == turn % 2:
            view.resize(WIDTHS[(turn + number) % 3], TEXT_SIZES[turn // 2 % 2])
            assert view.violations(SCHEMES[number // 2]) == [], language


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
    for _ in range(10):
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
        "language",
        "use-camera",
        "file",
        "try-sample",
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
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#history")).to_be_visible()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "open-history"
    assert outlined(page)


def outlined(page: Page) -> bool:
    """Return True if the focused element has an outline."""
    shown: bool = page.evaluate("getComputedStyle(document.activeElement).outlineStyle === 'solid'")
    return shown


def test_page_is_small_and_loads_only_files_of_this_server(
    open_tab: OpenTab, server: Server
) -> None:
    """A first visit has at most 60 kB when compressed, and the whole page at most 150 kB."""
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
    assert sum(sizes) < 60_000
    whole = sum(len(gzip.compress(path.read_bytes())) for path in WEB.rglob("*") if path.is_file())
    assert whole < 150_000
