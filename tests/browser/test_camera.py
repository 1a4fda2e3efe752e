"""The camera: preview, photo, light and release, and pages without a camera."""

from __future__ import annotations

import base64

from PIL import Image, ImageChops
from playwright.sync_api import expect

from tests.browser.chromium import CAMERA_SAMPLE
from tests.browser.conftest import OpenTab
from tests.browser.samples import FIRST, sample
from tests.browser.server import Server

# True once the camera is released.
OFF = "document.getElementById('video').srcObject === null && window.track.readyState === 'ended'"
# Frames come from a canvas with a bright key-like bar, as bright as the test says.
PAINTED_VIDEO = """window.brightness = 1
const paint = CanvasRenderingContext2D.prototype.drawImage
CanvasRenderingContext2D.prototype.drawImage = function (source, ...rest) {
  if (!(source instanceof HTMLVideoElement)) return paint.call(this, source, ...rest)
  const grey = share => `rgb(${[0, 0, 0].fill(share * window.brightness * 255)})`
  this.fillStyle = grey(0.4)
  this.fillRect(0, 0, 160, 120)
  this.fillStyle = grey(0.9)
  this.fillRect(20, 40, 120, 40)
}"""
HINT = """async frames => {
  const { hint, measure } = await import("/web/parts/camera-hints.js")
  const [now, before] = frames.map(text =>
    Uint8ClampedArray.from(atob(text), letter => letter.charCodeAt(0)))
  return hint(measure(now, measure(before).grey))
}"""
KEEP_TRACK = "window.track = document.getElementById('video').srcObject.getVideoTracks()[0]"


def test_camera_photo_is_read(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server, permissions=["camera"]).open()
    page = tab.page
    page.click("#use-camera")
    page.wait_for_selector("main[data-state=camera]")
    expect(page.locator(".guide .ghost")).to_be_visible()
    expect(page.locator("#torch")).to_be_hidden()
    assert page.evaluate("document.activeElement.id") == "shoot"
    page.evaluate(KEEP_TRACK)
    expect(page.locator("#video")).to_have_js_property("videoWidth", 1024)
    page.click("#shoot")
    page.wait_for_selector("main[data-state=read]")
    assert tab.code == sample(CAMERA_SAMPLE).digits
    assert page.evaluate(OFF)


def test_camera_is_released_when_the_user_leaves_it(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server, permissions=["camera"]).open()
    page = tab.page
    for leave in (
        lambda: page.click("#camera-close"),
        lambda: page.keyboard.press("Escape"),
        lambda: tab.choose(FIRST.path),
    ):
        page.click("#use-camera")
        page.wait_for_selector("main[data-state=camera]")
        page.evaluate(KEEP_TRACK)
        leave()
        expect(page.locator(".viewfinder")).to_be_hidden()
        assert page.evaluate(OFF)


def test_camera_outline_flips_for_a_bow_on_the_right(open_tab: OpenTab, server: Server) -> None:
    page = open_tab(server, permissions=["camera"]).open().page
    page.click("#use-camera")
    page.wait_for_selector("main[data-state=camera]")
    page.click("#flip")
    assert page.get_attribute("#flip", "aria-pressed") == "true"
    assert page.get_attribute("#ghost", "transform") == "rotate(180 320 240)"


def test_camera_light_is_switched_if_there_is_one(open_tab: OpenTab, server: Server) -> None:
    tab = open_tab(server, permissions=["camera"])
    tab.page.add_init_script(
        "MediaStreamTrack.prototype.getCapabilities = () => ({ torch: true });"
        "MediaStreamTrack.prototype.applyConstraints ="
        " async constraints => { window.requested = constraints }"
    )
    page = tab.open().page
    page.click("#use-camera")
    page.click("#torch")
    assert page.evaluate("window.requested") == {"advanced": [{"torch": True}]}
    page.click("#torch")
    assert page.evaluate("window.requested") == {"advanced": [{"torch": False}]}


def test_camera_without_permission_shows_a_note(open_tab: OpenTab, server: Server) -> None:
    page = open_tab(server).open().page
    page.click("#use-camera")
    expect(page.locator("#start-note")).to_contain_text("may not use the camera")
    expect(page.locator("#use-camera")).to_be_visible()


def test_camera_on_a_page_without_tls_opens_the_camera_app(
    open_tab: OpenTab, server: Server
) -> None:
    """Browsers hide the camera API from pages without TLS."""
    tab = open_tab(server)
    tab.page.add_init_script(
        "Object.defineProperty(Navigator.prototype, 'mediaDevices', { value: undefined })"
    )
    page = tab.open().page
    with page.expect_file_chooser() as chooser:
        page.click("#use-camera")
    assert chooser.value.element.get_attribute("capture") == "environment"
    chooser.value.set_files(FIRST.path)
    page.wait_for_selector("main[data-state=read]")
    assert tab.code == FIRST.digits


def test_camera_hint_tells_what_is_wrong_and_goes_away(open_tab: OpenTab, server: Server) -> None:
    """The test advances the page's clock, so that it need not wait for measurements."""
    tab = open_tab(server, permissions=["camera"])
    page = tab.page
    page.clock.install()
    page.add_init_script(PAINTED_VIDEO)
    tab.open()
    page.click("#use-camera")
    page.wait_for_selector("main[data-state=camera]")
    hint = page.locator("#hint")
    for brightness, words in (
        (1, "Flat and level, filling the frame"),
        (0.15, "Too dark: use more light"),
        (1, "Flat and level, filling the frame"),
    ):
        page.evaluate("value => { window.brightness = value }", brightness)
        page.clock.run_for(1000)
        expect(hint).to_have_text(words)


def test_camera_hints_are_measured_from_frames(open_tab: OpenTab, server: Server) -> None:
    page = open_tab(server).open().page
    far = Image.new("RGB", (1024, 768), (120, 130, 160))
    far.paste(Image.new("RGB", (300, 60), (190, 150, 60)), (362, 354))
    # Changes of the two test pictures, and the hint that a person would give.
    lit, patterned = Image.open(sample(CAMERA_SAMPLE).path), Image.open(sample("sc1_01.jpg").path)
    cases: list[tuple[Image.Image, Image.Image, str | None]] = [
        (lit, lit, None),
        (patterned, patterned, None),
        (lit.point(lambda value: value * 0.2), lit, "dark"),
        (patterned.point(lambda value: value * 0.2), patterned, "dark"),
        (shifted(lit, 40), lit, "steady"),
        (shifted(patterned, 40), patterned, "steady"),
        (shifted(lit, 5), lit, None),
        (shifted(patterned, 5), patterned, None),
        (far, far, "closer"),
        (Image.new("RGB", (64, 48), "white"), Image.new("RGB", (64, 48), "white"), None),
    ]
    found = [page.evaluate(HINT, [frame(now), frame(before)]) for now, before, _ in cases]
    assert found == [expected for _, _, expected in cases]


def shifted(picture: Image.Image, pixels: int) -> Image.Image:
    """Return the picture moved to the right and down, as by a hand that shakes."""
    return ImageChops.offset(picture, pixels, pixels // 2)


def frame(picture: Image.Image) -> str:
    """Return the pixels as a measured frame has them."""
    small = picture.convert("RGBA").resize((160, 120), Image.Resampling.BILINEAR)
    return base64.b64encode(small.tobytes()).decode()
