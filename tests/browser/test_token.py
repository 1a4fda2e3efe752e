"""The token: taken from the QR code's address, sent as a header, requested, stored, removed."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import TOKEN, OpenTab
from tests.browser.samples import FIRST
from tests.browser.server import Server
from tests.browser.tab import Tab

STORED = "['sessionStorage', 'localStorage'].map(store => window[store].getItem('keylike.token'))"


def open_token_dialog(tab: Tab) -> None:
    """Send a photo without a valid token, and open the dialog."""
    tab.choose(FIRST.path, "refused")
    assert tab.title == "This server requires a token"
    tab.page.click("#outcome button.main")
    expect(tab.page.locator("#token")).to_be_visible()


def test_token_in_the_address_is_sent_and_removed_from_the_address(
    open_tab: OpenTab, guarded: Server
) -> None:
    tab = open_tab(guarded).open(f"/#token={TOKEN}")
    page = tab.page
    assert page.url == f"{guarded.address}/"
    assert page.evaluate("[location.hash, history.length]") == ["", 2]
    assert tab.choose(FIRST.path).code == FIRST.digits
    for path in ("/predict", "/health"):
        assert tab.sent(path)[0].headers["x-api-key"] == TOKEN
    assert [request.url for request in tab.requests if TOKEN in request.url] == []
    assert [
        request.url for request in tab.requests if TOKEN in request.headers.get("referer", "")
    ] == []
    assert page.evaluate(STORED) == [TOKEN, None]
    assert TOKEN not in page.content()


def test_token_is_removed_with_the_tab(open_tab: OpenTab, guarded: Server) -> None:
    tab = open_tab(guarded).open(f"/#token={TOKEN}")
    later = tab.context.new_page()
    later.goto(guarded.address)
    assert later.evaluate(STORED) == [None, None]


def test_token_in_the_address_of_an_open_page_is_taken(open_tab: OpenTab, guarded: Server) -> None:
    tab = open_tab(guarded, "401").open()
    tab.page.evaluate(f"location.hash = 'token={TOKEN}'")
    expect(tab.page).to_have_url(f"{guarded.address}/")
    assert tab.choose(FIRST.path).code == FIRST.digits


def test_missing_token_is_requested_and_the_same_photo_is_sent(
    open_tab: OpenTab, guarded: Server
) -> None:
    tab = open_tab(guarded, "401").open()
    page = tab.page
    expect(page.locator("#server")).to_have_text("Readywith a token")
    open_token_dialog(tab)
    assert page.get_attribute("#token-value", "type") == "password"
    page.fill("#token-value", f" {TOKEN} ")
    page.keyboard.press("Enter")
    page.wait_for_selector("main[data-state=read]")
    assert tab.code == FIRST.digits
    assert page.evaluate(STORED) == [TOKEN, None]


def test_wrong_token_is_requested_again(open_tab: OpenTab, guarded: Server) -> None:
    tab = open_tab(guarded, "401").open("/#token=not-the-token-of-this-server")
    open_token_dialog(tab)


def test_token_is_stored_for_longer_only_on_request_and_can_be_removed(
    open_tab: OpenTab, guarded: Server
) -> None:
    tab = open_tab(guarded, "401").open()
    page = tab.page
    open_token_dialog(tab)
    page.fill("#token-value", TOKEN)
    page.check("#token-keep")
    page.click("text=Use this token")
    page.wait_for_selector("main[data-state=read]")
    assert page.evaluate(STORED) == [None, TOKEN]
    page.reload()
    assert tab.choose(FIRST.path).code == FIRST.digits
    page.click("#open-token")
    page.click("#token-remove")
    assert page.evaluate(STORED) == [None, None]
    page.keyboard.press("Escape")
    assert page.evaluate(STORED) == [None, None]


def test_token_is_not_stored_when_the_dialog_is_closed(open_tab: OpenTab, guarded: Server) -> None:
    tab = open_tab(guarded, "401").open()
    tab.page.click("#open-token")
    tab.page.fill("#token-value", TOKEN)
    tab.page.click("#token >> text=Close")
    assert tab.page.evaluate(STORED) == [None, None]


def test_token_button_is_shown_only_if_a_token_is_needed(
    open_tab: OpenTab, server: Server, guarded: Server
) -> None:
    expect(open_tab(guarded, "401").open().page.locator("#open-token")).to_be_visible()
    tab = open_tab(server, "401").open()
    expect(tab.page.locator("#open-token")).to_be_hidden()
    # A server may show its health to all and still require a token for photos.
    refusal = '{"success": false, "code": "unauthorized", "error": "No."}'
    tab.page.route("**/predict", lambda route: route.fulfill(status=401, body=refusal))
    tab.choose(FIRST.path, "refused")
    expect(tab.page.locator("#open-token")).to_be_visible()
