"""Build hostile HEIC and AVIF files: false sizes, too many items, too many boxes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tools.plain_pictures import RED, encode

HEIC = (Path(__file__).parent.parent / "data" / "plain.heic").read_bytes()
# The range of bytes that the coded picture takes in that file.
_PICTURE = range(0x1A1, 0x1A1 + 0x113)


def avif(side: int) -> bytes:
    """Return a valid square AVIF of one colour."""
    return encode(Image.new("RGB", (side, side), RED), "AVIF", speed=10)


def claiming(picture: bytes, width: int, height: int) -> bytes:
    """Return the file with another size in its `ispe` box, which states the picture's size."""
    at = picture.index(b"ispe") + 8
    return picture[:at] + struct.pack(">II", width, height) + picture[at + 8 :]


def heic_coded(width: int, height: int) -> bytes:
    """Return a HEIC whose `ispe` box states 64 by 48 pixels, less than its coded picture has."""
    box = _box_of(b"hvcC")
    at = box.index(b"\x61\0\1") + 3
    size = int.from_bytes(box[at : at + 2], "big")
    parameters = _resized(box[at + 2 : at + 2 + size], width, height)
    larger = box[:at] + struct.pack(">H", len(parameters)) + parameters + box[at + 2 + size :]
    more = len(larger) - len(box)
    file = bytearray(HEIC.replace(box, struct.pack(">I", len(larger)) + larger[4:]))
    for name in (b"meta", b"iprp", b"ipco"):
        at = file.index(name) - 4
        file[at : at + 4] = struct.pack(">I", int.from_bytes(file[at : at + 4], "big") + more)
    return bytes(file).replace(
        struct.pack(">I", _PICTURE.start), struct.pack(">I", _PICTURE.start + more), 1
    )


def heic_with_metadata(pictures: int, metadata: bytes) -> bytes:
    """Return a HEIC with `pictures` picture items. All share the same bytes and the `metadata`."""
    numbers = range(1, pictures + 1)
    comment = pictures + 1
    entries = [_full(b"infe", struct.pack(">HH4s", at, 0, b"hvc1") + b"\0", 2) for at in numbers]
    entries.append(_full(b"infe", struct.pack(">HH4s", comment, 0, b"Exif") + b"\0", 2))
    known = _full(b"iinf", struct.pack(">H", len(entries)) + b"".join(entries))
    kinds = _full(
        b"ipma",
        struct.pack(">I", pictures)
        + b"".join(struct.pack(">HBBB", at, 2, 0x81, 2) for at in numbers),
    )
    properties = _box(b"iprp", _box(b"ipco", _box_of(b"hvcC") + _box_of(b"ispe")) + kinds)
    of_each = b"".join(struct.pack(">H", at) for at in numbers)
    references = _full(b"iref", _box(b"cdsc", struct.pack(">HH", comment, pictures) + of_each))
    handler = _full(b"hdlr", b"\0\0\0\0pict" + bytes(13)) + _full(b"pitm", struct.pack(">H", 1))

    def meta(begin: int) -> bytes:
        places = [struct.pack(">HHHII", at, 0, 1, begin, len(_PICTURE)) for at in numbers]
        places.append(struct.pack(">HHHII", comment, 0, 1, begin + len(_PICTURE), len(metadata)))
        located = _full(b"iloc", b"\x44\0" + struct.pack(">H", len(places)) + b"".join(places))
        return _full(b"meta", handler + located + known + properties + references)

    head = _box_of(b"ftyp")
    return (
        head
        + meta(len(head) + len(meta(0)) + 8)
        + _box(b"mdat", HEIC[_PICTURE.start : _PICTURE.stop] + metadata)
    )


