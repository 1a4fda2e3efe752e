"""Read sizes and the number of frames of an AV1 picture (AV1 bitstream 1.0.0, 5.3, 5.5 and 5.9)."""

from __future__ import annotations

from dataclasses import dataclass

from keylike.errors import BadImage

Size = tuple[int, int]

_SEQUENCE_HEADER = 1
# Types of units that start a frame: a frame header, and a frame header with the frame.
_FRAMES = (3, 6)
# A real picture has a handful of units. This module walks through them in Python, so more would
# cost time.
_MAX_UNITS = 2000
# Number of bytes that are read of a sequence header. No real one is longer.
_MAX_HEADER_BYTES = 1000


@dataclass(frozen=True, slots=True)
class Structure:
    """Sizes and number of frames of an AV1 picture.

    Attributes:
        sizes: The largest width and height, in pixels, that each sequence header allows.
        frames: The number of frames. A decoder decodes all of them, also those it does not show.
    """

    sizes: list[Size]
    frames: int


def structure(data: bytes) -> Structure:
    """Return the sizes and the number of frames of a picture.

    Raises:
        BadImage: A header is truncated, or there are too many units.
    """
    at = frames = 0
    sizes: list[Size] = []
    for _ in range(_MAX_UNITS):
        if at >= len(data):
            return Structure(sizes, frames)
        head, at = data[at], at + 1 + (data[at] >> 2 & 1)
        size = len(data) - at
        if head & 2:
            size, at = _leb128(data, at)
        kind = head >> 3 & 15
        if kind == _SEQUENCE_HEADER:
            sizes.append(_sequence_size(_BitReader(data[at : at + min(size, _MAX_HEADER_BYTES)])))
        frames += kind in _FRAMES
        at += size
    raise BadImage("The picture has more AV1 units than any encoder writes.", max_pieces=_MAX_UNITS)


class _BitReader:
    """A reader of single bits that raises BadImage at the end of the data."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        """Return the next `count` bits as a number."""
        self._left -= count
        if self._left < 0:
            raise BadImage("The picture's AV1 header is truncated.")
        return self._number >> self._left & (1 << count) - 1

    def skip_golomb(self) -> None:
        """Skip a number in exponential Golomb code."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        self.take(zeros)


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """Return the LEB128 number at an offset, and the offset of the next byte."""
    value = 0
    for index, byte in enumerate(data[at : at + 8]):
        value |= (byte & 127) << 7 * index
        if byte < 128:
            return value, at + index + 1
    raise BadImage("The picture's AV1 header is truncated.")


def _sequence_size(bits: _BitReader) -> Size:
    bits.take(3 + 1)
    still = bits.take(1)
    if still:
        bits.take(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(width_bits) + 1, bits.take(height_bits) + 1
    # Only a still picture must have this size. Other frames may state their own size with the same
    # number of bits, so the largest number with that many bits is returned.
    return (width, height) if still else (1 << width_bits, 1 << height_bits)


def _skip_operating_points(bits: _BitReader) -> None:
    delay_bits = 0
    if bits.take(1):
        bits.take(64)
        if bits.take(1):
            bits.skip_golomb()
        if bits.take(1):
            delay_bits = bits.take(5) + 1
            bits.take(32 + 5 + 5)
    display = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if delay_bits and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if display and bits.take(1):
            bits.take(4)
