"""Chromium with a fake camera that shows a key."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser.server import SAMPLES

PATH = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CAMERA_SAMPLE = "sc1_04.jpg"


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """Start a browser.

    Args:
        folder: Receives the video of the fake camera, which shows one key.
    """
    video = folder / "camera.mjpeg"
    video.write_bytes((SAMPLES / CAMERA_SAMPLE).read_bytes() * 2)
    camera = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={video}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=PATH, args=camera, chromium_sandbox=False
        )
        try:
            yield browser
        finally:
            browser.close()
