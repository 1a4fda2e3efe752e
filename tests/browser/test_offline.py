"""The page offline and as an installed app. The service worker caches only its files."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import TOKEN, OpenTab
from tests.browser.samples import FIRST
from tests.browser.server import Server
from tests.browser.test_history import turn_on

CACHED_PATHS = """async () => {
  const all = []
  for (const name of await caches.keys())
    for (const request of await (await caches.open(name)).keys())
      all.push(new URL(request.url).pathname)
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
    for (const request of await cache.keys()) {
      const response = await cache.match(request, { ignoreVary: true })
      text += await response.text()
    }
  }
  return text
}"""


def test_page_opens_offline_and_reconnects(open_tab: OpenTab, restartable: Server) -> None:
    tab = open_tab(restartable, "net::ERR_CONNECTION_REFUSED", service_workers="allow").open()
    page = tab.page
    tab.wait_for_worker()
    turn_on(page)
    tab.choose(FIRST.path)
    restartable.stop()
    tab.open(server="unreachable")
    expect(page.locator("#unreachable")).to_contain_text(
        "Reading a photo needs the server. This page and your history work offline."
    )
    page.click("#open-history")
    expect(page.locator(".saved code")).to_have_text(FIRST.bitting)
    page.keyboard.press("Escape")
    restartable.start()
    page.click("#check-again")
    expect(page.locator("#unreachable")).to_be_hidden()
    assert tab.choose(FIRST.path).code == FIRST.digits


def test_service_worker_caches_files_but_no_readings_photos_or_tokens(
    open_tab: OpenTab, guarded: Server
) -> None:
    tab = open_tab(guarded, service_workers="allow").open(f"/#token={TOKEN}")
    page = tab.page
    tab.wait_for_worker()
    tab.choose(FIRST.path)
    page.reload()
    tab.choose(FIRST.path)
    cached = page.evaluate(CACHED_PATHS)
    assert "/" in cached and "/web/page.js" in cached
    assert [path for path in cached if path != "/" and not path.startswith("/web/")] == []
    bodies = page.evaluate(BODIES)
    assert len(bodies) > 50_000
    assert TOKEN not in bodies and FIRST.bitting not in bodies


def test_page_can_be_installed(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server, service_workers="allow").open()
    tab.wait_for_worker()
    browser = tab.context.new_cdp_session(tab.page)
    manifest = browser.send("Page.getAppManifest")
    assert (manifest["url"], manifest["errors"]) == (
        f"{server.address}/web/manifest.webmanifest",
        [],
    )
    # Playwright uses incognito tabs, which can never install a page.
    errors = {
        error["errorId"]
        for error in browser.send("Page.getInstallabilityErrors")["installabilityErrors"]
    }
    assert errors <= {"in-incognito"}
    for icon in ("icon-180", "icon-192", "icon-512", "maskable-512"):
        side = int(icon.rpartition("-")[2])
        assert tab.page.evaluate(SIZE, icon) == [side, side]
