"""Tests of attacks with pictures that are expensive to decode, and of unusual pictures."""

from __future__ import annotations

import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from tests.attacks import boxes
from tests.attacks.bombs import (
    JPEG,
    apng,
    chunk,
    gif_claiming,
    gif_of,
    gif_with,
    jpeg_claiming,
    jpeg_with,
    png_with,
    segment,
    webp_canvas,
    webp_claiming,
    webp_of,
    webp_of_tables,
)
from tests.attacks.boxes import Item
from tests.attacks.server import MARK, TargetServer
from tools.plain_pictures import RED, encode, many_frames, many_scans, plain, png

TOO_LARGE, BROKEN = (413, "image_too_large"), (400, "bad_image")
PNG_CLAIMING = (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 6, 0, 0, 0))
    + chunk(b"IDAT", b"")
)
REFUSED: dict[str, tuple[Callable[[], bytes], tuple[int, str]]] = {
    "JPEG claims 65535x65535": (lambda: jpeg_claiming(65_535), TOO_LARGE),
    "JPEG of 100,000 scans": (lambda: many_scans(100_000, (7000, 7000)), BROKEN),
    "JPEG in arithmetic coding": (
        lambda: many_scans(32, (7000, 7000)).replace(b"\xff\xc2", b"\xff\xca", 1),
        BROKEN,
    ),
    "lossless JPEG": (lambda: jpeg_claiming(7000, 0xC3), BROKEN),
    "hierarchical JPEG": (lambda: jpeg_claiming(7000, 0xC5), BROKEN),
    "JPEG of two million segments": (lambda: jpeg_with(segment(0xE5, b"") * 2_400_000), BROKEN),
    "JPEG of tiny EXIF segments": (
        lambda: jpeg_with(segment(0xE1, b"Exif\0\0x") * 900_000),
        BROKEN,
    ),
    "JPEG of tiny segments after a reserved marker": (
        lambda: jpeg_with(segment(0xF0, segment(0xE1, b"Exif\0\0x") * 5900) * 100),
        BROKEN,
    ),
    "JPEG of only fill bytes": (lambda: jpeg_with(b"\xff" * 9_900_000), BROKEN),
    "JPEG of garbage": (lambda: jpeg_with(b"\xff\0" + bytes(9_900_000)), BROKEN),
    "JPEG of many tables": (
        lambda: jpeg_with(segment(0xDB, (b"\0" + bytes(range(1, 65))) * 1000) * 150),
        BROKEN,
    ),
    "JPEG with an end marker before any scan": (
        lambda: jpeg_with(b"\xff\xd9", segment(0xE1, b"Exif\0\0x") * 900_000),
        BROKEN,
    ),
    "PNG 20000x20000": (lambda: png(20_000, 20_000), TOO_LARGE),
    "PNG claims 2^31": (lambda: PNG_CLAIMING, TOO_LARGE),
    "PNG of 800,000 chunks": (lambda: png_with(chunk(b"prVt", MARK.encode()) * 450_000), BROKEN),
    "PNG of empty data chunks": (lambda: png_with(chunk(b"IDAT", b"") * 800_000), BROKEN),
    "APNG of 10,000 frames": (lambda: apng(10_000), BROKEN),
    "GIF claims 65535x65535": (lambda: gif_claiming(65_535, 65_535), TOO_LARGE),
    "GIF of one-byte blocks": (lambda: gif_with(b"!\xfe" + b"\x01a" * 4_900_000 + b"\0"), BROKEN),
    "GIF of empty comments": (lambda: gif_with(b"!\xfe\0" * 3_300_000), BROKEN),
    "GIF of garbage": (lambda: gif_with(bytes(9_900_000)), BROKEN),
    "WebP claims 16384x16384": (lambda: webp_claiming(16_384), TOO_LARGE),
    "WebP canvas of 2^24": (lambda: webp_canvas(1 << 24), TOO_LARGE),
    "WebP canvas of 12000": (lambda: webp_canvas(12_000), TOO_LARGE),
    "AVIF 4000x4000": (lambda: boxes.avif(4000), TOO_LARGE),
    "AVIF 4000x4000 that claims 64x64": (
        lambda: boxes.claiming(boxes.avif(4000), 64, 64),
        TOO_LARGE,
    ),
    "animated AVIF": (lambda: animated("AVIF"), (415, "unsupported_image_type")),
    "HEIC claims 60000x60000": (lambda: boxes.claiming(boxes.HEIC, 60_000, 60_000), BROKEN),
    "HEIC coded as 16000x16000": (lambda: boxes.heic_coded(16_000, 16_000), BROKEN),
    "HEIC of 900 pictures with 9 MB of metadata": (
        lambda: boxes.heic_with_metadata(900, bytes(9_000_000)),
        BROKEN,
    ),
    # libheif before 1.23.2 wrote out of bounds when it decoded nested items (CVE-2026-84383).
    "HEIC shows an identity item": (lambda: boxes.heic_derived([b"iden"]), BROKEN),
    "HEIC shows an overlay": (lambda: boxes.heic_derived([b"iovl"]), BROKEN),
    "HEIC of 40 nested identity items": (
        lambda: boxes.heic_derived([b"iden"] * 40, primary=1),
        BROKEN,
    ),
    "HEIC grid of an identity item": (lambda: boxes.heic_derived([b"iden", b"grid"]), BROKEN),
    "HEIC shows an auxiliary picture": (
        lambda: boxes.heic_derived([b"grid"], auxiliary=[(2, 1)]),
        BROKEN,
    ),
    "HEIC with an identity item as transparency": (
        lambda: boxes.heic_derived([b"iden"], auxiliary=[(2, 1)], primary=1),
        BROKEN,
    ),
    "HEIC with transparency of transparency": (
        lambda: boxes.heic_derived([b"grid", b"grid"], auxiliary=[(2, 1), (3, 2)], primary=1),
        BROKEN,
    ),
    # What a decoder decodes can be much more than what it shows.
    "HEIC grid of 64x64 that shows the corner of 5000x5000": (
        lambda: boxes.heic_of(
            Item(size=(5000, 5000)), Item(b"grid", (64, 64), boxes.grid(1, 1, (64, 64)), [1])
        ),
        BROKEN,
    ),
    "HEIC grid that states 64x64 and is 9000x9000": (
        lambda: boxes.heic_of(Item(), Item(b"grid", (64, 64), boxes.grid(1, 1, (9000, 9000)), [1])),
        BROKEN,
    ),
    "HEIC of 64x64 cropped from 8000x8000": (
        lambda: boxes.heic_of(Item(size=(8000, 8000)), more_properties=[boxes.crop(64, 64)]),
        TOO_LARGE,
    ),
    "HEIC of 64x64 with transparency of 5000x5000": (
        lambda: boxes.heic_of(Item(size=(5000, 5000)), Item(), auxiliary=[(1, 2)]),
        BROKEN,
    ),
    "HEIC with 100 pictures before the one that is shown": (
        lambda: boxes.heic_of(Item(size=(2000, 1500), data=Item().data * 101)),
        BROKEN,
    ),
    "HEIC with 3,000 small pictures before the one that is shown": (
        lambda: boxes.heic_of(Item(data=Item().data * 3000)),
        BROKEN,
    ),
    "HEIC with a picture in the decoder's configuration": (
        lambda: boxes.heic_of(Item(hvcc=boxes.hvcc_with_a_picture())),
        BROKEN,
    ),
    "HEIC that lists its bytes 31 times": (
        lambda: boxes.heic_of(
            Item(data=Item().data + struct.pack(">IB", 100_001, 78) + bytes(100_000), extents=31)
        ),
        BROKEN,
    ),
    "HEIC grid that decodes one tile of 1 MB 100 times": (
        lambda: boxes.heic_of(
            Item(data=Item().data + struct.pack(">IB", 1_000_001, 78) + bytes(1_000_000)),
            Item(b"grid", (640, 480), boxes.grid(10, 10, (640, 480)), [1] * 100),
        ),
        BROKEN,
    ),
    "HEIC with two items of one number": (
        lambda: boxes.heic_of(Item(), Item()).replace(b"infe\2\0\0\0\0\2", b"infe\2\0\0\0\0\1"),
        BROKEN,
    ),
    "AVIF with 20 frames before the one that is shown": (
        lambda: boxes.heic_of(
            Item(b"av01", (64, 64), boxes.avif_data(64) + b"\x32\0" * 20), brand=b"avif"
        ),
        BROKEN,
    ),
    "HEIC of a million boxes": (lambda: boxes.heic_in_boxes(1_000_000), BROKEN),
}


