"""Tests of utils/image_processing.py, with pictures that Pillow draws."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from utils.image_processing import (
    convert_to_progressive_jpeg,
    enhance_image_for_locks,
    optimize_image_for_mobile,
    preprocess_image,
)

RED, WHITE = (255, 0, 0), (255, 255, 255)


def halves(mode: str = "RGB", size: tuple[int, int] = (400, 200)) -> Image.Image:
    """Return a picture whose left half is black and whose right half is white."""
    picture = Image.new("RGB", size)
    picture.paste(WHITE, (size[0] // 2, 0, size[0], size[1]))
    return picture.convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK", "1", "LA"])
def test_preprocess_image_returns_an_rgb_square_for_every_mode(mode: str) -> None:
    square = preprocess_image(halves(mode))
    assert (square.mode, square.size) == ("RGB", (336, 336))
    assert square.getpixel((40, 168)) == (0, 0, 0) and square.getpixel((300, 168)) == WHITE


def test_preprocess_image_applies_the_exif_orientation() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the picture must be rotated by 90 degrees clockwise to be upright
    stream = io.BytesIO()
    halves().save(stream, "JPEG", exif=exif, quality=95)
    square = preprocess_image(Image.open(stream))
    top, bottom = np.asarray(square)[:100].mean(), np.asarray(square)[-100:].mean()
    assert top < 10 and bottom > 245


def test_preprocess_image_puts_transparency_on_white() -> None:
    picture = Image.new("RGBA", (50, 50), (*RED, 0))
    assert preprocess_image(picture).getpixel((168, 168)) == WHITE


def test_enhance_image_for_locks_increases_contrast_and_keeps_the_size() -> None:
    picture = Image.new("RGB", (60, 40), (100, 100, 100))
    picture.paste((150, 150, 150), (30, 0, 60, 40))
    enhanced = enhance_image_for_locks(picture)
    values = np.asarray(enhanced)[20, :, 0].astype(int)
    assert enhanced.size == picture.size
    # The contrast of 1.2 raises the difference of the two greys from 50 to 60. Sharpening changes
    # only pixels near the edge, and these are not.
    assert abs(values[55] - values[5] - 60) <= 1


@pytest.mark.parametrize(
    ("size", "expected"),
    [((3000, 1500), (1024, 512)), ((500, 2048), (250, 1024)), ((1024, 7), (1024, 7))],
)
def test_optimize_image_for_mobile_limits_the_longer_side(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    picture = Image.new("L", size)
    assert optimize_image_for_mobile(picture).size == expected
    assert picture.size == size


def test_convert_to_progressive_jpeg_keeps_the_picture_and_drops_metadata() -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    picture = halves("RGBA")
    picture.info["exif"] = exif.tobytes()
    data = convert_to_progressive_jpeg(picture)
    with Image.open(io.BytesIO(data)) as jpeg:
        assert jpeg.format == "JPEG" and jpeg.info.get("progressive") == 1
        assert jpeg.size == picture.size and not jpeg.getexif()
        pixels = np.asarray(jpeg)
    assert pixels[100, 50].max() < 10 and pixels[100, 350].min() > 245
