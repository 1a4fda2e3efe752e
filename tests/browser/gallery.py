"""Take the screenshots of the web page: python -m tests.browser.gallery docs/screenshots

They use the real server and the sample photos, one of them in front of the fake camera. The two
that the manifest names for browsers' install dialogs go to keylike/web/screenshots.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageFilter
from playwright.sync_api import Browser, Page, expect

from keylike.resources import WEB
from tests.browser.chromium import CAMERA_SAMPLE, chromium
from tests.browser.server import SAMPLES, Server
from tests.browser.tab import CONTROLLED

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}
NARROW: dict[str, Any] = {**PHONE, "viewport": {"width": 360, "height": 740}}
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 860}}
DARK: dict[str, Any] = {"color_scheme": "dark"}
# Plain pixels and more compression, since every installation loads these.
INSTALL: dict[str, dict[str, Any]] = {
    "narrow": {**PHONE, "device_scale_factor": 1},
    "wide": {"viewport": {"width": 1024, "height": 688}},
}
MOST_BYTES = 150_000
_QUALITY = 70
_INSTALL_QUALITY = 40


def nothing(page: Page, server: Server) -> None:
    """Stay on the start page."""


def photo(page: Page, file: Any, outcome: str = "read") -> None:
    """Choose a photo and wait for the outcome."""
    page.set_input_files("#file", file)
    page.wait_for_selector(f"main[data-state={outcome}]")


def key(name: str) -> Callable[[Page, Server], None]:
    """Return a function that reads a sample photo."""
    return lambda page, server: photo(page, SAMPLES / name)


def whole(page: Page, server: Server) -> None:
    """Show a reading over the whole photo."""
    photo(page, SAMPLES / "sc4_02.jpg")
    page.click("[data-view=whole]")


def assessment(page: Page, server: Server) -> None:
    """Scroll to the alternatives and the assessment."""
    photo(page, SAMPLES / "sc1_01.jpg")
    page.evaluate("document.querySelector('.others').closest('.card').scrollIntoView()")


def camera(page: Page, server: Server) -> None:
    """Open the camera with the outline flipped to match the key."""
    page.click("#use-camera")
    page.wait_for_selector("main[data-state=camera]")
    expect(page.locator("#video")).to_have_js_property("videoWidth", 1024)
    page.click("#flip")


def unreadable(page: Page, server: Server) -> None:
    """Read a blurred photo."""
    blurred = io.BytesIO()
    Image.open(SAMPLES / CAMERA_SAMPLE).filter(ImageFilter.GaussianBlur(12)).save(blurred, "JPEG")
    photo(
        page,
        {"name": "blurred.jpg", "mimeType": "image/jpeg", "buffer": blurred.getvalue()},
        "refused",
    )


def wrong_file(page: Page, server: Server) -> None:
    """Choose a document."""
    photo(
        page,
        {"name": "notes.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7"},
        "refused",
    )


def edited(page: Page, server: Server) -> None:
    """Correct the second cut of a reading."""
    photo(page, SAMPLES / "sc1_01.jpg")
    page.click("#edit")
    page.select_option("#depth-2", "1")
    page.click("#edit")


def history(page: Page, server: Server) -> None:
    """Fill the history with two readings, one of them named."""
    page.click("#open-history")
    page.check("#keep-history")
    page.keyboard.press("Escape")
    for name in ("sc1_05.jpg", "kw1_02.jpg"):
        photo(page, SAMPLES / name)
    page.click("#open-history")
    page.wait_for_selector(".saved > li >> nth=1")
    page.fill(".saved input >> nth=0", "Garden shed")
    page.locator(".saved input >> nth=0").blur()


def offline(page: Page, server: Server) -> None:
    """Stop the server and reload the page."""
    page.evaluate(CONTROLLED)
    server.stop()
    page.reload()
    page.wait_for_selector("#unreachable:not([hidden])")


# Name, screen, actions and caption. The last one stops the server.
PICTURES: list[tuple[str, dict[str, Any], Callable[[Page, Server], None], str]] = [
    ("start-light", DESKTOP, nothing, "Start page on a desktop, light theme"),
    ("start-dark", PHONE | DARK, nothing, "Start page on a phone, dark theme"),
    (
        "camera",
        PHONE | DARK,
        camera,
        "Camera with the outline for the key",
    ),
    (
        "reading",
        DESKTOP,
        key("sc1_04.jpg"),
        "A reading: the level blade with outline, cuts and depths drawn over it",
    ),
    (
        "reading-dark",
        DESKTOP | DARK,
        key("sc4_01.jpg"),
        "Six cuts, dark theme; cut 5 is between two depths",
    ),
    ("reading-phone", PHONE, key("kw1_02.jpg"), "A reading on a phone"),
    ("reading-narrow", NARROW | DARK, key("sc1_06.jpg"), "A reading on a screen 360 pixels wide"),
    ("whole-photo", DESKTOP, whole, "The reading drawn over the original photo"),
    (
        "assessment",
        PHONE,
        assessment,
        "Alternative codes and the assessment",
    ),
    ("unreadable", PHONE, unreadable, "A refusal with its reason and advice for the next photo"),
    ("wrong-file", PHONE | DARK, wrong_file, "A file that is not a picture"),
    ("edited", PHONE, edited, "A reading with a cut corrected by hand"),
    ("start-german", PHONE | {"locale": "de-DE"}, nothing, "Start page in German"),
    (
        "reading-spanish",
        PHONE | DARK | {"locale": "es-MX"},
        assessment,
        "Assessment in Spanish, dark theme",
    ),
    (
        "unreadable-french",
        PHONE | {"locale": "fr-CA"},
        unreadable,
        "A refusal with its advice in French",
    ),
    ("history", PHONE | DARK, history, "The history, which is off by default"),
    ("offline", PHONE, offline, "The page without a connection to the server"),
]


def install_screenshots(browser: Browser, server: Server) -> None:
    """Write the screenshots of the manifest."""
    for name, screen in INSTALL.items():
        screenshot(browser, server, screen, key("kw1_02.jpg")).convert("RGB").save(
            WEB / "screenshots" / f"{name}.webp", "WEBP", quality=_INSTALL_QUALITY, method=6
        )


def screenshot(
    browser: Browser,
    server: Server,
    screen: dict[str, Any],
    actions: Callable[[Page, Server], None],
) -> Image.Image:
    """Return one screenshot."""
    context = browser.new_context(permissions=["camera"], reduced_motion="reduce", **screen)
    page = context.new_page()
    page.goto(server.address)
    page.wait_for_selector("#server[data-state=ready]")
    actions(page, server)
    page.mouse.move(0, 0)
    picture = Image.open(io.BytesIO(page.screenshot()))
    context.close()
    return picture


def main(folder: Path) -> None:
    """Write all screenshots and the page that shows them."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Screenshots of the web page",
        "",
        "`python -m tests.browser.gallery docs/screenshots` generates these pictures with the real server,",
        "the sample photos and Chromium.",
        "",
    ]
    with tempfile.TemporaryDirectory() as temporary, chromium(Path(temporary)) as browser:
        server = Server(Path(temporary))
        install_screenshots(browser, server)
        for name, screen, actions, caption in PICTURES:
            file = folder / f"{name}.webp"
            screenshot(browser, server, screen, actions).convert("RGB").save(
                file, "WEBP", quality=_QUALITY, method=6
            )
            if file.stat().st_size > MOST_BYTES:
                raise SystemExit(f"{file} has {file.stat().st_size} bytes")
            width = "" if screen is DESKTOP or screen == DESKTOP | DARK else ' width="320"'
            lines += [f"## {caption}", "", f'<img src="{file.name}"{width} alt="{caption}">', ""]
    (folder / "README.md").write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
