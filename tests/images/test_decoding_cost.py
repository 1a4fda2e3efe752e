"""Tests of the estimate of the memory that decoding a picture will take."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from keylike.images.image_guard import jpeg_structure
from keylike.images.photo import bytes_per_pixel, heic_bytes_per_pixel, jpeg_bytes_per_pixel
from tools.plain_pictures import encode, many_scans, plain


def test_jpeg_structure_counts_scans() -> None:
    assert jpeg_structure(plain()).scans == 1
    assert jpeg_structure(many_scans(25)).scans == 25
    assert jpeg_structure(b"\xff\xd8\xff").scans == 0


def test_jpeg_structure_ignores_thumbnail_and_trailing_data() -> None:
    thumbnail = b"Exif\0\0" + plain(size=(8, 8))
    picture = encode(Image.new("RGB", (80, 60)), "JPEG", exif=thumbnail)
    assert thumbnail in picture
    assert jpeg_structure(picture + b"\xff\xda" * 100).scans == 1


@pytest.mark.parametrize(("subsampling", "expected"), [(0, 6), (1, 4), (2, 3)])
def test_jpeg_with_several_scans_takes_memory_by_its_subsampling(
    subsampling: int, expected: float
) -> None:
    picture = encode(Image.new("RGB", (80, 60)), "JPEG", progressive=True, subsampling=subsampling)
    with Image.open(io.BytesIO(picture)) as image:
        assert jpeg_bytes_per_pixel(image, jpeg_structure(picture).scans) == expected
        assert jpeg_bytes_per_pixel(image, 1) < expected


def test_heic_takes_more_memory_with_transparency_10_bits_or_full_chroma() -> None:
    phone = heic_bytes_per_pixel("RGB", {"bit_depth": 8, "chroma": 420})
    expensive = [("RGBA", 8, 420), ("RGB", 10, 420), ("RGB", 8, 444)]
    assert all(
        heic_bytes_per_pixel(mode, {"bit_depth": bits, "chroma": chroma}) > phone
        for mode, bits, chroma in expensive
    )
    assert bytes_per_pixel("WEBP") > bytes_per_pixel("PNG")
