"""Pictures of every kind come out upright, eight-bit RGB, bounded and read-only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from keylike.errors import BadImage, ImageTooLarge, KeylikeError
from keylike.images.photo import open_photo
from tools.plain_pictures import BLUE, RED, encode, many_frames, many_scans, plain, png

DATA = Path(__file__).parent.parent / "data"
# Red above blue on the left, black on the right: no turn or mirror image looks the same.
SCENE = np.zeros((40, 60, 3), np.uint8)
SCENE[:20, :30], SCENE[20:, :30] = RED, BLUE
STORED = {
    1: SCENE,
    2: SCENE[:, ::-1],
    3: SCENE[::-1, ::-1],
    4: SCENE[::-1],
    5: SCENE.transpose(1, 0, 2),
    6: np.rot90(SCENE, 1),
    7: SCENE.transpose(1, 0, 2)[::-1, ::-1],
    8: np.rot90(SCENE, -1),
}


def near(pixels: NDArray[np.uint8], expected: NDArray[np.uint8], allowance: float = 6) -> bool:
    """Whether two pictures are the same but for what compression does."""
    return (
        pixels.shape == expected.shape
        and float(np.abs(pixels.astype(int) - expected).mean()) < allowance
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "GIF"])
def test_every_format(kind: str) -> None:
    photo = open_photo(encode(Image.fromarray(SCENE), kind))
    assert near(photo.pixels, SCENE)
    assert (photo.format, photo.size, photo.scale, str(photo.pixels.dtype)) == (
        kind,
        (60, 40),
        1.0,
        "uint8",
    )
    with pytest.raises(ValueError, match="read-only"):
        photo.pixels[0, 0] = 0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_turn(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = open_photo(
        encode(Image.fromarray(np.ascontiguousarray(STORED[orientation])), kind, exif=exif)
    )
    assert near(photo.pixels, SCENE)
    assert photo.size == (60, 40)


def test_exif_turn_of_a_large_photo_keeps_the_original_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = open_photo(encode(Image.new("RGB", (4000, 3000), RED), "JPEG", exif=exif))
    assert (photo.size, photo.pixels.shape, photo.scale) == ((3000, 4000), (2000, 1500, 3), 0.5)


def test_broken_exif_is_no_reason_to_refuse() -> None:
    photo = open_photo(encode(Image.fromarray(SCENE), "JPEG", exif=b"Exif\0\0II*\0rubbish"))
    assert near(photo.pixels, SCENE)


def test_heic_plain_and_turned() -> None:
    plain_heic, turned = (
        open_photo((DATA / f"{name}.heic").read_bytes()) for name in ("plain", "turned")
    )
    assert (plain_heic.format, plain_heic.size, turned.size) == ("HEIC", (64, 48), (48, 64))
    assert near(plain_heic.pixels[5:9, 5:9], np.full((4, 4, 3), (255, 0, 0), np.uint8))
    assert near(turned.pixels[5:9, -9:-5], np.full((4, 4, 3), (255, 0, 0), np.uint8))


def test_phones_that_pack_two_pictures_into_a_jpeg() -> None:
    two = encode(
        Image.fromarray(SCENE), "MPO", save_all=True, append_images=[Image.new("RGB", (60, 40))]
    )
    photo = open_photo(two)
    assert photo.format == "JPEG"
    assert near(photo.pixels, SCENE)


def test_cmyk() -> None:
    assert near(
        open_photo(encode(Image.fromarray(SCENE).convert("CMYK"), "JPEG")).pixels, SCENE, 40
    )


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 2400).reshape(40, 60).astype(np.uint16)
    photo = open_photo(encode(Image.fromarray(ramp), "PNG"))
    assert near(photo.pixels, np.repeat((ramp >> 8).astype(np.uint8)[:, :, None], 3, 2), 1)


def test_grey_and_palette() -> None:
    picture = Image.fromarray(SCENE)
    assert near(open_photo(encode(picture.quantize(8), "PNG")).pixels, SCENE)
    grey = np.repeat(np.asarray(picture.convert("L"))[:, :, None], 3, 2)
    assert near(open_photo(encode(picture.convert("L"), "PNG")).pixels, grey)
    assert open_photo(encode(Image.new("1", (9, 9), 1), "PNG")).pixels.min() == 255


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparency_lies_over_white(kind: str) -> None:
    glass = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    glass.paste((200, 20, 20, 255), (0, 0, 10, 20))
    pixels = open_photo(
        encode(glass, kind, **({"lossless": True} if kind == "WEBP" else {}))
    ).pixels
    assert tuple(pixels[5, 15]) == (255, 255, 255)
    assert near(pixels[:, :9], np.full((20, 9, 3), RED, np.uint8))


def test_transparent_palette() -> None:
    stamp = Image.new("P", (8, 8), 0)
    stamp.putpalette([0, 0, 0] * 256)
    assert open_photo(encode(stamp, "GIF", transparency=0)).pixels.min() == 255


def test_first_frame_of_many() -> None:
    photo = open_photo(many_frames())
    assert near(photo.pixels, np.full((300, 400, 3), RED, np.uint8))


@pytest.mark.parametrize(
    ("kind", "size", "shape"),
    [
        ("JPEG", (4096, 100), (50, 2048)),
        ("JPEG", (4097, 100), (25, 1025)),
        ("JPEG", (20000, 10), (2, 2048)),
        ("PNG", (4096, 100), (50, 2048)),
        ("PNG", (3000, 3000), (2048, 2048)),
        ("PNG", (5000, 1), (1, 2048)),
    ],
)
def test_long_side_is_bounded(kind: str, size: tuple[int, int], shape: tuple[int, int]) -> None:
    photo = open_photo(plain(kind=kind, size=size))
    assert photo.pixels.shape[:2] == shape
    assert photo.size == size
    assert photo.scale == max(shape) / max(size)


def test_shrinking_in_bands_is_seamless() -> None:
    rows = np.linspace(0, 255, 6000)[:, None, None]
    ramp = np.broadcast_to(rows, (6000, 30, 3)).astype(np.uint8)
    pixels = open_photo(encode(Image.fromarray(ramp), "PNG")).pixels
    assert len(pixels) <= 2048
    assert int(np.abs(np.diff(pixels[:, 5, 0].astype(int))).max()) <= 1


def test_limits_are_checked_before_decoding() -> None:
    # The data behind the header is missing: had it been decoded, this would be BadImage.
    with pytest.raises(ImageTooLarge):
        open_photo(png(20_000, 20_000)[:60])
    with pytest.raises(ImageTooLarge):
        open_photo(plain(), max_bytes=100)
    with pytest.raises(BadImage):
        open_photo(png(2000, 2000)[:60])


@pytest.mark.parametrize(
    ("picture", "most"),
    [
        (plain(kind="WEBP", size=(4000, 4000)), 13_888_888),
        (plain(kind="AVIF", size=(4000, 4000)), 13_888_888),
        (many_scans(10, (7000, 7000), subsampling=0), 41_666_666),
    ],
    ids=["WebP", "AVIF", "JPEG in scans"],
)
def test_what_decoding_would_hold_is_bounded(picture: bytes, most: int) -> None:
    with pytest.raises(ImageTooLarge) as refusal:
        open_photo(picture)
    assert refusal.value.details["max_pixels"] == most
    assert f"{most // 100_000 / 10:g} megapixels" in refusal.value.message


def test_endless_scans_are_refused() -> None:
    with pytest.raises(BadImage) as refusal:
        open_photo(many_scans(1000))
    assert refusal.value.details["max_scans"] == 32
    assert open_photo(many_scans(30)).size == (400, 300)


@given(cut=st.integers(0, 400), junk=st.binary(max_size=40))
def test_damage_is_refused_or_decoded_but_nothing_else(cut: int, junk: bytes) -> None:
    picture = plain(kind="PNG")
    try:
        photo = open_photo(picture[:cut] + junk + picture[cut + len(junk) :])
    except KeylikeError as refusal:
        assert refusal.code in (
            "no_image",
            "bad_image",
            "unsupported_image_type",
            "image_too_large",
        )
    else:
        assert photo.pixels.ndim == 3
