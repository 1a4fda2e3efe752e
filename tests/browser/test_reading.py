"""Readings: every way to choose a photo, the drawing, the text, copying and sharing."""

from __future__ import annotations

import base64
import io
import itertools
import json
import math

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import OpenTab
from tests.browser.samples import FIRST, SECOND, sample
from tests.browser.server import ROOT, Server
from tests.browser.test_history import turn_on

# The photo that the page offers to try.
SAMPLE = sample("sc1_04.jpg")
CLIPBOARD = ["clipboard-read", "clipboard-write"]
MAKE_TRANSFER = """([data, type]) => {
  const carried = new DataTransfer()
  const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0))
  carried.items.add(new File([bytes], "key", { type }))
  return carried
}"""
COPY_IMAGE = """async data => {
  const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0))
  const blob = new Blob([bytes], { type: "image/png" })
  await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })])
}"""
# Playwright does not show the files of a request, so the page records its form.
RECORD_FORM = """const send = XMLHttpRequest.prototype.send
XMLHttpRequest.prototype.send = function (form) { window.sent = form; send.call(this, form) }"""
READ_FORM = """() => new Promise(resolve => {
  const reader = new FileReader()
  reader.onload = () => resolve(reader.result.split(",")[1])
  reader.readAsDataURL(window.sent.get("image"))
})"""
RECORD_PROGRESS = """window.words = []
addEventListener("DOMContentLoaded", () => {
  const work = document.getElementById("work-text")
  new MutationObserver(() => window.words.push(work.textContent)).observe(work, { childList: true })
})"""

# Positions and sizes of the drawing over the whole photo and of its labels.
LABELS = """() => {
  const whole = document.querySelectorAll("svg.drawn")[1]
  const boxes = all => all.map(each => {
    const { x, y, width, height } = each.getBoundingClientRect()
    return [x, y, width, height]
  })
  const found = { "svg.drawn": boxes([whole]) }
  for (const label of [".badge", ".number"]) found[label] = boxes([...whole.querySelectorAll(label)])
  return found
}"""


def base64_of(data: bytes) -> str:
    """Return base64 for use in a script."""
    return base64.b64encode(data).decode()


def test_chosen_photo_shows_code_cuts_alternatives_and_assessment(
    open_tab: OpenTab, server: Server
) -> None:
    tab = open_tab(server).open().choose(FIRST.path)
    page = tab.page
    assert (tab.code, tab.title.split()[:2]) == (FIRST.digits, ["Schlage", FIRST.keyway])
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
    text = page.inner_text("#outcome")
    for sentence in (
        answer["assessment"]["keyed_alike"]["sentence"],
        *answer["assessment"]["recommendations"],
    ):
        assert sentence in text
    expect(page.locator("#announcement")).to_have_text(
        f"Reading: {FIRST.keyway}, code {FIRST.bitting}, {int(answer['confidence'] * 100)}% confidence"
    )
    assert page.evaluate("document.activeElement.id") == "outcome"


def test_reading_is_drawn_at_the_coordinates_of_the_server(
    open_tab: OpenTab, server: Server
) -> None:
    page = open_tab(server).open().choose(FIRST.path).page
    geometry = json.loads(page.locator(".card pre").text_content() or "")["geometry"]
    close, whole = page.locator("svg.drawn").nth(0), page.locator("svg.drawn").nth(1)
    expect(close).to_be_visible()
    page.click("[data-view=whole]")
    expect(close).to_be_hidden()
    assert whole.get_attribute("viewBox") == "0 0 1024 768"
    lines = whole.locator("line.cut").evaluate_all(
        "all => all.map(line =>"
        " ['x1', 'y1', 'x2', 'y2'].map(name => Number(line.getAttribute(name))))"
    )
    assert lines == [pytest.approx([*cut["root"], *cut["foot"]]) for cut in geometry["cuts"]]
    path = whole.locator("path.outline").get_attribute("d") or ""
    assert path.count("L") == len(geometry["outline"]) - 1
    for view in (close, whole):
        assert view.locator(".depth").all_text_contents() == FIRST.digits
        assert view.locator(".number").all_text_contents() == ["1", "2", "3", "4", "5"]
        label = view.get_attribute("aria-label") or ""
        assert all(f"cut {i} depth {digit}" in label for i, digit in enumerate(FIRST.digits, 1))


def test_close_up_shows_the_blade_level_with_the_tip_on_the_right(
    open_tab: OpenTab, server: Server
) -> None:
    page = open_tab(server).open().choose(FIRST.path).page
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