def animated(kind: str) -> bytes:
    """Return an animated picture with three frames."""
    frames = [Image.new("RGB", (64, 64), (200, 20, 20 + at)) for at in range(3)]
    return encode(frames[0], kind, save_all=True, append_images=frames[1:])


# Names of the refused files that do reach a decoder: libheif itself finds that the size of the
# coded picture is not the one that the file claims.
DECODED = ("HEIC claims", "HEIC coded")

# The largest pictures that are accepted, and pictures with many frames or parts that are harmless.
READ: dict[str, Callable[[], bytes]] = {
    "PNG 50 MP with four channels of 16 bits": lambda: png(7000, 7000, bits=16, colour_type=6),
    "JPEG 50 MP in 32 scans": lambda: many_scans(32, (7000, 7000)),
    "WebP 13.7 MP": lambda: plain(kind="WEBP", size=(3700, 3700)),
    "WebP with 65,536 code tables": webp_of_tables,
    "AVIF 13.7 MP": lambda: boxes.avif(3700),
    "GIF 49 MP": lambda: plain(kind="GIF", size=(7000, 7000)),
    "GIF of 10,000 frames": lambda: gif_of(10_000),
    "GIF of 60 frames": many_frames,
    "WebP of 10,000 frames": lambda: webp_of(10_000),
    "APNG of 2,000 frames": lambda: apng(2_000),
    "HEIC grid of four tiles": lambda: boxes.heic_of(
        *[Item()] * 4, Item(b"grid", (128, 128), boxes.grid(2, 2, (128, 128)), [1, 2, 3, 4])
    ),
    "HEIC with transparency": lambda: boxes.heic_of(Item(), Item(), auxiliary=[(1, 2)]),
    "HEIC cropped": lambda: boxes.heic_of(Item(), more_properties=[boxes.crop(40, 40)]),
    "AVIF in the boxes of a HEIC": lambda: boxes.heic_of(
        Item(b"av01", (64, 64), boxes.avif_data(64)), brand=b"avif"
    ),
    "HEIC grid of one tile": lambda: boxes.heic_derived([b"grid"]),
    "HEIC of two pictures": lambda: boxes.heic_with_metadata(2, b"\0\0\0\0" + bytes(50)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_picture_bomb_is_refused(server: TargetServer, name: str) -> None:
    make, (status, code) = REFUSED[name]
    body = server.post(make()).check(status, code)
    if (status, code) == BROKEN and not name.startswith(DECODED):
        assert "truncated or corrupt" not in body["error"], (
            "the file must be refused before it reaches a decoder"
        )


@pytest.mark.parametrize("name", READ)
def test_expensive_picture_within_the_limits_is_decoded(server: TargetServer, name: str) -> None:
    reply = server.post(READ[name]())
    assert reply.status in (200, 422), reply.raw
    reply.check(reply.status, None if reply.status == 200 else "unreadable")


def unusual_pictures() -> dict[str, bytes]:
    """Return pictures with sizes and colours that no camera produces, by name."""
    red = Image.new("RGB", (64, 48), RED)
    half = Image.new("RGBA", (64, 48), (*RED, 90))
    palette = red.quantize(4)
    grey16 = Image.fromarray(np.full((48, 64), 40_000, np.uint16))
    return {
        "1x1": plain(size=(1, 1)),
        "1x1 GIF": plain(kind="GIF", size=(1, 1)),
        "1x30000": plain(size=(1, 30_000)),
        "30000x1": plain(size=(30_000, 1)),
        "30000x1 PNG": plain(kind="PNG", size=(30_000, 1)),
        "1x16000 WebP": plain(kind="WEBP", size=(1, 16_000)),
        "palette with transparency": encode(palette, "PNG", transparency=bytes([0, 90, 255, 255])),
        "palette GIF with transparency": encode(palette, "GIF", transparency=0),
        "grey of 16 bits": encode(grey16, "PNG"),
        "colour of 16 bits": png(40, 40, bits=16, colour_type=2),
        "CMYK": encode(red.convert("CMYK"), "JPEG"),
        "YCCK": encode(red.convert("CMYK"), "JPEG").replace(
            b"Adobe\0\x64\0\0\0\0\0", b"Adobe\0\x64\0\0\0\0\2"
        ),
        "grey": encode(red.convert("L"), "JPEG"),
        "grey with transparency": encode(half.convert("LA"), "PNG"),
        "one bit": encode(red.convert("1"), "PNG"),
        "one bit, one pixel": png(1, 1),
        "half transparent WebP": encode(half, "WEBP", lossless=True),
        "half transparent AVIF": encode(half, "AVIF"),
        "JPEG with restarts": encode(red, "JPEG", restart_marker_blocks=1),
        "progressive": encode(red, "JPEG", progressive=True),
    }


@pytest.mark.parametrize("name", unusual_pictures())
def test_unusual_picture_is_read_or_refused_as_unreadable(server: TargetServer, name: str) -> None:
    reply = server.post(unusual_pictures()[name])
    assert reply.status in (200, 422), reply.raw
    reply.check(reply.status, None if reply.status == 200 else "unreadable")


def test_damaged_jpeg_is_read_or_refused(server: TargetServer) -> None:
    for at in range(20, len(JPEG), 37):
        reply = server.post(JPEG[:at] + bytes([JPEG[at] ^ 0xFF]) + JPEG[at + 1 :])
        assert reply.status in (200, 400, 413, 415, 422), reply.raw


def test_picture_bomb_in_a_batch_does_not_affect_other_photos(server: TargetServer) -> None:
    pictures = [
        plain(),
        png(20_000, 20_000),
        jpeg_with(segment(0xE5, b"") * 100_000),
        webp_claiming(16_384),
        plain(size=(70, 40)),
    ]
    form = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        + picture
        + b"\r\n"
        for picture in pictures
    )
    body = server.post(
        form + b"--b--\r\n", "multipart/form-data; boundary=b", "/predict/batch"
    ).check(200)
    results = [each.get("bitting") or each["code"] for each in body["results"]]
    assert results == ["2,5,4,7,3", "image_too_large", "bad_image", "image_too_large", "2,5,4,7,3"]


def test_server_is_healthy_after_all_attacks(server: TargetServer) -> None:
    """Allow more memory than other modules do, because a lossless WebP needs it for decoding."""
    server.check_healthy(max_peak_mb=550)


def test_lossless_webp_pictures_are_decoded_one_at_a_time(server: TargetServer) -> None:
    """Check that four concurrent bombs take no more memory than one."""
    server.reset_memory()
    bomb = webp_of_tables()
    with ThreadPoolExecutor(4) as clients:
        replies = list(clients.map(lambda at: server.post(bomb + bytes(at)), range(4)))
    assert {reply.status for reply in replies} <= {200, 422}
    server.check_healthy(max_peak_mb=550)
