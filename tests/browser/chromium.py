"""Debian's Chromium: where it is, and how it is started so that a key lies before its camera."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser.server import SAMPLES

PATH = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
BEFORE_THE_CAMERA = "sc1_04.jpg"


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """A browser; `folder` holds the film of its camera, which shows one key."""
    film = folder / "camera.mjpeg"
    film.write_bytes((SAMPLES / BEFORE_THE_CAMERA).read_bytes() * 2)
    camera = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=PATH, args=camera, chromium_sandbox=False
        )
        try:
            yield browser
        finally:
            browser.close()