def test_hovering_over_a_cut_highlights_it_on_the_photo(open_tab: OpenTab, server: Server) -> None:
    page = open_tab(server).open().choose(FIRST.path).page
    page.locator("#cuts tbody tr").nth(2).hover()
    assert page.locator("svg.drawn >> nth=0").locator(".lit").evaluate_all(
        "all => all.map(mark => mark.dataset.cut)"
    ) == ["3"]
    page.hover(".brand")
    expect(page.locator("svg.drawn .lit")).to_have_count(0)


def test_dropped_photo_is_read(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server).open()
    carried = tab.page.evaluate_handle(
        MAKE_TRANSFER, [base64_of(SECOND.path.read_bytes()), "image/jpeg"]
    )
    tab.page.dispatch_event("body", "dragenter", {"dataTransfer": carried})
    expect(tab.page.locator(".drop")).to_be_visible()
    tab.page.dispatch_event("main", "drop", {"dataTransfer": carried})
    tab.page.wait_for_selector("main[data-state=read]")
    assert tab.code == SECOND.digits
    expect(tab.page.locator(".drop")).to_be_hidden()


def test_pasted_photo_is_read(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server, permissions=CLIPBOARD).open()
    picture = io.BytesIO()
    Image.open(SECOND.path).save(picture, "PNG")
    tab.page.evaluate(COPY_IMAGE, base64_of(picture.getvalue()))
    tab.page.keyboard.press("Control+V")
    tab.page.wait_for_selector("main[data-state=read]")
    assert tab.code == SECOND.digits


def test_small_photo_is_sent_unchanged(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server)
    tab.page.add_init_script(RECORD_FORM)
    tab.open().choose(FIRST.path)
    assert base64.b64decode(tab.page.evaluate(READ_FORM)) == FIRST.path.read_bytes()