def heic_derived(
    chain: list[bytes],
    *,
    auxiliary: list[tuple[int, int]] | None = None,
    primary: int | None = None,
) -> bytes:
    """Return a HEIC with a chain of derived items; item 1 is the coded picture.

    Args:
        chain: Types of the items 2, 3, …, each of which is derived from the item before it.
        auxiliary: Pairs of an auxiliary item and its target (`auxl`).
        primary: The primary item, by default the last.
    """
    kinds = [b"hvc1", *chain]
    entries = [
        _full(b"infe", struct.pack(">HH4s", at, 0, kind) + b"\0", 2)
        for at, kind in enumerate(kinds, 1)
    ]
    known = _full(b"iinf", struct.pack(">H", len(entries)) + b"".join(entries))
    coded, size = _box_of(b"hvcC"), _box_of(b"ispe")
    sizes = b"".join(struct.pack(">HBB", at, 1, 2) for at in range(2, len(kinds) + 1))
    described = _full(
        b"ipma", struct.pack(">I", len(kinds)) + struct.pack(">HBBB", 1, 2, 0x81, 2) + sizes
    )
    properties = _box(b"iprp", _box(b"ipco", coded + size) + described)
    derived = [_box(b"dimg", struct.pack(">HHH", at + 1, 1, at)) for at in range(1, len(kinds))]
    auxiliary_boxes = [
        _box(b"auxl", struct.pack(">HHH", item, 1, other)) for item, other in auxiliary or []
    ]
    references = _full(b"iref", b"".join(derived + auxiliary_boxes))
    primary_box = _full(b"pitm", struct.pack(">H", primary or len(kinds)))
    handler = _full(b"hdlr", b"\0\0\0\0pict" + bytes(13)) + primary_box

    def meta(begin: int) -> bytes:
        # A grid has data for its layout (one tile). Other derived items need no data.
        places = [struct.pack(">HHHII", 1, 0, 1, begin, len(_PICTURE))]
        places += [
            struct.pack(">HHHII", at, 0, 1, begin + len(_PICTURE), 8)
            for at, kind in enumerate(kinds, 1)
            if kind == b"grid"
        ]
        located = _full(b"iloc", b"\x44\0" + struct.pack(">H", len(places)) + b"".join(places))
        return _full(b"meta", handler + located + known + properties + references)

    head = _box_of(b"ftyp")
    grid = bytes(4) + struct.pack(">HH", *struct.unpack(">II", size[-8:]))
    return (
        head
        + meta(len(head) + len(meta(0)) + 8)
        + _box(b"mdat", HEIC[_PICTURE.start : _PICTURE.stop] + grid)
    )


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a file that `heic_of` builds.

    Attributes:
        kind: Its type.
        size: The size that its `ispe` states.
        data: Its bytes.
        derived_from: Numbers of the items in its `dimg`.
        extents: How often its location lists the same bytes.
        hvcc: Its decoder configuration, or None.
    """

    kind: bytes = b"hvc1"
    size: tuple[int, int] = (64, 64)
    data: bytes = HEIC[_PICTURE.start : _PICTURE.stop]
    derived_from: Sequence[int] = ()
    extents: int = 1
    hvcc: bytes | None = None


def heic_of(
    *items: Item,
    auxiliary: Sequence[tuple[int, int]] = (),
    more_properties: Sequence[bytes] = (),
    brand: bytes = b"heic",
) -> bytes:
    """Return a file of items with the numbers 1, 2, …; the last is the primary item.

    Args:
        items: The items.
        auxiliary: Pairs of an auxiliary item and its target (`auxl`).
        more_properties: Properties of the primary item.
        brand: The main brand.
    """
    numbered = list(enumerate(items, 1))
    entries = [
        _full(b"infe", struct.pack(">HH4s", at, 0, item.kind) + b"\0", 2) for at, item in numbered
    ]
    known = _full(b"iinf", struct.pack(">H", len(entries)) + b"".join(entries))
    properties: list[bytes] = []
    kinds = b""
    for at, item in numbered:
        own = [_full(b"ispe", struct.pack(">II", *item.size))]
        if item.kind == b"hvc1":
            own.append(item.hvcc or _box_of(b"hvcC"))
        if item.kind == b"av01":
            own += [_full(b"pixi", b"\3\x08\x08\x08"), _box(b"av1C", b"\x81\0\x0c\0")]
        if at in dict(auxiliary):
            own.append(_full(b"auxC", b"urn:mpeg:hevc:2015:auxid:1\0"))
        if at == len(items):
            own += more_properties
        numbers = range(len(properties) + 1, len(properties) + len(own) + 1)
        properties += own
        kinds += struct.pack(">HB", at, len(own))
        kinds += b"".join(struct.pack(">H", number) for number in numbers)
    associated = _box(b"ipma", b"\0\0\0\1" + struct.pack(">I", len(items)) + kinds)
    described = _box(b"iprp", _box(b"ipco", b"".join(properties)) + associated)
    references = [
        _box(
            b"dimg",
            struct.pack(
                f">HH{len(item.derived_from)}H", at, len(item.derived_from), *item.derived_from
            ),
        )
        for at, item in numbered
        if item.derived_from
    ]
    references += [_box(b"auxl", struct.pack(">HHH", item, 1, other)) for item, other in auxiliary]
    handler = _full(b"hdlr", b"\0\0\0\0pict" + bytes(13))
    handler += _full(b"pitm", struct.pack(">H", len(items)))

    def meta(begin: int) -> bytes:
        places = b""
        for at, item in numbered:
            extent = struct.pack(">II", begin, len(item.data))
            places += struct.pack(">HHH", at, 0, item.extents) + extent * item.extents
            begin += len(item.data)
        located = _full(b"iloc", b"\x44\0" + struct.pack(">H", len(items)) + places)
        return _full(
            b"meta", handler + located + known + described + _full(b"iref", b"".join(references))
        )

    head = _box(b"ftyp", brand + bytes(4) + b"mif1" + brand)
    return (
        head
        + meta(len(head) + len(meta(0)) + 8)
        + _box(b"mdat", b"".join(item.data for item in items))
    )


def grid(rows: int, columns: int, size: tuple[int, int]) -> bytes:
    """Return the data of a grid item."""
    return struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, *size)


def crop(width: int, height: int) -> bytes:
    """Return a `clap` property that shows the middle of a picture."""
    return _box(b"clap", struct.pack(">8I", width, 1, height, 1, 0, 1, 0, 1))


def hvcc_with_a_picture() -> bytes:
    """Return a decoder configuration that contains the coded picture."""
    box = bytearray(_box_of(b"hvcC"))
    # Behind the head: the number of arrays, each with a type, a number of units, and the units.
    box[8 + 22] += 1
    unit = HEIC[_PICTURE.start + 4 : _PICTURE.stop]
    box += b"\x13\0\1" + struct.pack(">H", len(unit)) + unit
    box[:4] = struct.pack(">I", len(box))
    return bytes(box)


def avif_data(side: int) -> bytes:
    """Return the coded data of a square AVIF."""
    file = avif(side)
    return file[file.rindex(b"mdat") + 4 :]


def heic_in_boxes(count: int) -> bytes:
    """Return a HEIC with `count` additional, empty boxes."""
    head = _box_of(b"ftyp")
    return head + _box(b"free", b"") * count + HEIC[len(head) :]


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def _full(kind: bytes, content: bytes, version: int = 0) -> bytes:
    return _box(kind, bytes([version, 0, 0, 0]) + content)


def _box_of(kind: bytes) -> bytes:
    at = HEIC.index(kind) - 4
    return HEIC[at : at + int.from_bytes(HEIC[at : at + 4], "big")]


def _resized(parameters: bytes, width: int, height: int) -> bytes:
    """Return a HEVC sequence parameter set (ITU-T H.265, 7.3.2.2) with another size."""
    bits = "".join(f"{byte:08b}" for byte in parameters.replace(b"\0\0\3", b"\0\0"))
    _, at = _golomb(bits, 16 + 4 + 3 + 1 + 96)
    _, at = _golomb(bits, at)
    _, end = _golomb(bits, at)
    _, end = _golomb(bits, end)
    size = "".join("0" * (len(f"{side + 1:b}") - 1) + f"{side + 1:b}" for side in (width, height))
    resized = (bits[:at] + size + bits[end:]).rstrip("0")
    resized += "0" * (-len(resized) % 8)
    plain_bytes = bytes(int(resized[at : at + 8], 2) for at in range(0, len(resized), 8))
    escaped = bytearray()
    for byte in plain_bytes:
        if escaped[-2:] == b"\0\0" and byte <= 3:
            escaped.append(3)
        escaped.append(byte)
    return bytes(escaped)


def _golomb(bits: str, at: int) -> tuple[int, int]:
    zeros = bits.index("1", at) - at
    return int(bits[at + zeros : at + 2 * zeros + 1], 2) - 1, at + 2 * zeros + 1
