"""The camera, which films a key: shown with a frame, read, switched off again; and what happens without one."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.chromium import BEFORE_THE_CAMERA
from tests.browser.conftest import Visiting
from tests.browser.samples import FIRST, sample
from tests.browser.server import Server

# Off once nothing holds its stream any more.
OFF = "document.getElementById('video').srcObject === null && window.track.readyState === 'ended'"
KEEP_TRACK = "window.track = document.getElementById('video').srcObject.getVideoTracks()[0]"


def test_key_before_the_camera_is_read(visiting: Visiting, server: Server) -> None:
    visit = visiting(server, permissions=["camera"]).open()
    page = visit.page
    page.click("#use-camera")
    page.wait_for_selector("main[data-state=camera]")
    expect(page.locator(".guide .ghost")).to_be_visible()
    expect(page.locator("#torch")).to_be_hidden()
    assert page.evaluate("document.activeElement.id") == "shoot"
    page.evaluate(KEEP_TRACK)
    expect(page.locator("#video")).to_have_js_property("videoWidth", 1024)
    page.click("#shoot")
    page.wait_for_selector("main[data-state=read]")
    assert visit.code == sample(BEFORE_THE_CAMERA).digits
    assert page.evaluate(OFF)


def test_camera_is_switched_off_when_it_is_left(visiting: Visiting, server: Server) -> None:
    visit = visiting(server, permissions=["camera"]).open()
    page = visit.page
    for leave in (
        lambda: page.click("#camera-close"),
        lambda: page.keyboard.press("Escape"),
        lambda: visit.choose(FIRST.path),
    ):
        page.click("#use-camera")
        page.wait_for_selector("main[data-state=camera]")
        page.evaluate(KEEP_TRACK)
        leave()
        expect(page.locator(".finder")).to_be_hidden()
        assert page.evaluate(OFF)


def test_outline_turns_round_for_a_bow_to_the_right(visiting: Visiting, server: Server) -> None:
    page = visiting(server, permissions=["camera"]).open().page
    page.click("#use-camera")
    page.wait_for_selector("main[data-state=camera]")
    page.click("#flip")
    assert page.get_attribute("#flip", "aria-pressed") == "true"
    assert page.get_attribute("#ghost", "transform") == "rotate(180 320 240)"


def test_light_where_the_camera_has_one(visiting: Visiting, server: Server) -> None:
    visit = visiting(server, permissions=["camera"])
    visit.page.add_init_script(
        "MediaStreamTrack.prototype.getCapabilities = () => ({ torch: true });"
        "MediaStreamTrack.prototype.applyConstraints = async constraints => { window.asked = constraints }"
    )
    page = visit.open().page
    page.click("#use-camera")
    page.click("#torch")
    assert page.evaluate("window.asked") == {"advanced": [{"torch": True}]}
    page.click("#torch")
    assert page.evaluate("window.asked") == {"advanced": [{"torch": False}]}


def test_camera_that_is_not_allowed(visiting: Visiting, server: Server) -> None:
    page = visiting(server).open().page
    page.click("#use-camera")
    expect(page.locator("#start-note")).to_contain_text("not allowed to use the camera")
    expect(page.locator("#use-camera")).to_be_visible()


def test_phones_own_camera_where_the_page_may_have_none(visiting: Visiting, server: Server) -> None:
    """Browsers show no camera to pages that came without TLS."""
    visit = visiting(server)
    visit.page.add_init_script(
        "Object.defineProperty(Navigator.prototype, 'mediaDevices', { value: undefined })"
    )
    page = visit.open().page
    with page.expect_file_chooser() as chooser:
        page.click("#use-camera")
    assert chooser.value.element.get_attribute("capture") == "environment"
    chooser.value.set_files(FIRST.path)
    page.wait_for_selector("main[data-state=read]")
    assert visit.code == FIRST.digits
