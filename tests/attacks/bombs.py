"""Build JPEG, PNG, GIF and WebP files that are small to send and expensive to decode."""

from __future__ import annotations

import struct
import zlib
from functools import cache

from PIL import Image

from tools.plain_pictures import RED, encode, plain

JPEG, PNG, GIF = plain(), plain(kind="PNG"), plain(kind="GIF")


def segment(marker: int, content: bytes) -> bytes:
    """Return a JPEG segment."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def jpeg_with(*parts: bytes) -> bytes:
    """Return a JPEG photo with `parts` inserted after its first marker."""
    return JPEG[:2] + b"".join(parts) + JPEG[2:]


def jpeg_claiming(side: int, marker: int = 0xC0) -> bytes:
    """Return a JPEG of 16 by 16 pixels whose header claims a larger size and another coding.

    Args:
        side: Claimed width and height in pixels.
        marker: Start-of-frame marker, which names the coding of the pixels.
    """
    small = plain(size=(16, 16))
    at = small.index(b"\xff\xc0")
    return (
        small[:at]
        + bytes([0xFF, marker])
        + small[at + 2 : at + 5]
        + struct.pack(">HH", side, side)
        + small[at + 9 :]
    )


def exif(entries: bytes, count: int, rest: bytes = b"") -> bytes:
    """Return a little-endian EXIF block whose first directory has `entries`."""
    return b"II*\0\x08\0\0\0" + struct.pack("<H", count) + entries + bytes(4) + rest


def in_segments(block: bytes) -> bytes:
    """Split an EXIF block into APP1 segments."""
    return b"".join(
        segment(0xE1, b"Exif\0\0" + block[at : at + 65_000]) for at in range(0, len(block), 65_000)
    )


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a PNG chunk."""
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png_with(*chunks: bytes) -> bytes:
    """Return a PNG with `chunks` inserted before its pixels."""
    return PNG[:33] + b"".join(chunks) + PNG[33:]


@cache
def compressed_zeros(size: int, *, broken: bool = False) -> bytes:
    """Return zlib data that expands to `size` zeros, or to an error near the end if `broken`."""
    # Compressing a gigabyte would take seconds. So repeat one compressed block that does not refer
    # to earlier data.
    step = min(size, 1_000_000)
    block = zlib.compressobj(9, wbits=-15)
    whole = block.compress(bytes(step)) + block.flush(zlib.Z_FULL_FLUSH)
    start = b"\x78\xda" + whole * (size // step)
    if broken:
        return start + b"\xff" * 40
    last = zlib.compressobj(9, wbits=-15)
    rest = last.compress(bytes(size % step)) + last.flush()
    # The end is the Adler-32 checksum of `size` zeros.
    return start + rest + struct.pack(">HH", size % 65_521, 1)


def apng(frames: int) -> bytes:
    """Return an animated PNG."""
    animation = b"".join(
        chunk(b"fcTL", struct.pack(">IIIIIHHBB", 2 * at, 1, 1, 0, 0, 1, 10, 0, 0))
        + chunk(b"fdAT", struct.pack(">I", 2 * at + 1) + bytes(9))
        for at in range(frames)
    )
    return (
        PNG[:33]
        + chunk(b"acTL", struct.pack(">II", frames, 0))
        + PNG[33:-12]
        + animation
        + PNG[-12:]
    )


def _gif_head() -> int:
    return 13 + (3 << (GIF[10] & 7) + 1 if GIF[10] & 128 else 0)


def gif_with(blocks: bytes) -> bytes:
    """Return a GIF with `blocks` inserted before its picture."""
    return GIF[: _gif_head()] + blocks + GIF[_gif_head() :]


def gif_of(frames: int) -> bytes:
    """Return a GIF that repeats one frame."""
    return GIF[: _gif_head()] + GIF[_gif_head() : -1] * frames + b";"


def gif_claiming(width: int, height: int) -> bytes:
    """Return a small GIF whose header claims a canvas of this size in pixels."""
    return GIF[:6] + struct.pack("<HH", width, height) + GIF[10:]


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """Return a WebP file of `chunks`."""
    content = b"".join(
        name + struct.pack("<I", len(body)) + body + bytes(len(body) & 1) for name, body in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(content)) + b"WEBP" + content


def webp_claiming(side: int) -> bytes:
    """Return a small lossless WebP whose header claims this width and height in pixels."""
    return riff((b"VP8L", b"\x2f" + struct.pack("<I", (side - 1) | (side - 1) << 14) + bytes(20)))


def webp_canvas(side: int) -> bytes:
    """Return a small animated WebP whose header claims a canvas of this width and height."""
    return webp_of(2)[:24] + 2 * (side - 1).to_bytes(3, "little") + webp_of(2)[30:]


def webp_of(frames: int) -> bytes:
    """Return an animated WebP that repeats its last frame."""
    two = encode(
        Image.new("RGB", (60, 40), RED),
        "WEBP",
        save_all=True,
        append_images=[Image.new("RGB", (60, 40), (20, 20, 99))],
    )
    last = two[two.rindex(b"ANMF") :]
    data = two + last * (frames - 2)
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


class _BitWriter:
    """A writer of bits, least significant first, as in lossless WebP."""

    def __init__(self) -> None:
        self._value, self._count = 0, 0
        self._written = bytearray()

    def put(self, value: int, count: int) -> None:
        """Write the low `count` bits of `value`."""
        self._value |= value << self._count
        self._count += count
        while self._count >= 8:
            self._written.append(self._value & 255)
            self._value, self._count = self._value >> 8, self._count - 8

    def getvalue(self) -> bytes:
        """Return everything written."""
        return bytes(self._written) + bytes([self._value & 255])


def _put_single_symbol_code(bits: _BitWriter) -> None:
    bits.put(0b0001, 4)


def _put_byte_code(bits: _BitWriter, alphabet: int) -> None:
    """Write a prefix code with 8 bits for 256 symbols and none for the rest of the alphabet."""
    order = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8]
    bits.put(0, 1)
    bits.put(len(order) - 4, 4)
    for symbol in order:
        bits.put(symbol in (8, 18), 3)
    bits.put(0, 1)
    bits.put(0, 256)
    if alphabet > 256:
        bits.put(1, 1)
        bits.put(alphabet - 256 - 11, 7)


def webp_of_tables(side: int = 1024, groups: int = 65_536) -> bytes:
    """Return a lossless WebP of one colour with the largest possible number of code tables.

    Each block of 4 by 4 pixels may use another table.
    """
    bits = _BitWriter()
    bits.put(0x2F, 8)
    bits.put(side - 1, 14)
    bits.put(side - 1, 14)
    bits.put(0, 1 + 3 + 1 + 1)
    bits.put(1, 1)
    bits.put(0, 3 + 1)
    _put_byte_code(bits, 280)
    _put_byte_code(bits, 256)
    for _ in range(3):
        _put_single_symbol_code(bits)
    reversed_bits = [int(f"{byte:08b}"[::-1], 2) for byte in range(256)]
    for block in range((side // 4) ** 2):
        bits.put(reversed_bits[block % groups & 255] | reversed_bits[block % groups >> 8] << 8, 16)
    for _ in range(5 * groups):
        _put_single_symbol_code(bits)
    return riff((b"VP8L", bits.getvalue() + bytes(16)))
