"""A photo in by every way, the reading out: drawn over the photo, told in words, handed on."""

from __future__ import annotations

import base64
import io
import json

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import Visiting
from tests.browser.samples import FIRST, SECOND
from tests.browser.server import ROOT, Server

BOARD = ["clipboard-read", "clipboard-write"]
INTO_PAGE = """([data, type]) => {
  const carried = new DataTransfer()
  carried.items.add(new File([Uint8Array.from(atob(data), letter => letter.charCodeAt(0))], "key", { type }))
  return carried
}"""
ONTO_BOARD = """async data => {
  const blob = new Blob([Uint8Array.from(atob(data), letter => letter.charCodeAt(0))], { type: "image/png" })
  await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })])
}"""
# What the browser tells of a request leaves out files.
KEEP_SENT = """const send = XMLHttpRequest.prototype.send
XMLHttpRequest.prototype.send = function (form) { window.sent = form; send.call(this, form) }"""
READ_SENT = """() => new Promise(resolve => {
  const reader = new FileReader()
  reader.onload = () => resolve(reader.result.split(",")[1])
  reader.readAsDataURL(window.sent.get("image"))
})"""
KEEP_WORDS = """window.words = []
addEventListener("DOMContentLoaded", () => {
  const work = document.getElementById("work-text")
  new MutationObserver(() => window.words.push(work.textContent)).observe(work, { childList: true })
})"""


def base64_of(data: bytes) -> str:
    """As a page takes it."""
    return base64.b64encode(data).decode()


def test_chosen_photo_is_read_and_told(visiting: Visiting, server: Server) -> None:
    visit = visiting(server).open().choose(FIRST.path)
    page = visit.page
    assert (visit.code, visit.title.split()[:2]) == (FIRST.digits, ["Schlage", FIRST.keyway])
    answer = json.loads(page.locator(".card pre").text_content() or "")
    rows = page.locator("#cuts tbody tr").all_inner_texts()
    assert [row.split()[:2] for row in rows] == [
        [str(i), digit] for i, digit in enumerate(FIRST.digits, 1)
    ]
    bars = page.locator("#cuts .bar").evaluate_all(
        "bars => bars.map(bar => Number(bar.style.getPropertyValue('--part')))"
    )
    assert bars == [cut["probability"] for cut in answer["cuts"]]
    others = page.locator(".others code").all_inner_texts()
    assert others == [other["bitting"] for other in answer["alternatives"]]
    told = page.inner_text("#outcome")
    for sentence in (
        answer["assessment"]["keyed_alike"]["sentence"],
        *answer["assessment"]["recommendations"],
        "Source: counted from",
    ):
        assert sentence in told
    expect(page.locator("#say")).to_have_text(
        f"Read: {FIRST.keyway}, code {FIRST.bitting}, 91 % sure"
    )
    assert page.evaluate("document.activeElement.id") == "outcome"


def test_reading_is_drawn_where_the_server_says_it_lies(visiting: Visiting, server: Server) -> None:
    page = visiting(server).open().choose(FIRST.path).page
    geometry = json.loads(page.locator(".card pre").text_content() or "")["geometry"]
    close, whole = page.locator("svg.drawn").nth(0), page.locator("svg.drawn").nth(1)
    expect(close).to_be_visible()
    page.click("[data-view=whole]")
    expect(close).to_be_hidden()
    assert whole.get_attribute("viewBox") == "0 0 1024 768"
    lines = whole.locator("line.cut").evaluate_all(
        "all => all.map(line => ['x1', 'y1', 'x2', 'y2'].map(name => Number(line.getAttribute(name))))"
    )
    assert lines == [pytest.approx([*cut["root"], *cut["foot"]]) for cut in geometry["cuts"]]
    path = whole.locator("path.outline").get_attribute("d") or ""
    assert path.count("L") == len(geometry["outline"]) - 1
    for view in (close, whole):
        assert view.locator(".depth").all_text_contents() == FIRST.digits
        assert view.locator(".number").all_text_contents() == ["1", "2", "3", "4", "5"]
        label = view.get_attribute("aria-label") or ""
        assert all(f"cut {i} depth {digit}" in label for i, digit in enumerate(FIRST.digits, 1))


def test_close_up_lays_the_blade_level_with_the_tip_to_the_right(
    visiting: Visiting, server: Server
) -> None:
    page = visiting(server).open().choose(FIRST.path).page
    places = (
        page.locator("svg.drawn >> nth=0")
        .locator("line.cut")
        .evaluate_all("all => all.map(line => [line.x2.baseVal.value, line.y2.baseVal.value])")
    )
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert max(y for _, y in places) - min(y for _, y in places) < 3
    box = page.locator("svg.drawn >> nth=0").bounding_box()
    assert box
    for mark in page.locator("svg.drawn >> nth=0").locator(".badge").all():
        badge = mark.bounding_box()
        assert (
            badge
            and badge["x"] > box["x"]
            and badge["y"] > box["y"]
            and badge["y"] + badge["height"] < box["y"] + box["height"]
        )


def test_pointing_at_a_cut_lights_it_up_on_the_photo(visiting: Visiting, server: Server) -> None:
    page = visiting(server).open().choose(FIRST.path).page
    page.locator("#cuts tbody tr").nth(2).hover()
    assert page.locator("svg.drawn >> nth=0").locator(".lit").evaluate_all(
        "all => all.map(mark => mark.dataset.cut)"
    ) == ["3"]
    page.hover(".brand")
    expect(page.locator("svg.drawn .lit")).to_have_count(0)


