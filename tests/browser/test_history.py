"""The history: off by default, encrypted where it lies, shown to its owner, deleted for good."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visiting
from tests.browser.samples import FIRST, SECOND
from tests.browser.server import Server

_DATABASE = """const ask = request => new Promise(resolve => { request.onsuccess = () => resolve(request.result) })
  const text = bytes => Array.from(new Uint8Array(bytes), byte => String.fromCharCode(byte)).join("")
  const database = await ask(indexedDB.open("keylike"))"""
# Everything in it, bytes as text.
DUMP = f"""async () => {{
  {_DATABASE}
  const all = {{}}, plain = ([name, value]) => [name, value.byteLength ? text(value) : value]
  for (const store of database.objectStoreNames)
    all[store] = (await ask(database.transaction(store).objectStore(store).getAll())).map(row => row instanceof CryptoKey
      ? [row.algorithm.name, row.algorithm.length, row.extractable] : Object.fromEntries(Object.entries(row).map(plain)))
  database.close()
  return all
}}"""
EXPORT = f"""async () => {{
  {_DATABASE}
  const key = await ask(database.transaction("keys").objectStore("keys").get("own"))
  database.close()
  return crypto.subtle.exportKey("raw", key).then(() => "exported", error => error.name)
}}"""


def turn_on(page: Page) -> None:
    """Ticks the box in the dialog."""
    page.click("#open-history")
    page.check("#keep-history")
    page.keyboard.press("Escape")


def codes(page: Page) -> list[str]:
    """What the open dialog lists."""
    return page.locator(".kept code").all_text_contents()


def test_nothing_is_kept_unless_it_is_turned_on(visiting: Visiting, server: Server) -> None:
    page = visiting(server).open().choose(FIRST.path).page
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    page.click("#open-history")
    expect(page.locator("#history")).to_contain_text("Nothing is kept.")
    expect(page.locator("#keep-history")).not_to_be_checked()
    assert page.evaluate(DUMP) == {"keys": [], "readings": []}


def test_what_is_kept_is_encrypted_with_a_key_that_cannot_be_taken_out(
    visiting: Visiting, server: Server
) -> None:
    visit = visiting(server).open()
    page = visit.page
    turn_on(page)
    visit.choose(FIRST.path)
    visit.choose(SECOND.path)
    page.click("#open-history")
    expect(page.locator(".kept > li")).to_have_count(2)
    assert codes(page) == [SECOND.bitting, FIRST.bitting]
    page.fill("input[aria-label^='Name of'] >> nth=1", "Front door")
    page.keyboard.press("Tab")
    expect(page.locator("#say")).to_have_text("Named")
    page.keyboard.press("Escape")
    page.reload()
    page.click("#open-history")
    expect(page.locator(".kept input").nth(1)).to_have_value("Front door")
    dump = page.evaluate(DUMP)
    assert dump["keys"] == [["AES-GCM", 256, False]]
    assert page.evaluate(EXPORT) == "InvalidAccessError"
    rows = dump["readings"]
    assert [sorted(row) for row in rows] == [["id", "iv", "sealed"]] * 2
    assert all(len(row["iv"]) == 12 and len(row["sealed"]) > 80 for row in rows)
    assert len({row["iv"] for row in rows}) == 2
    for plain in (FIRST.bitting, SECOND.bitting, "bitting", "SC1", "KW1", "Schlage", "Front door"):
        assert plain not in str(rows)


def test_one_is_deleted_then_all_and_the_key_with_them(visiting: Visiting, server: Server) -> None:
    visit = visiting(server).open()
    page = visit.page
    turn_on(page)
    visit.choose(FIRST.path)
    visit.choose(SECOND.path)
    page.click("#open-history")
    page.click(".kept >> text=Delete >> nth=0")
    expect(page.locator(".kept > li")).to_have_count(1)
    assert codes(page) == [FIRST.bitting]
    page.click("#clear")
    expect(page.locator("#clear")).to_have_text("Really delete all?")
    assert len(page.evaluate(DUMP)["readings"]) == 1
    page.click("#clear")
    expect(page.locator("#history")).to_contain_text("Nothing is kept.")
    assert page.evaluate(DUMP) == {"keys": [], "readings": []}


def test_turned_off_it_keeps_no_more_and_leaves_what_there_is(
    visiting: Visiting, server: Server
) -> None:
    visit = visiting(server).open()
    page = visit.page
    turn_on(page)
    visit.choose(FIRST.path)
    page.click("#open-history")
    page.uncheck("#keep-history")
    page.keyboard.press("Escape")
    visit.choose(SECOND.path)
    page.click("#open-history")
    expect(page.locator(".kept > li")).to_have_count(1)
    assert codes(page) == [FIRST.bitting]


def test_page_without_tls_says_why_it_keeps_nothing(visiting: Visiting, server: Server) -> None:
    visit = visiting(server)
    visit.page.add_init_script(
        "Object.defineProperty(Crypto.prototype, 'subtle', { value: undefined })"
    )
    page = visit.open().choose(FIRST.path).page
    page.click("#open-history")
    expect(page.locator("#history .note")).to_contain_text("https")
    expect(page.locator("#keep-history")).to_have_count(0)
