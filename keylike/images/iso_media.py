"""Check the boxes of HEIC and AVIF files (ISO 14496-12, ISO 23008-12) before decoding them.

The size of the picture that is shown says little about the work of decoding. Four kinds of file are
dangerous:

- A picture of 64 by 64 pixels can be a crop of 16384 by 16384, a grid that shows the corner of such
  a tile, or have transparency of that size. An item can hide a hundred pictures before the one that
  is shown. Items can share their bytes, so that a small file is decoded many times. This module
  adds up what a decoder would decode.
- libavif allocates memory for the size in the coded data before it compares that size with the one
  in the boxes. A file of 2 kB whose boxes say 64 by 64 pixels took 944 MB. libheif compares first.
- pillow-heif copies metadata once for each picture that it describes. 9 MB of metadata for a
  hundred pictures took 866 MB.
- Nested derived pictures: before libheif 1.23.2, nested `iden` and `auxl` items made it write
  outside its memory (CVE-2026-84383). No phone writes them.
"""

from __future__ import annotations

from dataclasses import dataclass

from keylike.errors import BadImage
from keylike.images import av1, hevc
from keylike.images.av1 import Size
from keylike.images.iso_boxes import MAX_PARTS, Meta, NumberReader, read_meta

# Largest size in bytes of all copies of the metadata.
_MAX_METADATA_BYTES = 50_000_000
# Accepted types of the primary item: a coded picture, a grid of coded tiles, or one of these with a
# gain map (ISO 21496-1).
_PRIMARY_TYPES = {b"hvc1", b"hev1", b"av01", b"grid", b"tmap"}
# Largest number of levels of derivation above a coded picture. A gain map may be derived from
# grids. Every other derived item must be derived from coded pictures.
_MAX_DERIVATIONS = 1
_MAX_DERIVATIONS_TMAP = 2
_HEVC, _AV1 = (b"hvc1", b"hev1"), b"av01"
# Frames of an AV1 picture with a layer each. AV1 has at most four spatial layers.
_MAX_FRAMES = 4
# The tiles of a grid cover it, and exceed it by less than one row and one column. A part may
# therefore have this share of the pixels of the whole, and this many more.
_PART_SHARE, _PART_PIXELS = 1.5, 4_000_000
# Pixels to decode for one picture, as a multiple of those that it may have. Phones store a picture
# with a gain map and several masks, each with a quarter of its pixels.
_MAX_WORK = 4


@dataclass(frozen=True, slots=True)
class CodedSizes:
    """Sizes in pixels, width and height, that decoding depends on.

    Attributes:
        av1: The size of each AV1 picture, as its coded data states it.
        largest: The picture with the most pixels of all that are decoded, before any crop.
    """

    av1: list[Size]
    largest: Size


def coded_sizes(data: bytes, max_pixels: int) -> CodedSizes:
    """Check the structure of a HEIC or AVIF file and return the sizes of its pictures.

    Args:
        data: The file.
        max_pixels: Pixels that a picture may have.

    Raises:
        BadImage: A size cannot be determined, items are nested, there is too much metadata, or
            the picture would take much more work than its size.
    """
    meta = read_meta(data)
    _check_metadata(data, meta)
    _check_derivations(meta)
    return _DecodingPlan(data, meta).check(max_pixels)


def _check_derivations(meta: Meta) -> None:
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


def _check_metadata(data: bytes, meta: Meta) -> None:
    """Raise BadImage if copies of the metadata for each picture would take too much memory."""
    sizes = {
        item: sum(min(length or len(data), len(data)) for _, length in location.extents)
        for item, location in meta.locations.items()
    }
    if sum(sizes.get(item, 0) * count for item, count in meta.described) > _MAX_METADATA_BYTES:
        raise BadImage(
            "The picture has more metadata than any camera or editor writes.",
            max_bytes=_MAX_METADATA_BYTES,
        )


