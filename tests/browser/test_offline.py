"""Installed and without the server: the page opens, says what needs the server, and has kept nothing but its own files."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import TOKEN, Visiting
from tests.browser.samples import FIRST
from tests.browser.server import Server
from tests.browser.test_history import turn_on

KEPT = """async () => {
  const all = []
  for (const name of await caches.keys())
    for (const request of await (await caches.open(name)).keys()) all.push(new URL(request.url).pathname)
  return all.sort()
}"""


SIZE = """async name => {
  const icon = new Image()
  icon.src = `/web/icons/${name}.png`
  await icon.decode()
  return [icon.width, icon.height]
}"""
BODIES = """async () => {
  let text = ""
  for (const name of await caches.keys()) {
    const cache = await caches.open(name)
    for (const request of await cache.keys()) text += await (await cache.match(request, { ignoreVary: true })).text()
  }
  return text
}"""


def test_page_opens_without_the_server_and_finds_it_again(
    visiting: Visiting, mortal: Server
) -> None:
    visit = visiting(mortal, "net::ERR_CONNECTION_REFUSED", service_workers="allow").open()
    page = visit.page
    visit.wait_for_worker()
    turn_on(page)
    visit.choose(FIRST.path)
    mortal.stop()
    visit.open(server="away")
    expect(page.locator("#away")).to_contain_text(
        "Reading a photo needs it. This page and your history work without it."
    )
    page.click("#open-history")
    expect(page.locator(".kept code")).to_have_text(FIRST.bitting)
    page.keyboard.press("Escape")
    mortal.start()
    page.click("#ask-again")
    expect(page.locator("#away")).to_be_hidden()
    assert visit.choose(FIRST.path).code == FIRST.digits


def test_worker_keeps_the_pages_files_and_neither_answers_nor_photos_nor_tokens(
    visiting: Visiting, guarded: Server
) -> None:
    visit = visiting(guarded, service_workers="allow").open(f"/#token={TOKEN}")
    page = visit.page
    visit.wait_for_worker()
    visit.choose(FIRST.path)
    page.reload()
    visit.choose(FIRST.path)
    kept = page.evaluate(KEPT)
    assert "/" in kept and "/web/page.js" in kept
    assert [path for path in kept if path != "/" and not path.startswith("/web/")] == []
    bodies = page.evaluate(BODIES)
    assert len(bodies) > 50_000
    assert TOKEN not in bodies and FIRST.bitting not in bodies


def test_page_can_be_installed(visiting: Visiting, server: Server) -> None:
    visit = visiting(server, service_workers="allow").open()
    visit.wait_for_worker()
    browser = visit.context.new_cdp_session(visit.page)
    manifest = browser.send("Page.getAppManifest")
    assert (manifest["url"], manifest["errors"]) == (
        f"{server.address}/web/manifest.webmanifest",
        [],
    )
    # Playwright's tabs are incognito ones, which install nothing whatever the page is like.
    errors = {
        error["errorId"]
        for error in browser.send("Page.getInstallabilityErrors")["installabilityErrors"]
    }
    assert errors <= {"in-incognito"}
    for icon in ("icon-180", "icon-192", "icon-512", "maskable-512"):
        side = int(icon.rpartition("-")[2])
        assert visit.page.evaluate(SIZE, icon) == [side, side]