def test_large_photo_is_resized_rotated_and_stripped_of_metadata(
    open_tab: OpenTab, server: Server
) -> None:
    """A phone stores the picture rotated, with the orientation and more in its EXIF data."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera"
    large = (
        Image.open(FIRST.path)
        .resize((3072, 2304), Image.Resampling.LANCZOS)
        .transpose(Image.Transpose.ROTATE_90)
    )
    picture = io.BytesIO()
    large.save(picture, "JPEG", quality=92, exif=exif)
    tab = open_tab(server)
    tab.page.add_init_script(RECORD_FORM)
    tab.open().choose({"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": picture.getvalue()})
    sent = Image.open(io.BytesIO(base64.b64decode(tab.page.evaluate(READ_FORM))))
    assert (sent.format, sent.size, dict(sent.getexif())) == ("JPEG", (2048, 1536), {})
    assert tab.code == FIRST.digits
    assert tab.page.locator("svg.drawn").nth(1).get_attribute("viewBox") == "0 0 2048 1536"


def test_photo_that_the_browser_cannot_decode_is_sent_unchanged(
    open_tab: OpenTab, server: Server
) -> None:
    heic = ROOT / "tests" / "data" / "plain.heic"
    tab = open_tab(server, "422")
    tab.page.add_init_script(RECORD_FORM)
    tab.open().choose(heic, "refused")
    assert base64.b64decode(tab.page.evaluate(READ_FORM)) == heic.read_bytes()
    expect(tab.page.locator("#photo-view img")).to_have_count(0)


def test_code_is_copied_and_shared(open_tab: OpenTab, server: Server) -> None:
    page = open_tab(server, permissions=CLIPBOARD).open().choose(FIRST.path).page
    clipboard_text = "navigator.clipboard.readText()"
    page.click("#copy")
    expect(page.locator("#copy")).to_have_text("Copied")
    assert page.evaluate(clipboard_text) == FIRST.bitting
    # Chromium on Linux cannot share, so the page uses the clipboard.
    page.click("#share")
    expect(page.locator("#share")).to_have_text("Copied")
    assert page.evaluate(clipboard_text) == f"Schlage {FIRST.keyway}: {FIRST.bitting}"
    assert "Anyone with this code can cut the key" in page.inner_text("#outcome .caution")


def test_code_is_shared_by_the_phone_if_possible(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server)
    tab.page.add_init_script("navigator.share = async data => { window.shared = data }")
    page = tab.open().choose(FIRST.path).page
    page.click("#share")
    assert page.evaluate("window.shared.text") == f"Schlage {FIRST.keyway}: {FIRST.bitting}"
    assert page.evaluate("'url' in window.shared") is False


def test_progress_is_shown_step_by_step(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server)
    tab.page.add_init_script(RECORD_PROGRESS)
    tab.open().choose(FIRST.path)
    words = list(dict.fromkeys(tab.page.evaluate("window.words")))
    assert (words[:2], words[-1]) == (
        ["Preparing the photo", "Sending the photo"],
        "Reading the key",
    )


def test_request_can_be_cancelled(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server).open()
    page = tab.page
    page.route("**/predict", lambda route: None)
    page.set_input_files("#file", FIRST.path)
    expect(page.locator("#work-text")).to_have_text("Sending the photo")
    assert page.evaluate("document.activeElement.id") == "cancel"
    with page.expect_event("requestfailed") as gone:
        page.click("#cancel")
    assert gone.value.failure == "net::ERR_ABORTED"
    expect(page.locator("#use-camera")).to_be_visible()
    expect(page.locator("#outcome")).to_be_empty()


def test_next_photo_replaces_the_running_request(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server).open()
    page = tab.page
    page.route("**/predict", lambda route: None, times=1)
    page.set_input_files("#file", FIRST.path)
    expect(page.locator("#work-text")).to_have_text("Sending the photo")
    tab.choose(SECOND.path)
    assert tab.code == SECOND.digits


def test_sample_is_read_without_a_photo_and_marked(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server).open()
    page = tab.page
    turn_on(page)
    page.click("#try-sample")
    page.wait_for_selector("main[data-state=read]")
    assert tab.code == SAMPLE.digits
    expect(page.locator("#about")).to_have_text("This is a sample photo, not your key.")
    page.click("#open-history")
    expect(page.locator("#history")).to_contain_text("There are no readings.")


def test_sample_without_the_server_can_be_tried_again(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server, "net::ERR_INTERNET_DISCONNECTED").open()
    tab.context.set_offline(True)
    tab.page.click("#try-sample")
    tab.page.wait_for_selector("main[data-state=refused]")
    assert tab.title == "The server cannot be reached"
    tab.context.set_offline(False)
    tab.page.click("#retry")
    tab.page.wait_for_selector("main[data-state=read]")
    assert tab.code == SAMPLE.digits


def test_blade_height_is_shown_in_the_chosen_unit_which_is_remembered(
    open_tab: OpenTab, server: Server
) -> None:
    tab = open_tab(server).open().choose(FIRST.path)
    page = tab.page
    cuts = json.loads(page.locator(".card pre").text_content() or "")["cuts"]
    column = page.locator("#cuts tbody td:nth-child(3)")
    assert column.all_inner_texts() == [f"{cut['depth_mm']:.2f} mm" for cut in cuts]
    page.click("#unit-in")
    inches = [f"{cut['height_in']:.3f} in" for cut in cuts]
    assert column.all_inner_texts() == inches
    assert page.evaluate("document.activeElement.id") == "unit-in"
    page.reload()
    tab.choose(FIRST.path)
    assert column.all_inner_texts() == inches
    expect(page.locator("#unit-in")).to_have_attribute("aria-pressed", "true")


def test_sources_are_folded(open_tab: OpenTab, server: Server) -> None:
    page = open_tab(server).open().choose(FIRST.path).page
    assert "counted from the keyway" not in page.inner_text("#outcome")
    page.click("summary:text-is('Sources')")
    text = page.inner_text("#outcome")
    assessment = json.loads(page.locator(".card pre").text_content() or "")["assessment"]
    shown = [source for source in assessment["sources"] if source in text]
    # The last source, on reading keys from photos, belongs to no claim.
    assert shown == assessment["sources"][:-1]


def test_numbers_on_the_whole_photo_are_large_apart_and_inside(
    open_tab: OpenTab, server: Server
) -> None:
    tab = open_tab(server, viewport={"width": 360, "height": 740}, reduced_motion="reduce").open()
    for name in ("sc4_01.jpg", "sc1_03.jpg"):
        tab.choose(sample(name).path)
        expect(tab.page.locator("ol.code")).to_have_attribute(
            "aria-label", f"Code {sample(name).bitting}"
        )
        tab.page.click("[data-view=whole]")
        boxes = tab.page.evaluate(LABELS)
        frame = boxes.pop("svg.drawn")[0]
        for label, least in ((".badge", 19), (".number", 11)):
            assert len(boxes[label]) == len(sample(name).digits)
            centres = [(x + width / 2, y + height / 2) for x, y, width, height in boxes[label]]
            assert all(math.dist(*pair) > least for pair in itertools.pairwise(centres))
            for x, y, width, height in boxes[label]:
                assert height >= least, (name, label)
                assert frame[0] <= x and x + width <= frame[0] + frame[2], (name, label)
                assert frame[1] <= y and y + height <= frame[1] + frame[3], (name, label)