def test_dropped_photo(visiting: Visiting, server: Server) -> None:
    visit = visiting(server).open()
    carried = visit.page.evaluate_handle(
        INTO_PAGE, [base64_of(SECOND.path.read_bytes()), "image/jpeg"]
    )
    visit.page.dispatch_event("body", "dragenter", {"dataTransfer": carried})
    expect(visit.page.locator(".drop")).to_be_visible()
    visit.page.dispatch_event("main", "drop", {"dataTransfer": carried})
    visit.page.wait_for_selector("main[data-state=read]")
    assert visit.code == SECOND.digits
    expect(visit.page.locator(".drop")).to_be_hidden()


def test_pasted_photo(visiting: Visiting, server: Server) -> None:
    visit = visiting(server, permissions=BOARD).open()
    picture = io.BytesIO()
    Image.open(SECOND.path).save(picture, "PNG")
    visit.page.evaluate(ONTO_BOARD, base64_of(picture.getvalue()))
    visit.page.keyboard.press("Control+V")
    visit.page.wait_for_selector("main[data-state=read]")
    assert visit.code == SECOND.digits


def test_small_photo_is_sent_as_it_is(visiting: Visiting, server: Server) -> None:
    visit = visiting(server)
    visit.page.add_init_script(KEEP_SENT)
    visit.open().choose(FIRST.path)
    assert base64.b64decode(visit.page.evaluate(READ_SENT)) == FIRST.path.read_bytes()


def test_large_photo_is_made_smaller_and_upright_and_loses_what_the_camera_wrote(
    visiting: Visiting, server: Server
) -> None:
    """A phone stores the picture lying on its side, with the turn and the place in its EXIF data."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera"
    large = (
        Image.open(FIRST.path)
        .resize((3072, 2304), Image.Resampling.LANCZOS)
        .transpose(Image.Transpose.ROTATE_90)
    )
    picture = io.BytesIO()
    large.save(picture, "JPEG", quality=92, exif=exif)
    visit = visiting(server)
    visit.page.add_init_script(KEEP_SENT)
    visit.open().choose(
        {"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": picture.getvalue()}
    )
    sent = Image.open(io.BytesIO(base64.b64decode(visit.page.evaluate(READ_SENT))))
    assert (sent.format, sent.size, dict(sent.getexif())) == ("JPEG", (2048, 1536), {})
    assert visit.code == FIRST.digits
    assert visit.page.locator("svg.drawn").nth(1).get_attribute("viewBox") == "0 0 2048 1536"


def test_what_the_browser_cannot_open_is_left_to_the_server(
    visiting: Visiting, server: Server
) -> None:
    heic = ROOT / "tests" / "data" / "plain.heic"
    visit = visiting(server, "422")
    visit.page.add_init_script(KEEP_SENT)
    visit.open().choose(heic, "refused")
    assert base64.b64decode(visit.page.evaluate(READ_SENT)) == heic.read_bytes()
    expect(visit.page.locator("#seen img")).to_have_count(0)


def test_copied_and_shared(visiting: Visiting, server: Server) -> None:
    page = visiting(server, permissions=BOARD).open().choose(FIRST.path).page
    board = "navigator.clipboard.readText()"
    page.click("#copy")
    expect(page.locator("#copy")).to_have_text("Copied")
    assert page.evaluate(board) == FIRST.bitting
    # Chromium on Linux shares with nothing, so the clipboard takes its place.
    page.click("#share")
    expect(page.locator("#share")).to_have_text("Copied")
    assert page.evaluate(board) == f"Schlage {FIRST.keyway}: {FIRST.bitting}"
    assert "enough to cut the key" in page.inner_text("#outcome .care")


def test_shared_by_the_phones_own_means(visiting: Visiting, server: Server) -> None:
    visit = visiting(server)
    visit.page.add_init_script("navigator.share = async data => { window.shared = data }")
    page = visit.open().choose(FIRST.path).page
    page.click("#share")
    assert page.evaluate("window.shared.text") == f"Schlage {FIRST.keyway}: {FIRST.bitting}"
    assert page.evaluate("'url' in window.shared") is False


def test_work_is_told_step_by_step(visiting: Visiting, server: Server) -> None:
    visit = visiting(server)
    visit.page.add_init_script(KEEP_WORDS)
    visit.open().choose(FIRST.path)
    words = list(dict.fromkeys(visit.page.evaluate("window.words")))
    assert (words[:2], words[-1]) == (
        ["Preparing the photo", "Sending the photo"],
        "Reading the key",
    )


def test_work_can_be_cancelled(visiting: Visiting, server: Server) -> None:
    visit = visiting(server).open()
    page = visit.page
    page.route("**/predict", lambda route: None)
    page.set_input_files("#file", FIRST.path)
    expect(page.locator("#work-text")).to_have_text("Sending the photo")
    assert page.evaluate("document.activeElement.id") == "cancel"
    with page.expect_event("requestfailed") as gone:
        page.click("#cancel")
    assert gone.value.failure == "net::ERR_ABORTED"
    expect(page.locator("#use-camera")).to_be_visible()
    expect(page.locator("#outcome")).to_be_empty()


def test_the_next_photo_takes_the_place_of_the_one_at_work(
    visiting: Visiting, server: Server
) -> None:
    visit = visiting(server).open()
    page = visit.page
    page.route("**/predict", lambda route: None, times=1)
    page.set_input_files("#file", FIRST.path)
    expect(page.locator("#work-text")).to_have_text("Sending the photo")
    visit.choose(SECOND.path)
    assert visit.code == SECOND.digits
