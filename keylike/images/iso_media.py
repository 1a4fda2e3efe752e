"""Check the boxes of HEIC and AVIF files (ISO 14496-12, ISO 23008-12) before decoding them.

Three kinds of file are dangerous:

- libavif allocates memory for the size in the coded data before it compares that size with the one
  in the boxes. A file of 2 kB whose boxes say 64 by 64 pixels took 944 MB. libheif compares first.
- pillow-heif copies metadata once for each picture that it describes. 9 MB of metadata for a
  hundred pictures took 866 MB.
- Nested derived pictures: before libheif 1.23.2, nested `iden` and `auxl` items made it write
  outside its memory (CVE-2026-84383). No phone writes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from keylike.errors import BadImage
from keylike.images import av1

# Largest number of boxes and entries. A phone's picture of 48 megapixels has 200 tiles with a few
# entries each. This module reads them in Python, so many more would take too long.
_MAX_PARTS = 3000
# Largest size in bytes of all copies of the metadata.
_MAX_METADATA_BYTES = 50_000_000
# Accepted types of the primary item: a coded picture, a grid of coded tiles, or one of these with a
# gain map (ISO 21496-1).
_PRIMARY_TYPES = {b"hvc1", b"hev1", b"av01", b"grid", b"tmap"}
# Largest number of levels of derivation above a coded picture. A gain map may be derived from
# grids. Every other derived item must be derived from coded pictures.
_MAX_DERIVATIONS = 1
_MAX_DERIVATIONS_TMAP = 2


@dataclass(frozen=True, slots=True)
class _Location:
    """The bytes of an item.

    Attributes:
        item: The number of the item.
        in_meta: True if offsets count from the `idat` box instead of the file.
        extents: Offset and length of each part, in bytes. Length 0 means up to the end of the file.
    """

    item: int
    in_meta: bool
    extents: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class _Meta:
    """The contents of the `meta` box.

    Attributes:
        types: The four-character type of each item.
        primary: The item to show.
        derived: The items that each item is derived from (`dimg`).
        auxiliary: Items that add something to others, such as transparency, each with the items
            that it belongs to (`auxl`).
        locations: The bytes of each item.
        described: Metadata items, each with the number of items that it describes (`cdsc`).
        idat: The offsets of the content of the `idat` box.
    """

    types: dict[int, bytes] = field(default_factory=dict)
    primary: int | None = None
    derived: dict[int, list[int]] = field(default_factory=dict)
    auxiliary: list[tuple[int, list[int]]] = field(default_factory=list)
    locations: list[_Location] = field(default_factory=list)
    described: list[tuple[int, int]] = field(default_factory=list)
    idat: range = range(0)


class _BoxReader:
    """A reader of the boxes in a file, which limits their number."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._left = _MAX_PARTS

    def count(self, parts: int = 1) -> None:
        """Count boxes or entries.

        Raises:
            BadImage: There are too many.
        """
        self._left -= parts
        if self._left < 0:
            raise BadImage(
                "The picture has more parts than any camera or editor writes.",
                max_parts=_MAX_PARTS,
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


class _NumberReader:
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


def av1_sizes(data: bytes) -> list[av1.Size]:
    """Check the structure of a HEIC or AVIF file and return the sizes of its AV1 pictures.

    Returns:
        Width and height, in pixels, from the coded data.

    Raises:
        BadImage: A size cannot be determined, items are nested, or there is too much metadata.
    """
    reader = _BoxReader(data)
    meta_boxes = [body for kind, body in reader.boxes(range(len(data))) if kind == b"meta"]
    if len(meta_boxes) != 1:
        raise BadImage("The picture must have exactly one meta box.")
    meta, seen = _Meta(), set()
    for kind, body in reader.boxes(meta_boxes[0][4:]):
        if kind in _PARSERS:
            if kind in seen:
                raise BadImage("The picture has the same box twice.")
            seen.add(kind)
            _PARSERS[kind](reader, body, meta)
    _check_metadata(data, meta)
    _check_derivations(meta)
    return _coded_sizes(data, meta)


def _parse_types(reader: _BoxReader, body: range, meta: _Meta) -> None:
    narrow = reader.data[body.start : body.start + 1] == b"\0"
    for kind, entry in reader.boxes(body[6 if narrow else 8 :]):
        if kind == b"infe":
            numbers = _NumberReader(reader.data, entry)
            version = numbers.take(4) >> 24
            item = numbers.take(2 if version < 3 else 4)
            numbers.take(2)
            item_type = numbers.take(4 if version >= 2 else 0)
            meta.types[item] = item_type.to_bytes(4, "big")


def _parse_references(reader: _BoxReader, body: range, meta: _Meta) -> None:
    width = 2 if reader.data[body.start : body.start + 1] == b"\0" else 4
    for kind, entry in reader.boxes(body[4:]):
        if kind == b"cdsc":
            numbers = _NumberReader(reader.data, entry)
            meta.described.append((numbers.take(width), numbers.take(2)))
        elif kind in (b"dimg", b"auxl"):
            numbers = _NumberReader(reader.data, entry)
            item, count = numbers.take(width), numbers.take(2)
            reader.count(count)
            targets = [numbers.take(width) for _ in range(count)]
            if kind == b"auxl":
                meta.auxiliary.append((item, targets))
            else:
                meta.derived.setdefault(item, []).extend(targets)


def _parse_primary(reader: _BoxReader, body: range, meta: _Meta) -> None:
    numbers = _NumberReader(reader.data, body)
    version = numbers.take(4) >> 24
    meta.primary = numbers.take(4 if version else 2)


def _parse_locations(reader: _BoxReader, body: range, meta: _Meta) -> None:
    numbers = _NumberReader(reader.data, body)
    version, sizes = numbers.take(4) >> 24, numbers.take(2)
    offset, length, base, index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    width = 4 if version >= 2 else 2
    for _ in range(numbers.take(width)):
        item = numbers.take(width)
        method = numbers.take(2) & 15 if version else 0
        numbers.take(2)
        begin, count = numbers.take(base), numbers.take(2)
        reader.count(1 + count)
        extents = []
        for _ in range(count):
            numbers.take(index if version else 0)
            extents.append((begin + numbers.take(offset), numbers.take(length)))
        meta.locations.append(_Location(item, method == 1, tuple(extents)))


def _parse_idat(reader: _BoxReader, body: range, meta: _Meta) -> None:
    meta.idat = body


_PARSERS = {
    b"iinf": _parse_types,
    b"iref": _parse_references,
    b"iloc": _parse_locations,
    b"idat": _parse_idat,
    b"pitm": _parse_primary,
}


def _check_derivations(meta: _Meta) -> None:
    """Check the type of the primary item and the relations between items.

    Raises:
        BadImage: The primary item has an unusual type, or derived or auxiliary items are nested.
    """
    sources = {item for item, _ in meta.auxiliary}
    targets = {target for _, items in meta.auxiliary for target in items}
    primary_type = meta.types.get(meta.primary) if meta.primary is not None else None
    if primary_type not in _PRIMARY_TYPES or meta.primary in sources:
        raise BadImage("The primary picture has a type that no camera writes.")
    if sources & targets or any(meta.types.get(item) in (b"iden", b"iovl") for item in sources):
        raise BadImage("The picture's auxiliary pictures are nested.")
    for item in meta.derived:
        is_gain_map = meta.types.get(item) == b"tmap"
        limit = _MAX_DERIVATIONS_TMAP if is_gain_map else _MAX_DERIVATIONS
        if _is_deeper(item, meta.derived, limit):
            raise BadImage("The picture is derived from derived pictures.")


def _is_deeper(item: int, derived: dict[int, list[int]], limit: int) -> bool:
    """Return True if `item` has more than `limit` levels of derivation, or is in a cycle."""
    level = {item}
    for _ in range(limit):
        level = {source for each in level for source in derived.get(each, ())}
    return any(each in derived for each in level)


def _check_metadata(data: bytes, meta: _Meta) -> None:
    """Check how much memory pillow-heif would need for copies of the metadata.

    Raises:
        BadImage: The copies would take more than _MAX_METADATA_BYTES.
    """
    sizes: dict[int, int] = {}
    for location in meta.locations:
        sizes[location.item] = sizes.get(location.item, 0) + sum(
            min(length or len(data), len(data)) for _, length in location.extents
        )
    if sum(sizes.get(item, 0) * count for item, count in meta.described) > _MAX_METADATA_BYTES:
        raise BadImage(
            "The picture has more metadata than any camera or editor writes.",
            max_bytes=_MAX_METADATA_BYTES,
        )


def _coded_sizes(data: bytes, meta: _Meta) -> list[av1.Size]:
    sizes: list[av1.Size] = []
    # Number of bytes that may still be copied. Without this limit, a file whose parts overlap could
    # be copied many times.
    left = 2 * len(data)
    for location in meta.locations:
        if meta.types.get(location.item) == b"av01":
            start = meta.idat.start if location.in_meta else 0
            pieces = [
                data[start + at : start + at + length if length else None]
                for at, length in location.extents
            ]
            left -= sum(map(len, pieces))
            if left < 0:
                raise BadImage("The picture's parts overlap.")
            sizes += av1.sizes(b"".join(pieces))
    return sizes
