"""Tests of open_photo: formats, orientation, colour modes, size limits and damaged files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from keylike.errors import BadImage, ImageTooLarge, KeylikeError, UnsupportedImageType
from keylike.images.libraries import configure_image_libraries
from keylike.images.photo import open_photo
from tests.attacks.bombs import chunk, compressed_zeros, jpeg_claiming, png_with
from tools.plain_pictures import BLUE, RED, encode, many_frames, many_scans, plain, png

DATA = Path(__file__).parent.parent / "data"
# A picture that looks different after every rotation and reflection: red above blue on the left,
# black on the right.
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


def near(pixels: NDArray[np.uint8], expected: NDArray[np.uint8], tolerance: float = 6) -> bool:
    """Return True if two pictures are equal except for compression losses."""
    return (
        pixels.shape == expected.shape
        and float(np.abs(pixels.astype(int) - expected).mean()) < tolerance
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "GIF"])
def test_open_photo_accepts_every_format(kind: str) -> None:
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
def test_open_photo_applies_the_exif_orientation(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = open_photo(
        encode(Image.fromarray(np.ascontiguousarray(STORED[orientation])), kind, exif=exif)
    )
    assert near(photo.pixels, SCENE)
    assert photo.size == (60, 40)


def test_open_photo_of_a_rotated_large_picture_keeps_the_original_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = open_photo(encode(Image.new("RGB", (4000, 3000), RED), "JPEG", exif=exif))
    assert (photo.size, photo.pixels.shape, photo.scale) == ((3000, 4000), (2000, 1500, 3), 0.5)


def test_open_photo_accepts_broken_exif() -> None:
    photo = open_photo(encode(Image.fromarray(SCENE), "JPEG", exif=b"Exif\0\0II*\0garbage"))
    assert near(photo.pixels, SCENE)


def test_open_photo_applies_the_rotation_of_a_heic() -> None:
    plain_heic, rotated = (
        open_photo((DATA / f"{name}.heic").read_bytes()) for name in ("plain", "turned")
    )
    assert (plain_heic.format, plain_heic.size, rotated.size) == ("HEIC", (64, 48), (48, 64))
    assert near(plain_heic.pixels[5:9, 5:9], np.full((4, 4, 3), (255, 0, 0), np.uint8))
    assert near(rotated.pixels[5:9, -9:-5], np.full((4, 4, 3), (255, 0, 0), np.uint8))


def test_open_photo_returns_the_first_picture_of_a_multi_picture_jpeg() -> None:
    two = encode(
        Image.fromarray(SCENE), "MPO", save_all=True, append_images=[Image.new("RGB", (60, 40))]
    )
    photo = open_photo(two)
    assert photo.format == "JPEG"
    assert near(photo.pixels, SCENE)


def test_open_photo_converts_cmyk() -> None:
    assert near(
        open_photo(encode(Image.fromarray(SCENE).convert("CMYK"), "JPEG")).pixels, SCENE, 40
    )


def test_open_photo_scales_16_bit_grey_instead_of_clipping_it() -> None:
    ramp = np.linspace(0, 65535, 2400).reshape(40, 60).astype(np.uint16)
    photo = open_photo(encode(Image.fromarray(ramp), "PNG"))
    assert near(photo.pixels, np.repeat((ramp >> 8).astype(np.uint8)[:, :, None], 3, 2), 1)


def test_open_photo_converts_grey_and_palette() -> None:
    picture = Image.fromarray(SCENE)
    assert near(open_photo(encode(picture.quantize(8), "PNG")).pixels, SCENE)
    grey = np.repeat(np.asarray(picture.convert("L"))[:, :, None], 3, 2)
    assert near(open_photo(encode(picture.convert("L"), "PNG")).pixels, grey)
    assert open_photo(encode(Image.new("1", (9, 9), 1), "PNG")).pixels.min() == 255


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_open_photo_places_transparency_over_white(kind: str) -> None:
    glass = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    glass.paste((200, 20, 20, 255), (0, 0, 10, 20))
    pixels = open_photo(
        encode(glass, kind, **({"lossless": True} if kind == "WEBP" else {}))
    ).pixels
    assert tuple(pixels[5, 15]) == (255, 255, 255)
    assert near(pixels[:, :9], np.full((20, 9, 3), RED, np.uint8))


def test_open_photo_places_a_transparent_palette_over_white() -> None:
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([0, 0, 0] * 256)
    assert open_photo(encode(picture, "GIF", transparency=0)).pixels.min() == 255


def test_open_photo_returns_the_first_frame_of_an_animation() -> None:
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
def test_open_photo_limits_the_longer_side_to_2048_pixels(
    kind: str, size: tuple[int, int], shape: tuple[int, int]
) -> None:
    photo = open_photo(plain(kind=kind, size=size))
    assert photo.pixels.shape[:2] == shape
    assert photo.size == size
    assert photo.scale == max(shape) / max(size)


def test_open_photo_reduces_a_large_picture_without_visible_seams() -> None:
    rows = np.linspace(0, 255, 6000)[:, None, None]
    ramp = np.broadcast_to(rows, (6000, 30, 3)).astype(np.uint8)
    pixels = open_photo(encode(Image.fromarray(ramp), "PNG")).pixels
    assert len(pixels) <= 2048
    assert int(np.abs(np.diff(pixels[:, 5, 0].astype(int))).max()) <= 1


def test_open_photo_checks_limits_before_decoding() -> None:
    # The pixel data is missing, so decoding would raise BadImage. A refusal by size comes before.
    with pytest.raises(ImageTooLarge):
        open_photo(png(20_000, 20_000)[:60])
    with pytest.raises(ImageTooLarge):
        open_photo(plain(), max_bytes=100)
    with pytest.raises(BadImage):
        open_photo(png(2000, 2000)[:60])


@pytest.mark.parametrize(
    ("picture", "max_pixels"),
    [
        (plain(kind="WEBP", size=(4000, 4000)), 13_888_888),
        (plain(kind="AVIF", size=(4000, 4000)), 13_888_888),
        (many_scans(10, (7000, 7000), subsampling=0), 41_666_666),
    ],
    ids=["WebP", "AVIF", "progressive JPEG"],
)
def test_open_photo_refuses_a_picture_beyond_the_memory_limit(
    picture: bytes, max_pixels: int
) -> None:
    with pytest.raises(ImageTooLarge) as refusal:
        open_photo(picture)
    assert refusal.value.details["max_pixels"] == max_pixels
    assert f"{max_pixels // 100_000 / 10:g} megapixels" in refusal.value.message


def test_open_photo_refuses_a_jpeg_with_too_many_scans() -> None:
    with pytest.raises(BadImage) as refusal:
        open_photo(many_scans(1000))
    assert refusal.value.details["max_scans"] == 32
    assert open_photo(many_scans(30)).size == (400, 300)


@given(cut=st.integers(0, 400), junk=st.binary(max_size=40))
def test_open_photo_decodes_or_refuses_a_damaged_file(cut: int, junk: bytes) -> None:
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


# A picture of noise, so that missing data changes the decoded picture.
NOISE = Image.fromarray(np.random.default_rng(7).integers(0, 255, (800, 600, 3), np.uint8))
JPEGS = {
    "sequential": {},
    "full chroma": {"subsampling": 0},
    "progressive": {"progressive": True},
    "with restarts": {"restart_marker_rows": 1},
}


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS.keys())
@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-2],
        lambda data: data[:-1],
        lambda data: data[:-2] + bytes(3000),
        lambda data: data[:-2] + b"\xff" * 3000,
        lambda data: data[:-3],
    ],
    ids=["no end", "half an end", "zeros", "ones", "a byte less"],
)
def test_open_photo_reads_all_rows_of_a_jpeg_without_an_end_marker(
    options: dict[str, object], change: Callable[[bytes], bytes]
) -> None:
    for picture in (NOISE, NOISE.convert("L")):
        whole = encode(picture, "JPEG", **options)
        expected, found = open_photo(whole).pixels, open_photo(change(whole)).pixels
        assert np.array_equal(found[:-20], expected[:-20])


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS.keys())
@pytest.mark.parametrize("filler", [b"", bytes(300_000), b"\xff" * 300_000])
def test_open_photo_refuses_a_jpeg_with_missing_rows(
    options: dict[str, object], filler: bytes
) -> None:
    for picture in (NOISE, NOISE.convert("L")):
        whole = encode(picture, "JPEG", **options)
        scan = whole.rindex(b"\xff\xda")
        for share in (0.3, 0.6, 0.9):
            with pytest.raises(BadImage):
                open_photo(whole[: scan + int((len(whole) - scan) * share)] + filler)


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS.keys())
def test_open_photo_reads_all_or_nothing_of_a_truncated_flat_jpeg(
    options: dict[str, object],
) -> None:
    flat = Image.new("RGB", (800, 3000), RED)
    flat.paste(BLUE, (0, 2400, 800, 3000))
    whole = encode(flat, "JPEG", **options)
    expected = open_photo(whole).pixels
    for cut in range(2, 300):
        with suppress(BadImage):
            assert near(open_photo(whole[:-cut]).pixels[:-20], expected[:-20], 0.5), cut


def test_open_photo_refuses_a_progressive_jpeg_with_missing_scans() -> None:
    whole = encode(NOISE, "JPEG", progressive=True)
    scans = [at for at in range(len(whole)) if whole.startswith(b"\xff\xda", at)]
    # The Huffman tables of a scan come before its header, so cut the file before them.
    ends = [whole.rindex(b"\xff\xc4", 0, at) for at in scans[2:]]
    for end in ends:
        with pytest.raises(BadImage):
            open_photo(whole[:end])


@pytest.mark.parametrize("size", [(8160, 6144), (12032, 9024), (16320, 12240)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_open_photo_reduces_jpegs_of_up_to_200_megapixels(size: tuple[int, int], mode: str) -> None:
    configure_image_libraries()
    colours = {"RGB": RED, "L": (90,), "CMYK": (0, 255, 255, 0)}
    flat = Image.new(mode, size, colours[mode])
    photo = open_photo(encode(flat, "JPEG"))
    assert photo.size == size
    assert 1024 <= max(photo.pixels.shape) <= 2048
    assert photo.scale == max(photo.pixels.shape) / max(size)
    if mode == "L":
        assert near(photo.pixels, np.full_like(photo.pixels, 90), 1)


def test_open_photo_refuses_a_jpeg_beyond_its_limits() -> None:
    configure_image_libraries()
    for picture, max_pixels in (
        (jpeg_claiming(14_200), 200_000_000),
        (jpeg_claiming(65_535), 200_000_000),
        # More scans take more time, so the limit on pixels is lower for them.
        (many_scans(32, (7100, 7100)), 50_000_000),
        (many_scans(10, (9200, 9200)), 83_333_333),
    ):
        with pytest.raises(ImageTooLarge) as refusal:
            open_photo(picture)
        assert refusal.value.details["max_pixels"] == max_pixels
    with pytest.raises(ImageTooLarge):
        open_photo(plain(size=(40, 30)), max_pixels=1000)


def damaged(kind: bytes, content: bytes) -> bytes:
    """Return a PNG chunk with a wrong checksum."""
    return chunk(kind, content)[:-1] + bytes([chunk(kind, content)[-1] ^ 1])


ANCILLARY = {
    "large compressed text": chunk(b"zTXt", b"k\0\0" + compressed_zeros(5_000_000)),
    "large international text": chunk(b"iTXt", b"k\0\1\0\0\0" + compressed_zeros(5_000_000)),
    "large profile": chunk(b"iCCP", b"k\0\0" + compressed_zeros(5_000_000)),
    "plain text of 2 MB": chunk(b"tEXt", b"k\0" + b"x" * 2_000_000),
    "damaged text": damaged(b"tEXt", b"k\0v"),
    "damaged profile": damaged(b"iCCP", b"k\0\0" + compressed_zeros(100)),
    "damaged size": damaged(b"pHYs", bytes(9)),
    "damaged gamma": damaged(b"gAMA", bytes(4)),
    "damaged EXIF": damaged(b"eXIf", b"II*\0"),
    "damaged private chunk": damaged(b"prVt", b"x"),
    "text that cannot be unpacked": chunk(b"zTXt", b"k\0\0no zlib"),
    "an empty profile": chunk(b"iCCP", b""),
}


@pytest.mark.parametrize("name", ANCILLARY)
def test_open_photo_ignores_text_profiles_and_damaged_chunks_of_a_png(name: str) -> None:
    photo = open_photo(png_with(ANCILLARY[name]))
    assert near(photo.pixels, np.full((60, 120, 3), RED, np.uint8), 1)


def test_open_photo_ignores_a_damaged_transparency_chunk_of_a_png() -> None:
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([200, 20, 20] * 256)
    whole = encode(picture, "PNG", transparency=0)
    assert open_photo(whole).pixels.min() == 255
    at = whole.index(b"tRNS") + 4
    broken = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
    assert tuple(open_photo(broken).pixels[0, 0]) == RED


def test_open_photo_refuses_a_png_with_damaged_pixels() -> None:
    whole = encode(NOISE, "PNG")
    at = whole.index(b"IDAT") + 100
    with pytest.raises(BadImage):
        open_photo(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "GIF"])
@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_open_photo_returns_three_equal_channels_for_a_grey_picture(kind: str, mode: str) -> None:
    ramp = Image.fromarray(np.tile(np.linspace(0, 255, 60).astype(np.uint8), (40, 1)))
    picture = ramp.convert(mode)
    if mode == "LA" and kind == "JPEG":
        picture = ramp
    pixels = open_photo(encode(picture, kind)).pixels.astype(int)
    assert int(np.abs(pixels - pixels[:, :, :1]).max()) <= 3
    assert near(pixels.astype(np.uint8), np.asarray(picture.convert("RGB")), 8)


OTHER_FORMATS = {
    "TIFF": encode(Image.fromarray(SCENE), "TIFF"),
    "BMP": encode(Image.fromarray(SCENE), "BMP"),
    "JPEG XL": b"\xff\x0a" + bytes(50),
    "JPEG XL ": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50),
    "Video": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
    "PDF": b"%PDF-1.7\n",
}


@pytest.mark.parametrize("name", OTHER_FORMATS)
def test_open_photo_names_another_format_and_gives_advice(name: str) -> None:
    with pytest.raises(UnsupportedImageType, match=f"{name.strip()}.*as JPEG, PNG"):
        open_photo(OTHER_FORMATS[name])
