"""Count the coded slices of a HEVC picture in a HEIC file (ISO 14496-15, 8.3; ITU-T H.265, 7.3.1)."""

from __future__ import annotations

from keylike.errors import BadImage

# Types of NAL units below this one carry coded slices.
_FIRST_OTHER_TYPE = 32
# A real picture has one to three units. This module walks through them in Python, so more would
# cost time.
_MAX_UNITS = 2000
# Size in bytes of the fixed part of a decoder configuration.
_CONFIGURATION_HEAD = 22


def check_configuration(data: bytes) -> None:
    """Check a decoder configuration (`hvcC`).

    Raises:
        BadImage: The lengths in front of NAL units do not have 4 bytes, which is all that libheif
            reads, or the configuration contains coded slices, which decoders would decode.
    """
    if len(data) <= _CONFIGURATION_HEAD or data[21] & 3 != 3:
        raise BadImage("The picture's HEVC configuration has a form that no encoder writes.")
    at = _CONFIGURATION_HEAD + 1
    for _ in range(data[_CONFIGURATION_HEAD]):
        count = int.from_bytes(data[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            size = int.from_bytes(data[at : at + 2], "big")
            if at + 2 + size > len(data) or size == 0:
                raise BadImage("The picture's HEVC configuration is truncated.")
            if _type(data[at + 2]) < _FIRST_OTHER_TYPE:
                raise BadImage("The picture's HEVC configuration contains a picture.")
            at += 2 + size


def slices(data: bytes) -> int:
    """Return the number of coded slices in an item's data.

    One picture usually has one. An item may hide further pictures, which a decoder decodes although
    it does not show them.

    Raises:
        BadImage: The data is truncated, or there are too many units.
    """
    at = count = 0
    for _ in range(_MAX_UNITS):
        if at >= len(data):
            return count
        size = int.from_bytes(data[at : at + 4], "big")
        if not 0 < size <= len(data) - at - 4:
            raise BadImage("The picture's HEVC data is truncated.")
        count += _type(data[at + 4]) < _FIRST_OTHER_TYPE
        at += 4 + size
    raise BadImage(
        "The picture has more HEVC units than any encoder writes.", max_pieces=_MAX_UNITS
    )


def _type(first_byte: int) -> int:
    return first_byte >> 1 & 63
