"""Read the boxes of HEIC and AVIF files that describe their items (ISO 14496-12, ISO 23008-12)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from keylike.errors import BadImage

# Largest number of boxes and entries. A phone's picture of 48 megapixels has 200 tiles with a few
# entries each. This module reads them in Python, so many more would take too long.
MAX_PARTS = 3000


@dataclass(frozen=True, slots=True)
class Location:
    """The bytes of an item.

    Attributes:
        in_meta: True if offsets count from the `idat` box instead of the file.
        extents: Offset and length of each part, in bytes. Length 0 means up to the end of the file.
    """

    in_meta: bool
    extents: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class Meta:
    """The contents of the `meta` box.

    Attributes:
        types: The four-character type of each item.
        primary: The item to show.
        derived: The items that each item is derived from (`dimg`).
        properties: Type and content of each property; items refer to them by number, from 1.
        associated: The numbers of each item's properties.
        auxiliary: Items that add something, such as transparency, and their targets (`auxl`).
        locations: The bytes of each item.
        described: Metadata items, each with the number of items that it describes (`cdsc`).
        idat: The offsets of the content of the `idat` box.
    """

    types: dict[int, bytes] = field(default_factory=dict)
    primary: int | None = None
    derived: dict[int, list[int]] = field(default_factory=dict)
    auxiliary: list[tuple[int, list[int]]] = field(default_factory=list)
    properties: list[tuple[bytes, range]] = field(default_factory=list)
    associated: dict[int, list[int]] = field(default_factory=dict)
    locations: dict[int, Location] = field(default_factory=dict)
    described: list[tuple[int, int]] = field(default_factory=list)
    idat: range = range(0)


class BoxReader:
    """A reader of the boxes in a file, which limits their number."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._left = MAX_PARTS

    def count(self, parts: int = 1) -> None:
        """Count boxes or entries.

        Raises:
            BadImage: There are too many.
        """
        self._left -= parts
        if self._left < 0:
            raise BadImage(
                "The picture has more parts than any camera or editor writes.",
                max_parts=MAX_PARTS,
            )

    def boxes(self, body: range) -> Iterator[tuple[bytes, range]]:
        """Yield the type and the content's offsets of each box in a range of offsets.

        Stop at a box that extends beyond the range.
        """
        at = body.start
        while at + 8 <= body.stop:
            self.count()
            size = int.from_bytes(self.data[at : at + 4], "big")
            kind = self.data[at + 4 : at + 8]
            head = 8
            if size == 1:
                size, head = int.from_bytes(self.data[at + 8 : at + 16], "big"), 16
            end = at + size if size else body.stop
            if not at + head <= end <= body.stop:
                return
            yield kind, range(at + head, end)
            at = end


class NumberReader:
    """A reader of big-endian numbers that raises BadImage at the end of its box."""

    def __init__(self, data: bytes, body: range) -> None:
        self._data = data
        self._at = body.start
        self._end = body.stop

    def take(self, size: int) -> int:
        """Return the next `size` bytes as a number."""
        self._at += size
        if self._at > self._end:
            raise BadImage("The picture's structure is truncated.")
        return int.from_bytes(self._data[self._at - size : self._at], "big")


def read_meta(data: bytes) -> Meta:
    """Return the contents of the `meta` box of a file.

    Raises:
        BadImage: There is not exactly one such box, it is truncated, or a part occurs twice.
    """
    reader = BoxReader(data)
    meta_boxes = [body for kind, body in reader.boxes(range(len(data))) if kind == b"meta"]
    if len(meta_boxes) != 1:
        raise BadImage("The picture must have exactly one meta box.")
    meta, seen = Meta(), set()
    for kind, body in reader.boxes(meta_boxes[0][4:]):
        if kind in _PARSERS:
            if kind in seen:
                raise BadImage("The picture has the same box twice.")
            seen.add(kind)
            _PARSERS[kind](reader, body, meta)
    return meta


def _parse_types(reader: BoxReader, body: range, meta: Meta) -> None:
    narrow = reader.data[body.start : body.start + 1] == b"\0"
    for kind, entry in reader.boxes(body[6 if narrow else 8 :]):
        if kind == b"infe":
            numbers = NumberReader(reader.data, entry)
            version = numbers.take(4) >> 24
            item = numbers.take(2 if version < 3 else 4)
            numbers.take(2)
            item_type = numbers.take(4 if version >= 2 else 0)
            if item in meta.types:
                raise BadImage("The picture has two parts with the same number.")
            meta.types[item] = item_type.to_bytes(4, "big")


def _parse_references(reader: BoxReader, body: range, meta: Meta) -> None:
    width = 2 if reader.data[body.start : body.start + 1] == b"\0" else 4
    for kind, entry in reader.boxes(body[4:]):
        if kind == b"cdsc":
            numbers = NumberReader(reader.data, entry)
            meta.described.append((numbers.take(width), numbers.take(2)))
        elif kind in (b"dimg", b"auxl"):
            numbers = NumberReader(reader.data, entry)
            item, count = numbers.take(width), numbers.take(2)
            reader.count(count)
            targets = [numbers.take(width) for _ in range(count)]
            if kind == b"auxl":
                meta.auxiliary.append((item, targets))
            else:
                meta.derived.setdefault(item, []).extend(targets)


def _parse_primary(reader: BoxReader, body: range, meta: Meta) -> None:
    numbers = NumberReader(reader.data, body)
    version = numbers.take(4) >> 24
    meta.primary = numbers.take(4 if version else 2)


def _parse_locations(reader: BoxReader, body: range, meta: Meta) -> None:
    numbers = NumberReader(reader.data, body)
    version, sizes = numbers.take(4) >> 24, numbers.take(2)
    offset, length, base, index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    width = 4 if version >= 2 else 2
    for _ in range(numbers.take(width)):
        item = numbers.take(width)
        if item in meta.locations:
            raise BadImage("The picture has two parts with the same number.")
        method = numbers.take(2) & 15 if version else 0
        numbers.take(2)
        begin, count = numbers.take(base), numbers.take(2)
        reader.count(1 + count)
        extents = []
        for _ in range(count):
            numbers.take(index if version else 0)
            extents.append((begin + numbers.take(offset), numbers.take(length)))
        meta.locations[item] = Location(method == 1, tuple(extents))


def _parse_properties(reader: BoxReader, body: range, meta: Meta) -> None:
    for kind, content in reader.boxes(body):
        if kind == b"ipco":
            meta.properties.extend(reader.boxes(content))
        elif kind == b"ipma":
            numbers = NumberReader(reader.data, content)
            version_and_flags = numbers.take(4)
            wide = version_and_flags & 1
            for _ in range(numbers.take(4)):
                item = numbers.take(4 if version_and_flags >> 24 else 2)
                count = numbers.take(1)
                reader.count(1 + count)
                of_item = meta.associated.setdefault(item, [])
                # The first bit says whether a reader must know the property.
                of_item += [
                    numbers.take(2) & 0x7FFF if wide else numbers.take(1) & 0x7F
                    for _ in range(count)
                ]


def _parse_idat(reader: BoxReader, body: range, meta: Meta) -> None:
    meta.idat = body


_PARSERS = {
    b"iinf": _parse_types,
    b"iref": _parse_references,
    b"iloc": _parse_locations,
    b"idat": _parse_idat,
    b"pitm": _parse_primary,
    b"iprp": _parse_properties,
}
