"""The history: off by default, encrypted in storage, shown on demand, deleted for good."""

from __future__ import annotations

import csv
import io
import re

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
    page.keyboard.press("Escape")
    page.click("#open-history")
    expect(page.locator("#undo")).to_have_count(0)


def test_history_restores_deleted_readings_until_the_dialog_is_closed(
    open_tab: OpenTab, server: Server
) -> None:
    tab = open_tab(server).open()
    page = tab.page
    turn_on(page)
    tab.choose(FIRST.path)
    tab.choose(SECOND.path)
    page.click("#open-history")
    page.fill(".saved input >> nth=0", "Shed")
    page.click("[data-action=delete] >> nth=0")
    expect(page.locator("#undo")).to_be_focused()
    expect(page.locator(".undo")).to_contain_text("1 reading deleted.")
    page.click("#undo")
    expect(page.locator(".saved > li")).to_have_count(2)
    assert codes(page) == [SECOND.bitting, FIRST.bitting]
    expect(page.locator(".saved input").nth(0)).to_have_value("Shed")
    page.click("#clear")
    page.click("#clear")
    expect(page.locator(".undo")).to_contain_text("2 readings deleted.")
    assert page.evaluate(DUMP)["readings"] == []
    page.click("#undo")
    expect(page.locator(".saved > li")).to_have_count(2)
    assert codes(page) == [SECOND.bitting, FIRST.bitting]
    assert len(page.evaluate(DUMP)["readings"]) == 2


def test_history_entry_is_opened_with_its_drawing_but_without_the_photo(
    open_tab: OpenTab, server: Server
) -> None:
    tab = open_tab(server).open()
    page = tab.page
    turn_on(page)
    tab.choose(FIRST.path)
    probabilities = page.locator("#cuts td:last-child").all_inner_texts()
    page.click("text=Read another")
    page.click("#open-history")
    page.click("[data-action=open]")
    expect(page.locator("#history")).to_be_hidden()
    page.wait_for_selector("main[data-state=read]")
    assert tab.code == FIRST.digits
    assert page.locator("#cuts td:last-child").all_inner_texts() == probabilities
    expect(page.locator(".no-picture")).to_contain_text("Photos are not stored.")
    expect(page.locator("svg.drawn image")).to_have_count(0)
    assert page.locator("svg.drawn >> nth=0 >> .depth").all_text_contents() == FIRST.digits
    assert len(tab.sent("/predict")) == 1


def test_history_entry_is_copied(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server, permissions=["clipboard-read", "clipboard-write"]).open()
    page = tab.page
    turn_on(page)
    tab.choose(FIRST.path)
    page.click("#open-history")
    page.click("[data-action=copy]")
    expect(page.locator("[data-action=copy]")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == FIRST.bitting


def test_history_is_exported_as_csv_without_formulas(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server).open()
    page = tab.page
    turn_on(page)
    tab.choose(FIRST.path)
    page.click("#edit")
    page.select_option("#depth-1", "4")
    tab.choose(SECOND.path)
    expect(page.locator("#outcome-title")).to_contain_text("KW1")
    page.click("#open-history")
    page.fill(".saved input >> nth=0", '=1+1, the "shed"')
    page.locator(".saved input >> nth=0").blur()
    expect(page.locator("#announcement")).to_have_text("Name saved")
    with page.expect_download() as download:
        page.click("#export")
    assert download.value.suggested_filename == "keylike.csv"
    data = download.value.path().read_bytes()
    assert data.startswith(
        b"\xef\xbb\xbfdate,name,brand,keyway,bitting,edited,confidence,model\r\n"
    )
    second, first = csv.DictReader(io.StringIO(data.decode("utf-8-sig")))
    assert (second["bitting"], second["edited"], second["keyway"]) == (SECOND.bitting, "no", "KW1")
    assert second["name"] == '\'=1+1, the "shed"'
    assert 0.5 < float(second["confidence"]) <= 1
    assert (first["bitting"], first["edited"], first["confidence"]) == ("4,0,6,8,3", "yes", "")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["date"])


def test_history_entry_of_an_earlier_version_has_no_details_to_open(
    open_tab: OpenTab, server: Server
) -> None:
    page = open_tab(server).open().page
    page.evaluate(
        """async () => {
          const { put } = await import("/web/parts/encrypted-store.js")
          const reading = { keyway: "SC1", brand: "Schlage", bitting: "1,2,3,4,5", confidence: 0.9 }
          await put({ ...reading, model_used: "caliper", timestamp: 1, name: "Old" })
        }"""
    )
    page.click("#open-history")
    expect(page.locator(".saved code")).to_have_text("1,2,3,4,5")
    expect(page.locator("[data-action=open]")).to_have_count(0)
    expect(page.locator("[data-action=copy]")).to_have_count(1)


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
