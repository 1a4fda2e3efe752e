"""What is said beside a picture: too much of it, in circles, or meant for somebody else; and files that are two things at once."""

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
    exif,
    gif_with,
    in_segments,
    jpeg_with,
    packed,
    png_with,
    riff,
    segment,
)
from tests.attacks.server import MARK, Attacked
from tools.plain_pictures import RED, encode, plain

BROKEN = (400, "bad_image")
FIELD = MARK.encode()


def entry(tag: int, kind: int, count: int, value: int) -> bytes:
    """An entry of an EXIF directory."""
    return struct.pack("<HHLL", tag, kind, count, value)


# Each points to where it lies itself, and is of all kinds of directory that there are.
ROUND = exif(b"".join(entry(tag, 4, 1, 8) for tag in (0x014A, 0x8769, 0x8825, 0xA005)), 4)
# 65,535 entries that each claim the same megabytes.
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
    "9 MB of Photoshop's": jpeg_with(
        *[segment(0xED, b"Photoshop 3.0\0" + (b"8BIM\0\1\0\0" + bytes(4)) * 5400)] * 140
    ),
    "EXIF in circles": jpeg_with(segment(0xE1, b"Exif\0\0" + ROUND)),
    "EXIF of entries that share": jpeg_with(in_segments(SHARED)),
    "EXIF that points outside": jpeg_with(
        segment(0xE1, b"Exif\0\0" + exif(entry(0x0112, 3, 1 << 31, 0xFFFFFFFF), 1))
    ),
    "EXIF of several orientations": jpeg_with(
        segment(0xE1, b"Exif\0\0" + exif(entry(0x0112, 3, 1, 6) + entry(0x0112, 3, 1, 99), 2))
    ),
    "MPO that points outside": jpeg_with(
        segment(
            0xE2, b"MPF\0" + exif(entry(0xB001, 4, 1, 1 << 31) + entry(0xB002, 7, 1 << 31, 8), 2)
        )
    ),
    "EXIF in a PNG that shares": png_with(chunk(b"eXIf", SHARED)),
    "EXIF in a WebP that shares": riff(
        (b"VP8X", b"\x08\0\0\0" + b"\x77\0\0\x3b\0\0"),
        (b"VP8 ", plain(kind="WEBP")[20:]),
        (b"EXIF", SHARED),
    ),
    "colour profile of garbage": png_with(chunk(b"iCCP", b"x\0\0" + packed(900_000))),
    "colour profile that is broken": png_with(
        chunk(b"iCCP", b"x\0\0" + packed(900_000, broken=True))
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
    "9 MB of EXIF in a HEIC": boxes.heic_of(1, b"\0\0\0\0" + FIELD * 900_000),
}
REFUSED = {
    "text that unpacks to a gigabyte": png_with(chunk(b"zTXt", b"k\0\0" + packed(1_000_000_000))),
    "international text that unpacks to a gigabyte": png_with(
        chunk(b"iTXt", b"k\0\1\0\0\0" + packed(1_000_000_000))
    ),
    "8,800 texts of a megabyte that are broken at the end": png_with(
        chunk(b"zTXt", b"k\0\0" + packed(1_000_000, broken=True)) * 8800
    ),
    "8,800 colour profiles of a megabyte": png_with(
        chunk(b"iCCP", b"k\0\0" + packed(1_000_000, broken=True)) * 8800
    ),
    "9 MB said of each of 100 pictures": boxes.heic_of(100, bytes(9_000_000)),
}


@pytest.mark.parametrize("name", READ)
def test_metadata_is_passed_over(server: Attacked, name: str) -> None:
    reply = server.post(READ[name])
    assert reply.status in (200, 422), reply.raw
    reply.check(reply.status, None if reply.status == 200 else "unreadable")


@pytest.mark.parametrize("name", REFUSED)
def test_metadata_without_end_is_refused(server: Attacked, name: str) -> None:
    server.post(REFUSED[name]).check(*BROKEN)


@pytest.mark.parametrize("turn", [0, 9, 255, 65_535, -1])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_turn_that_there_is_not_leaves_the_photo_as_it_is(
    server: Attacked, kind: str, turn: int
) -> None:
    told = exif(entry(0x0112, 4, 1, turn & 0xFFFFFFFF), 1)
    picture = encode(Image.new("RGB", (120, 60), RED), kind, exif=b"Exif\0\0" + told)
    assert server.post(picture).check(200)["bitting"] == "2,5,4,7,3"


def zipped() -> bytes:
    """A little archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(MARK, MARK)
    return buffer.getvalue()


HTML = f"<html><script>alert('{MARK}')</script>".encode()
BOTH = {
    "JPEG with HTML inside": jpeg_with(segment(0xFE, HTML)),
    "JPEG with HTML behind": JPEG + HTML,
    "JPEG and ZIP": JPEG + zipped(),
    "GIF and JavaScript": gif_with(b"!\xfe\x0f*/=1;alert(1)//\0") + b"/*" + HTML,
    "PNG and PHP": png_with(chunk(b"tEXt", b"<?php system('id') ?>\0" + HTML)),
    "JPEG and PDF": JPEG + b"%PDF-1.7\n" + HTML,
}
OTHER = {
    "ZIP": zipped(),
    "PDF": b"%PDF-1.7\n" + HTML,
    "HTML": HTML,
    "SVG": b"<svg onload='alert(1)'>" + HTML,
    "ZIP and JPEG": zipped() + JPEG,
}


@pytest.mark.parametrize("name", BOTH)
def test_two_things_at_once_are_but_a_photo(server: Attacked, name: str) -> None:
    reply = server.post(BOTH[name], "image/jpeg")
    assert reply.check(200)["bitting"] == "2,5,4,7,3"
    assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", OTHER)
@pytest.mark.parametrize("kind", ["image/jpeg", "image/svg+xml", "application/octet-stream"])
def test_no_photo_under_the_name_of_one(server: Attacked, name: str, kind: str) -> None:
    reply = server.post(OTHER[name], kind)
    reply.check(415, "unsupported_image_type")
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_the_name_of_another_format_changes_nothing(server: Attacked) -> None:
    """What it is tells the content alone."""
    for kind in ("image/png", "image/gif", "image/x-anything", "application/octet-stream"):
        assert server.post(JPEG, kind).check(200)["bitting"] == "2,5,4,7,3"


def test_all_that_left_it_well(server: Attacked) -> None:
    server.still_well(most_mb=300)
