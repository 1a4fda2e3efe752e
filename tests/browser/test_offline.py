"""The page offline and as an installed app. The service worker caches only its files."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import TOKEN, OpenTab
from tests.browser.samples import FIRST
from tests.browser.server import Server
from tests.browser.tab import Tab
from tests.browser.test_history import turn_on

CACHED_PATHS = """async () => {
  const all = []
  for (const name of await caches.keys())
    for (const request of await (await caches.open(name)).keys())
      all.push(new URL(request.url).pathname)
  return all.sort()
}"""


PICTURE_SIZE = """async address => {
  const picture = new Image()
  picture.src = address
  await picture.decode()
  return [picture.width, picture.height]
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
    tab.switch("fr")
    expect(page.locator("#unreachable")).to_contain_text("Le serveur est injoignable.")
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
        assert tab.page.evaluate(PICTURE_SIZE, f"/web/icons/{icon}.png") == [side, side]


@pytest.mark.parametrize("path", ["", "/keys"])
def test_shared_photo_is_read_and_never_stored(
    open_tab: OpenTab, browser: object, server: Server, tmp_path: Path, path: str
) -> None:
    """The form stands for the system's share sheet, which sends the same request."""
    started = Server(tmp_path, KEYLIKE_PREFIX=path) if path else server
    try:
        check_sharing(open_tab(started, service_workers="allow"), path)
    finally:
        if path:
            started.stop()


def check_sharing(tab: Tab, path: str) -> None:
    """Share a photo with the page under a path."""
    page, root = tab.page, f"{tab.address}{path}"
    tab.open(f"{path}/")
    tab.wait_for_worker()
    manifest = page.evaluate("fetch('web/manifest.webmanifest').then(answer => answer.json())")
    target = manifest["share_target"]
    action = urljoin(f"{root}/web/manifest.webmanifest", target["action"])
    assert action == f"{root}/share"
    assert (target["method"], target["enctype"]) == ("POST", "multipart/form-data")
    (field,) = target["params"]["files"]
    share(page, action, field["name"])
    page.wait_for_selector("main[data-state=read]")
    assert tab.code == FIRST.digits
    assert page.url == f"{root}/"
    cached = page.evaluate(CACHED_PATHS)
    assert [name for name in cached if not name.startswith(f"{path}/web/")] == [f"{path}/"]
    # The photo is handed over once.
    page.goto(f"{root}/?shared")
    expect(page.locator("#start-note")).to_contain_text("The shared photo did not arrive.")
    assert page.url == f"{root}/"


def share(page: Page, action: str, field: str) -> None:
    """Send a photo from a page without a security policy to the share target."""
    page.goto("about:blank")
    page.set_content(
        f'<form action="{action}" method="post" enctype="multipart/form-data">'
        f'<input type="file" name="{field}"></form>'
    )
    page.set_input_files("input", FIRST.path)
    page.evaluate("document.forms[0].submit()")


def test_manifest_screenshots_have_the_sizes_that_it_states(
    open_tab: OpenTab, server: Server
) -> None:
    page = open_tab(server).open().page
    manifest = page.evaluate("fetch('/web/manifest.webmanifest').then(answer => answer.json())")
    forms = set()
    for shot in manifest["screenshots"]:
        size = page.evaluate(PICTURE_SIZE, f"/web/{shot['src']}")
        assert shot["sizes"] == "x".join(map(str, size))
        # Chromium ignores others.
        assert min(size) >= 320 and max(size) <= 3840 and max(size) <= 2.3 * min(size)
        forms.add(shot["form_factor"])
    assert forms == {"narrow", "wide"}