class _DecodingPlan:
    """The pictures that a decoder decodes to show the primary item."""

    def __init__(self, data: bytes, meta: Meta) -> None:
        self._data = data
        self._meta = meta
        # Items may share bytes, and a grid may use one item many times. This bounds the bytes that
        # are decoded.
        self._bytes_left = 2 * len(data)
        self._parts_left = MAX_PARTS
        self._checked: set[range] = set()
        self._sizes: list[Size] = []
        self._av1_sizes: list[Size] = []

    def check(self, max_pixels: int) -> CodedSizes:
        """Add up the work and return the sizes (see `coded_sizes`)."""
        assert self._meta.primary is not None
        tree = self._tree(self._meta.primary)
        work = sum(map(self._work, tree))
        shown = set(tree)
        for item, targets in self._meta.auxiliary:
            whole = shown.intersection(targets)
            if whole:
                self._check_parts(min(map(self._area, whole)), [item])
                work += sum(map(self._work, self._tree(item)))
        if work > _MAX_WORK * max_pixels:
            raise BadImage("The picture takes more work to decode than any camera's.")
        return CodedSizes(self._av1_sizes, max(self._sizes, key=_pixels))

    def _tree(self, item: int) -> list[int]:
        """Return an item and all items that it is derived from, each as often as it is decoded."""
        self._parts_left -= 1
        if self._parts_left < 0:
            raise BadImage("The picture has more parts than any camera writes.")
        sources = self._meta.derived.get(item, [])
        if sources:
            self._check_parts(self._area(item), sources)
        return [item, *(each for source in sources for each in self._tree(source))]

    def _check_parts(self, whole: int, items: list[int]) -> None:
        """Raise BadImage if pictures have many more pixels than the one that they belong to."""
        if sum(map(self._area, items)) > _PART_SHARE * whole + _PART_PIXELS:
            raise BadImage("The picture is much smaller than its parts.")

    def _area(self, item: int) -> int:
        return _pixels(self._size(item))

    def _size(self, item: int) -> Size:
        """Return the size that the item's `ispe` states. libheif decodes no larger picture."""
        found = [body for kind, body in self._properties(item) if kind == b"ispe"]
        if len(found) != 1:
            raise BadImage("The picture has a part without a size.")
        numbers = NumberReader(self._data, found[0])
        numbers.take(4)
        return numbers.take(4), numbers.take(4)

    def _properties(self, item: int) -> list[tuple[bytes, range]]:
        known = self._meta.properties
        return [known[at - 1] for at in self._meta.associated.get(item, ()) if 0 < at <= len(known)]

    def _work(self, item: int) -> int:
        """Return the pixels that a decoder computes for an item, without those of its sources."""
        kind, size = self._meta.types.get(item), self._size(item)
        self._sizes.append(size)
        if kind in _HEVC:
            for name, body in self._properties(item):
                # The tiles of a grid share their configuration.
                if name == b"hvcC" and body not in self._checked:
                    hevc.check_configuration(self._data[body.start : body.stop])
                    self._checked.add(body)
            return _pixels(size) * max(1, hevc.slices(self._content(item)))
        if kind == _AV1:
            coded = av1.structure(self._content(item))
            if coded.frames > _MAX_FRAMES:
                raise BadImage("The picture has more AV1 frames than layers are possible.")
            self._av1_sizes += coded.sizes
            self._sizes += coded.sizes
            return max(map(_pixels, coded.sizes), default=0) * max(1, coded.frames)
        if kind == b"grid":
            self._check_grid(item, size)
        elif kind != b"tmap":
            raise BadImage("The picture has a part of a type that no camera writes.")
        return _pixels(size)

    def _check_grid(self, item: int, size: Size) -> None:
        """Raise BadImage if a grid's own data states another size than its `ispe`."""
        content = self._content(item)
        side = 4 if int.from_bytes(content[1:2], "big") & 1 else 2
        width, height = (
            int.from_bytes(content[4 + side * at : 4 + side * (at + 1)], "big") for at in (0, 1)
        )
        if (width, height) != size:
            raise BadImage("The picture's grid has two sizes.")

    def _content(self, item: int) -> bytes:
        location = self._meta.locations.get(item)
        if location is None:
            raise BadImage("The picture has a part without data.")
        start = self._meta.idat.start if location.in_meta else 0
        pieces = []
        for at, length in location.extents:
            piece = self._data[start + at : start + at + length if length else None]
            self._bytes_left -= len(piece)
            if self._bytes_left < 0:
                raise BadImage("The picture's parts overlap.")
            pieces.append(piece)
        return b"".join(pieces)


def _pixels(size: Size) -> int:
    return size[0] * size[1]
