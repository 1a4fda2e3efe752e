"""The history: off by default, encrypted in storage, shown on demand, deleted for good."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenTab
from tests.browser.samples import FIRST, SECOND
from tests.browser.server import Server

_DATABASE = """const load = request =>
    new Promise(resolve => { request.onsuccess = () => resolve(request.result) })
  const text = bytes =>
    Array.from(new Uint8Array(bytes), byte => String.fromCharCode(byte)).join("")
  const database = await load(indexedDB.open("keylike"))"""
# All records, with bytes as text.
DUMP = f"""async () => {{
  {_DATABASE}
  const plain = ([name, value]) => [name, value.byteLength ? text(value) : value]
  const show = row => row instanceof CryptoKey
    ? [row.algorithm.name, row.algorithm.length, row.extractable]
    : Object.fromEntries(Object.entries(row).map(plain))
  const all = {{}}
  for (const store of database.objectStoreNames) {{
    const rows = await load(database.transaction(store).objectStore(store).getAll())
    all[store] = rows.map(show)
  }}
  database.close()
  return all
}}"""
EXPORT = f"""async () => {{
  {_DATABASE}
  const key = await load(database.transaction("keys").objectStore("keys").get("own"))
  database.close()
  return crypto.subtle.exportKey("raw", key).then(() => "exported", error => error.name)
}}"""


def turn_on(page: Page) -> None:
    """Turn the history on in its dialog."""
    page.click("#open-history")
    page.check("#keep-history")
    page.keyboard.press("Escape")


def codes(page: Page) -> list[str]:
    """Return the codes in the open dialog."""
    return page.locator(".saved code").all_text_contents()


def test_history_by_default_stores_nothing(open_tab: OpenTab, server: Server) -> None:
    page = open_tab(server).open().choose(FIRST.path).page
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    page.click("#open-history")
    expect(page.locator("#history")).to_contain_text("There are no readings.")
    expect(page.locator("#keep-history")).not_to_be_checked()
    assert page.evaluate(DUMP) == {"keys": [], "readings": []}


def test_history_stores_readings_encrypted_with_a_key_that_cannot_be_exported(
    open_tab: OpenTab, server: Server
) -> None:
    tab = open_tab(server).open()
    page = tab.page
    turn_on(page)
    tab.choose(FIRST.path)
    tab.choose(SECOND.path)
    page.click("#open-history")
    expect(page.locator(".saved > li")).to_have_count(2)
    assert codes(page) == [SECOND.bitting, FIRST.bitting]
    page.fill("input[aria-label^='Name of'] >> nth=1", "Front door")
    page.keyboard.press("Tab")
    expect(page.locator("#announcement")).to_have_text("Name saved")
    page.keyboard.press("Escape")
    page.reload()
    page.click("#open-history")
    expect(page.locator(".saved input").nth(1)).to_have_value("Front door")
    dump = page.evaluate(DUMP)
    assert dump["keys"] == [["AES-GCM", 256, False]]
    assert page.evaluate(EXPORT) == "InvalidAccessError"
    rows = dump["readings"]
    assert [sorted(row) for row in rows] == [["id", "iv", "sealed"]] * 2
    assert all(len(row["iv"]) == 12 and len(row["sealed"]) > 80 for row in rows)
    assert len({row["iv"] for row in rows}) == 2
    for plain in (FIRST.bitting, SECOND.bitting, "bitting", "SC1", "KW1", "Schlage", "Front door"):
        assert plain not in str(rows)


def test_history_deletes_one_reading_or_all_and_the_key(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server).open()
    page = tab.page
    turn_on(page)
    tab.choose(FIRST.path)
    tab.choose(SECOND.path)
    page.click("#open-history")
    page.click(".saved >> text=Delete >> nth=0")
    expect(page.locator(".saved > li")).to_have_count(1)
    assert codes(page) == [FIRST.bitting]
    page.click("#clear")
    expect(page.locator("#clear")).to_have_text("Delete all?")
    assert len(page.evaluate(DUMP)["readings"]) == 1
    page.click("#clear")
    expect(page.locator("#history")).to_contain_text("There are no readings.")
    assert page.evaluate(DUMP) == {"keys": [], "readings": []}


def test_history_turned_off_keeps_old_readings_and_stores_no_new_ones(
    open_tab: OpenTab, server: Server
) -> None:
    tab = open_tab(server).open()
    page = tab.page
    turn_on(page)
    tab.choose(FIRST.path)
    page.click("#open-history")
    page.uncheck("#keep-history")
    page.keyboard.press("Escape")
    tab.choose(SECOND.path)
    page.click("#open-history")
    expect(page.locator(".saved > li")).to_have_count(1)
    assert codes(page) == [FIRST.bitting]


def test_history_on_a_page_without_tls_explains_why_it_is_off(
    open_tab: OpenTab, server: Server
) -> None:
    tab = open_tab(server)
    tab.page.add_init_script(
        "Object.defineProperty(Crypto.prototype, 'subtle', { value: undefined })"
    )
    page = tab.open().choose(FIRST.path).page
    page.click("#open-history")
    expect(page.locator("#history .note")).to_contain_text("https")
    expect(page.locator("#keep-history")).to_have_count(0)
