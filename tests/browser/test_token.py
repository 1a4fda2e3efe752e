"""The token: out of the QR code's address and out of sight, sent as a header, asked for where it is missing, kept and forgotten."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import TOKEN, Visiting
from tests.browser.samples import FIRST
from tests.browser.server import Server
from tests.browser.visit import Visit

KEPT = "['sessionStorage', 'localStorage'].map(store => window[store].getItem('keylike.token'))"


def ask(visit: Visit) -> None:
    """Sends a photo that the server wants a token for, and opens the dialog."""
    visit.choose(FIRST.path, "refused")
    assert visit.title == "This server asks for a token"
    visit.page.click("#outcome button.main")
    expect(visit.page.locator("#token")).to_be_visible()


def test_token_of_the_qr_code_is_sent_and_leaves_no_trace(
    visiting: Visiting, guarded: Server
) -> None:
    visit = visiting(guarded).open(f"/#token={TOKEN}")
    page = visit.page
    assert page.url == f"{guarded.address}/"
    assert page.evaluate("[location.hash, history.length]") == ["", 2]
    assert visit.choose(FIRST.path).code == FIRST.digits
    for path in ("/predict", "/health"):
        assert visit.sent(path)[0].headers["x-api-key"] == TOKEN
    assert [request.url for request in visit.requests if TOKEN in request.url] == []
    assert [
        request.url for request in visit.requests if TOKEN in request.headers.get("referer", "")
    ] == []
    assert page.evaluate(KEPT) == [TOKEN, None]
    assert TOKEN not in page.content()


def test_token_is_gone_with_the_tab(visiting: Visiting, guarded: Server) -> None:
    visit = visiting(guarded).open(f"/#token={TOKEN}")
    later = visit.context.new_page()
    later.goto(guarded.address)
    assert later.evaluate(KEPT) == [None, None]


def test_qr_code_that_is_scanned_again_while_the_page_is_open(
    visiting: Visiting, guarded: Server
) -> None:
    visit = visiting(guarded, "401").open()
    visit.page.evaluate(f"location.hash = 'token={TOKEN}'")
    expect(visit.page).to_have_url(f"{guarded.address}/")
    assert visit.choose(FIRST.path).code == FIRST.digits


def test_without_a_token_it_is_asked_for_and_the_same_photo_then_sent(
    visiting: Visiting, guarded: Server
) -> None:
    visit = visiting(guarded, "401").open()
    page = visit.page
    expect(page.locator("#server")).to_have_text("Readywith a token")
    ask(visit)
    assert page.get_attribute("#token-value", "type") == "password"
    page.fill("#token-value", f" {TOKEN} ")
    page.keyboard.press("Enter")
    page.wait_for_selector("main[data-state=read]")
    assert visit.code == FIRST.digits
    assert page.evaluate(KEPT) == [TOKEN, None]


def test_wrong_token_is_asked_for_again(visiting: Visiting, guarded: Server) -> None:
    visit = visiting(guarded, "401").open("/#token=not-the-token-of-this-server")
    ask(visit)


def test_token_is_kept_for_longer_only_if_told_so_and_forgotten_on_demand(
    visiting: Visiting, guarded: Server
) -> None:
    visit = visiting(guarded, "401").open()
    page = visit.page
    ask(visit)
    page.fill("#token-value", TOKEN)
    page.check("#token-keep")
    page.click("text=Use this token")
    page.wait_for_selector("main[data-state=read]")
    assert page.evaluate(KEPT) == [None, TOKEN]
    page.reload()
    assert visit.choose(FIRST.path).code == FIRST.digits
    page.click("#open-token")
    page.click("#token-forget")
    assert page.evaluate(KEPT) == [None, None]
    page.keyboard.press("Escape")
    assert page.evaluate(KEPT) == [None, None]


def test_closing_the_dialog_uses_nothing(visiting: Visiting, guarded: Server) -> None:
    visit = visiting(guarded, "401").open()
    visit.page.click("#open-token")
    visit.page.fill("#token-value", TOKEN)
    visit.page.click("#token >> text=Close")
    assert visit.page.evaluate(KEPT) == [None, None]
