"""Costs are told from headers: a JPEG's own scans are counted, and not those of its thumbnail or of what follows it."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from keylike.images.decoding_cost import bytes_a_pixel, heic_bytes_a_pixel, jpeg_bytes_a_pixel
from keylike.images.image_guard import jpeg_scans
from tools.plain_pictures import encode, many_scans, plain


def test_scans_are_counted() -> None:
    assert jpeg_scans(plain()) == 1
    assert jpeg_scans(many_scans(25)) == 25
    assert jpeg_scans(b"\xff\xd8\xff") == 0


def test_neither_thumbnail_nor_video_counts() -> None:
    thumbnail = b"Exif\0\0" + plain(size=(8, 8))
    picture = encode(Image.new("RGB", (80, 60)), "JPEG", exif=thumbnail)
    assert thumbnail in picture
    assert jpeg_scans(picture + b"\xff\xda" * 100) == 1


@pytest.mark.parametrize(("subsampling", "cost"), [(0, 6), (1, 4), (2, 3)])
def test_coefficients_follow_the_sampling(subsampling: int, cost: float) -> None:
    picture = encode(Image.new("RGB", (80, 60)), "JPEG", progressive=True, subsampling=subsampling)
    with Image.open(io.BytesIO(picture)) as image:
        assert jpeg_bytes_a_pixel(image, jpeg_scans(picture)) == cost
        assert jpeg_bytes_a_pixel(image, 1) < cost


def test_deep_fine_or_transparent_heic_costs_more() -> None:
    phone = heic_bytes_a_pixel("RGB", {"bit_depth": 8, "chroma": 420})
    dear = [("RGBA", 8, 420), ("RGB", 10, 420), ("RGB", 8, 444)]
    assert all(
        heic_bytes_a_pixel(mode, {"bit_depth": bits, "chroma": chroma}) > phone
        for mode, bits, chroma in dear
    )
    assert bytes_a_pixel("WEBP") > bytes_a_pixel("PNG")
