"""Process-wide options of the libraries that decode pictures."""

from __future__ import annotations

import warnings

import pillow_heif
from PIL import Image


def configure_image_libraries() -> None:
    """Set the options of Pillow and pillow-heif, and the warning filters for Pillow.

    Call this once at startup, before the first photo and before other threads start. Setting the
    filters for each photo with `warnings.catch_warnings` would not be thread-safe. Further calls
    have no effect.
    """
    # Pillow warns about broken EXIF and similar defects, which do not matter here.
    warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    # A second limit: `open_photo` checks every size itself. It allows a JPEG this number of pixels
    # with the largest value of the setting.
    Image.MAX_IMAGE_PIXELS = 4 * 89_000_000
    # Pillow keeps two freed blocks of memory (16 MB each) for the next photos. New pages from the
    # kernel would take up to a third of the decoding time.
    Image.core.set_blocks_max(2)  # type: ignore[attr-defined]
    pillow_heif.options.THUMBNAILS = False
    pillow_heif.options.DEPTH_IMAGES = False
    pillow_heif.options.AUX_IMAGES = False
