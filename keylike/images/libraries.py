"""Process-wide options of the libraries that decode pictures."""

from __future__ import annotations

import warnings

import pillow_heif
from PIL import Image


def configure_image_libraries() -> None:
    """Set the options of Pillow and pillow-heif, and the warning filters for Pillow.

    Call this once at start-up, before the first photo and before other threads start:
    `warnings.catch_warnings` around each photo would not be thread-safe. Further calls have no
    effect.
    """
    # Broken EXIF and similar defects do not matter here.
    warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    # `open_photo` checks every size itself. This is what it allows a JPEG with the largest setting.
    Image.MAX_IMAGE_PIXELS = 4 * 89_000_000
    # Keeps two freed blocks (16 MB each) for the next photo. Fresh pages from the kernel cost up to
    # a third of the decoding time.
    Image.core.set_blocks_max(2)  # type: ignore[attr-defined]
    pillow_heif.options.THUMBNAILS = False
    pillow_heif.options.DEPTH_IMAGES = False
    pillow_heif.options.AUX_IMAGES = False
