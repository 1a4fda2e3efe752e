"""Tests of attacks with metadata, which is too large, circular or executable, and of polyglots.

A polyglot is a file that is valid in two formats.
"""

from __future__ import annotations

import io
import struct
import zipfile

import pytest
from PIL import Image

from tests.attacks import boxes
from tests.attacks.bombs import (
    JPEG,
    chunk,
    compressed_zeros,
    exif,
    gif_with,
    in_segments,
    jpeg_with,
    png_with,
    riff,
    segment,
)
from tests.attacks.server import MARK, TargetServer
from tools.plain_pictures import RED, encode, plain

BROKEN = (400, "bad_image")
FIELD = MARK.encode()


def entry(tag: int, kind: int, count: int, value: int) -> bytes:
    """Return an entry of an EXIF directory."""
    return struct.pack("<HHLL", tag, kind, count, value)


# An EXIF directory whose entries point back to the directory itself, once for each kind of
# pointer.
CIRCULAR = exif(b"".join(entry(tag, 4, 1, 8) for tag in (0x014A, 0x8769, 0x8825, 0xA005)), 4)
# An EXIF directory with 65,535 entries that all refer to the same 2 MB.
SHARED = exif(
    b"".join(entry(tag, 1, 2_000_000, 10) for tag in range(65_535)), 65_535, bytes(2_000_000)
)
TEXT = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>" + FIELD * 6000

READ = {
    "9 MB of EXIF": jpeg_with(*[segment(0xE1, b"Exif\0\0" + FIELD * 2300)] * 390),
    "9 MB of XMP": jpeg_with(*[segment(0xE1, TEXT)] * 140),
    "9 MB of colour profile": jpeg_with(
        *[
            segment(0xE2, b"ICC_PROFILE\0" + bytes([at + 1, 140]) + FIELD * 6000)
            for at in range(140)
        ]
    ),
    "9 MB of comments": jpeg_with(*[segment(0xFE, FIELD * 6000)] * 140),
    "9 MB of Photoshop resources": jpeg_with(
        *[segment(0xED, b"Photoshop 3.0\0" + (b"8BIM\0\1\0\0" + bytes(4)) * 5400)] * 140
    ),
    "circular EXIF": jpeg_with(segment(0xE1, b"Exif\0\0" + CIRCULAR)),
    "EXIF with shared data": jpeg_with(in_segments(SHARED)),
    "EXIF that points outside": jpeg_with(
        segment(0xE1, b"Exif\0\0" + exif(entry(0x0112, 3, 1 << 31, 0xFFFFFFFF), 1))
    ),
    "EXIF with two orientations": jpeg_with(
        segment(0xE1, b"Exif\0\0" + exif(entry(0x0112, 3, 1, 6) + entry(0x0112, 3, 1, 99), 2))
    ),
    "MPO that points outside": jpeg_with(
        segment(
            0xE2, b"MPF\0" + exif(entry(0xB001, 4, 1, 1 << 31) + entry(0xB002, 7, 1 << 31, 8), 2)
        )
    ),
    "EXIF with shared data in a PNG": png_with(chunk(b"eXIf", SHARED)),
    "EXIF with shared data in a WebP": riff(
        (b"VP8X", b"\x08\0\0\0" + b"\x77\0\0\x3b\0\0"),
        (b"VP8 ", plain(kind="WEBP")[20:]),
        (b"EXIF", SHARED),
    ),
    "meaningless colour profile": png_with(chunk(b"iCCP", b"x\0\0" + compressed_zeros(900_000))),
    "broken colour profile": png_with(
        chunk(b"iCCP", b"x\0\0" + compressed_zeros(900_000, broken=True))
    ),
    "colour profile in a WebP": riff(
        (b"VP8X", b"\x20\0\0\0" + b"\x77\0\0\x3b\0\0"),
        (b"ICCP", FIELD * 90_000),
        (b"VP8 ", plain(kind="WEBP")[20:]),
    ),
    "900 kB of comments in a GIF": gif_with(
        b"!\xfe" + (b"\xff" + (FIELD * 30)[:255]) * 3600 + b"\0"
    ),
    "9 MB of text in a PNG": png_with(chunk(b"tEXt", b"k\0" + FIELD * 900_000)),
    "text that expands to 1 GB": png_with(
        chunk(b"zTXt", b"k\0\0" + compressed_zeros(1_000_000_000))
    ),
    "international text that expands to 1 GB": png_with(
        chunk(b"iTXt", b"k\0\1\0\0\0" + compressed_zeros(1_000_000_000))
    ),
    "colour profile that expands to 1 GB": png_with(
        chunk(b"iCCP", b"k\0\0" + compressed_zeros(1_000_000_000))
    ),
    "9 MB of EXIF in a HEIC": boxes.heic_with_metadata(1, b"\0\0\0\0" + FIELD * 900_000),
}
REFUSED = {
    "8,800 texts of 1 MB that are broken at the end": png_with(
        chunk(b"zTXt", b"k\0\0" + compressed_zeros(1_000_000, broken=True)) * 8800
    ),
    "8,800 colour profiles of 1 MB": png_with(
        chunk(b"iCCP", b"k\0\0" + compressed_zeros(1_000_000, broken=True)) * 8800
    ),
    "9 MB of metadata for 100 pictures": boxes.heic_with_metadata(100, bytes(9_000_000)),
}


