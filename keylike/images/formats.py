"""Recognize the format of a file by its first bytes."""

from __future__ import annotations

ACCEPTED = ("JPEG", "PNG", "WEBP", "HEIC", "AVIF", "GIF")
_HEIC_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)
_AVIF_BRANDS = frozenset({b"avif", b"avis"})

# Names of formats that are refused, by the first bytes of their files. They are used in messages.
_OTHERS = (
    (b"II*\0", "TIFF or camera raw"),
    (b"MM\0*", "TIFF or camera raw"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"IIRO", "Camera raw"),
    (b"IIU\0", "Camera raw"),
    (b"FUJIFILMCCD-RAW", "Camera raw"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\1\0", "Icon"),
    (b"8BPS", "Photoshop"),
    (b"%PDF-", "PDF"),
    (b"<svg", "SVG"),
    (b"<?xml", "SVG"),
    (b"\x1aE\xdf\xa3", "Video"),
)
# Possible sizes in bytes of the second header of a bitmap (BMP). The first header has 14 bytes.
_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})


def image_format(data: bytes) -> str | None:
    """Return the format by the first bytes of a file, or None if it is not in `ACCEPTED`."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return _iso_media_format(data)
    return None


def other_format(data: bytes) -> str | None:
    """Return the name of a known format that is not in `ACCEPTED`, or None. For messages."""
    if data[4:8] == b"ftyp":
        return None if _iso_media_format(data) else "Video"
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    return next((name for beginning, name in _OTHERS if data.startswith(beginning)), None)


def _iso_media_format(data: bytes) -> str | None:
    """Return HEIC or AVIF by the brands of the `ftyp` box (ISO 14496-12).

    MP4 and CR3 files start with the same box.
    """
    end = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    if brands & _HEIC_BRANDS:
        return "HEIC"
    return None
