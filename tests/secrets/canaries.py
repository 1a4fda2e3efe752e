"""Canaries: unique strings for every field of a request, and a function that searches for them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path

from PIL import Image
from PIL.TiffImagePlugin import IFDRational

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
LABELS = {
    label["file"]: label
    for label in map(json.loads, (SAMPLES / "labels.jsonl").read_text().splitlines())
}
# The photographed key. It is not the first sample, because the start message of the server shows
# the code of that one on purpose.
KEY = LABELS["sc4_01.jpg"]

TOKEN = "c4nary-T0ken-3b1f0c9a77d2"
WRONG_TOKEN = "c4nary-Wr0ng-5521fd80aa13"
ZIPCODE = "73919"
ADDRESS = "127.0.0.77"
FORWARDED = "198.51.100.213"
WORD = "c4nary"  # appears in every name, field, header and text of a request
LATITUDE, LONGITUDE = 48.137913, 11.575491


def photo_with_location() -> bytes:
    """Return a photo with canaries and a location in every kind of metadata that Pillow writes."""
    exif = Image.Exif()
    exif[0x010E] = "c4nary-description"
    exif[0x013B] = "c4nary-artist"
    exif.get_ifd(0x8769)[0x927C] = b"c4nary-makers-note"
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0c4nary-comment"
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2] = "N", _degrees(LATITUDE)
    gps[3], gps[4] = "E", _degrees(LONGITUDE)
    gps[27] = b"ASCII\0\0\0c4nary-place"
    buffer = io.BytesIO()
    with Image.open(SAMPLES / KEY["file"]) as image:
        image.save(
            buffer,
            "JPEG",
            quality=95,
            exif=exif,
            comment=b"c4nary-jpeg-comment",
            xmp=b"<x:xmpmeta>c4nary-xmp</x:xmpmeta>",
        )
    return buffer.getvalue()


def _degrees(value: float) -> tuple[IFDRational, ...]:
    minutes = value % 1 * 60
    return (
        IFDRational(int(value)),
        IFDRational(int(minutes)),
        IFDRational(round(minutes % 1 * 60 * 10_000), 10_000),
    )


def _separated(digits: str) -> str:
    """Return a pattern that finds these digits in a text, but not inside a longer number.

    The digits may be separated, each time by the same characters.
    """
    first, rest = digits[0], digits[1:]
    separator = r"(?P<separator>[^\w]{0,3})"
    tail = "".join(
        (separator if not at else r"(?P=separator)") + digit for at, digit in enumerate(rest)
    )
    return rf"(?<![\w.:]){first}{tail}(?![\w.])"


SECRETS: Mapping[str, str] = {
    "a canary": re.escape(WORD),
    "a token": rf"{re.escape(TOKEN[7:])}|{re.escape(WRONG_TOKEN[7:])}",
    "the address": re.escape(ADDRESS),
    "the forwarded address": re.escape(FORWARDED),
    "the zipcode": rf"(?<![\w.:]){ZIPCODE}(?![\w.])",
    "the location": rf"{LATITUDE:.3f}|{LONGITUDE:.3f}",
    "the code": _separated("".join(map(str, KEY["bitting"]))),
}


def found(text: str | bytes, *allowed: str) -> list[str]:
    """Return the names of the secrets in `text`, without the `allowed` ones."""
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    return [
        name
        for name, pattern in SECRETS.items()
        if name not in allowed and re.search(pattern, text)
    ]
