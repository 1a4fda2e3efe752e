"""Reads how large a picture coded in AV1 is by its own first bits (AV1 bitstream specification 1.0.0, 5.3 and 5.5)."""

from __future__ import annotations

from collections.abc import Iterator

from keylike.errors import BadImage

Size = tuple[int, int]

_SEQUENCE_HEADER = 1
# A picture has a handful of units; they are gone through one by one, in Python.
_MOST_UNITS = 2000
# More than a sequence header can take.
_HEADER_BYTES = 1000


def sizes(data: bytes) -> Iterator[Size]:
    """The largest width and height of every sequence header, in pixels. Raises BadImage where they cannot be told."""
    at = 0
    for _ in range(_MOST_UNITS):
        if at >= len(data):
            return
        head, at = data[at], at + 1 + (data[at] >> 2 & 1)
        size = len(data) - at
        if head & 2:
            size, at = _leb128(data, at)
        if head >> 3 & 15 == _SEQUENCE_HEADER:
            yield _sequence(_Bits(data[at : at + min(size, _HEADER_BYTES)]))
        at += size
    raise BadImage(
        "The coded picture is in more pieces than any encoder writes.", max_pieces=_MOST_UNITS
    )


class _Bits:
    """Takes bits from the front of some bytes. Raises BadImage at their end."""

    def __init__(self, data: bytes) -> None:
        self._number, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        """The next `count` bits as a number."""
        self._left -= count
        if self._left < 0:
            raise BadImage("The coded picture's header is broken off.")
        return self._number >> self._left & (1 << count) - 1

    def skip_golomb(self) -> None:
        """Passes over a number in exponential Golomb code."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        self.take(zeros)


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(data[at : at + 8]):
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, at + place + 1
    raise BadImage("The coded picture's header is broken off.")


def _sequence(bits: _Bits) -> Size:
    bits.take(3 + 1)
    still = bits.take(1)
    if still:
        bits.take(5)
    else:
        _skip_operating_points(bits)
    across, down = bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(across) + 1, bits.take(down) + 1
    # Only a still picture's frame is bound by these: any other may say its own size, in so many bits.
    return (width, height) if still else (1 << across, 1 << down)


def _skip_operating_points(bits: _Bits) -> None:
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
