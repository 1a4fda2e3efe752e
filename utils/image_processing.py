"""Functions for pictures, under names of the older guide.

The older guide is an earlier tutorial for a Keylike server. This module keeps its function names,
so that code written for it still runs.
"""

from __future__ import annotations

import io

from PIL import Image, ImageEnhance

from keylike.images.photo import photo_from_image
from keylike.readers.gemma.manifest import Picture
from keylike.readers.gemma.picture import Framer

# Side in pixels of the square that the guide's model sees.
_SIDE = 336
# Longer side in pixels of a picture for phones.
_MOBILE_SIDE = 1024


def preprocess_image(image: Image.Image) -> Image.Image:
    """Return the picture as the guide's model sees it: upright, RGB, 336 by 336 pixels.

    The aspect ratio is not kept. Do not call this before `gemma3n_inference`, which prepares the
    picture itself as the manifest of the checkpoint says.
    """
    pixels = photo_from_image(image).pixels
    return Framer(Picture(crop="none", fit="squash", side=_SIDE), None).frame(pixels, _SIDE).square


def enhance_image_for_locks(image: Image.Image) -> Image.Image:
    """Return the picture in RGB, with the contrast (1.2) and sharpness (1.1) of the guide."""
    contrasted = ImageEnhance.Contrast(_rgb(image, max(image.size))).enhance(1.2)
    return ImageEnhance.Sharpness(contrasted).enhance(1.1)


def optimize_image_for_mobile(image: Image.Image) -> Image.Image:
    """Return the picture upright, in RGB, with a longer side of at most 1024 pixels."""
    return _rgb(image, _MOBILE_SIDE)


def convert_to_progressive_jpeg(image: Image.Image) -> bytes:
    """Return the picture as a progressive JPEG without metadata."""
    stream = io.BytesIO()
    _rgb(image, max(image.size)).save(stream, "JPEG", quality=85, optimize=True, progressive=True)
    return stream.getvalue()


def _rgb(image: Image.Image, long_side: int) -> Image.Image:
    return Image.fromarray(photo_from_image(image, long_side=long_side).pixels)
