"""Draw the PNG icons from icon.svg in Chromium: python -m tests.browser.icons keylike/web/icons"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.browser.chromium import chromium

# Name, side in pixels, and True for square corners, for systems that mask icons themselves.
ICONS = (
    ("icon-180", 180, True),
    ("icon-192", 192, False),
    ("icon-512", 512, False),
    ("maskable-512", 512, True),
)
_ROUNDED, _SQUARE = 'rx="112"', 'rx="0"'
_COLOURS = 32


def main(folder: Path) -> None:
    """Write the icons into `folder`, which contains icon.svg."""
    drawing = (folder / "icon.svg").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as temporary, chromium(Path(temporary)) as browser:
        for name, side, square in ICONS:
            page = browser.new_page(viewport={"width": side, "height": side})
            page.set_content(
                "<style>*{margin:0}svg{display:block}</style>"
                + (drawing.replace(_ROUNDED, _SQUARE) if square else drawing)
            )
            picture = Image.open(io.BytesIO(page.screenshot(omit_background=True)))
            picture.quantize(_COLOURS, Image.Quantize.FASTOCTREE).save(
                folder / f"{name}.png", optimize=True
            )
            page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