@pytest.mark.parametrize("name", READ)
def test_large_metadata_is_ignored(server: TargetServer, name: str) -> None:
    reply = server.post(READ[name])
    assert reply.status in (200, 422), reply.raw
    reply.check(reply.status, None if reply.status == 200 else "unreadable")


@pytest.mark.parametrize("name", REFUSED)
def test_metadata_bomb_is_refused(server: TargetServer, name: str) -> None:
    server.post(REFUSED[name]).check(*BROKEN)


@pytest.mark.parametrize("orientation", [0, 9, 255, 65_535, -1])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_invalid_exif_orientation_is_ignored(
    server: TargetServer, kind: str, orientation: int
) -> None:
    block = exif(entry(0x0112, 4, 1, orientation & 0xFFFFFFFF), 1)
    picture = encode(Image.new("RGB", (120, 60), RED), kind, exif=b"Exif\0\0" + block)
    assert server.post(picture).check(200)["bitting"] == "2,5,4,7,3"


def zipped() -> bytes:
    """Return a small ZIP archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(MARK, MARK)
    return buffer.getvalue()


HTML = f"<html><script>alert('{MARK}')</script>".encode()
POLYGLOTS = {
    "JPEG with HTML inside": jpeg_with(segment(0xFE, HTML)),
    "JPEG followed by HTML": JPEG + HTML,
    "JPEG and ZIP": JPEG + zipped(),
    "GIF and JavaScript": gif_with(b"!\xfe\x0f*/=1;alert(1)//\0") + b"/*" + HTML,
    "PNG and PHP": png_with(chunk(b"tEXt", b"<?php system('id') ?>\0" + HTML)),
    "JPEG and PDF": JPEG + b"%PDF-1.7\n" + HTML,
}
NOT_PICTURES = {
    "ZIP": zipped(),
    "PDF": b"%PDF-1.7\n" + HTML,
    "HTML": HTML,
    "SVG": b"<svg onload='alert(1)'>" + HTML,
    "ZIP and JPEG": zipped() + JPEG,
}


@pytest.mark.parametrize("name", POLYGLOTS)
def test_polyglot_file_is_read_as_a_photo_only(server: TargetServer, name: str) -> None:
    reply = server.post(POLYGLOTS[name], "image/jpeg")
    assert reply.check(200)["bitting"] == "2,5,4,7,3"
    assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", NOT_PICTURES)
@pytest.mark.parametrize("kind", ["image/jpeg", "image/svg+xml", "application/octet-stream"])
def test_other_file_with_an_image_type_is_refused(
    server: TargetServer, name: str, kind: str
) -> None:
    reply = server.post(NOT_PICTURES[name], kind)
    reply.check(415, "unsupported_image_type")
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_content_type_of_another_format_has_no_effect(server: TargetServer) -> None:
    for kind in ("image/png", "image/gif", "image/x-anything", "application/octet-stream"):
        assert server.post(JPEG, kind).check(200)["bitting"] == "2,5,4,7,3"


def test_server_is_healthy_after_all_attacks(server: TargetServer) -> None:
    server.check_healthy(max_peak_mb=300)
