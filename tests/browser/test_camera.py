"""The camera: preview, photo, light and release, and pages without a camera."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.chromium import CAMERA_SAMPLE
from tests.browser.conftest import OpenTab
from tests.browser.samples import FIRST, sample
from tests.browser.server import Server

# True once the camera is released.
OFF = "document.getElementById('video').srcObject === null && window.track.readyState === 'ended'"
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
