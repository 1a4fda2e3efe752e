"""Goes through the boxes of HEIC and AVIF (ISO 14496-12 and 23008-12) before any decoder does.

libavif makes room by what the coded picture says of itself, before that is held against the file: two kilobytes that promise 64 by 64
pixels took 944 MB. pillow-heif copies what is said about pictures for each of them: nine megabytes said of a hundred took 866.
libheif holds the coded picture against the file itself.

Derived pictures that stand on one another are refused too: nested `iden` and `auxl` items wrote outside libheif's memory before
1.23.2 (CVE-2026-84383), and no phone writes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from keylike.errors import BadImage
from keylike.images import av1

# A phone's 48 megapixels are 200 tiles, each with a handful of entries. They are read one by one, in Python.
_MOST_PARTS = 3000
_MOST_METADATA = 50_000_000
# What the picture to show may be: coded itself, a grid of coded tiles, or one of these with a gain map (ISO 21496-1) beside it.
_SHOWN = {b"hvc1", b"hev1", b"av01", b"grid", b"tmap"}
# Derivations above a coded picture: a gain map's item stands on grids; every other derived item on coded pictures.
_DERIVATIONS, _DERIVATIONS_TMAP = 1, 2


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an item's bytes lie, as offsets and lengths; a length of 0 goes to the end of the file."""

    item: int
    inside: bool
    extents: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class _Meta:
    """`kinds`: the four-character type of each item. `primary`: the item to show. `derived`: the items that each one is made from (`dimg`).
    `auxiliary`: an item that adds something, such as transparency, to others (`auxl`). `described`: an item that says something, and of how
    many others. `inside`: the box that holds small ones."""

    kinds: dict[int, bytes] = field(default_factory=dict)
    primary: int | None = None
    derived: dict[int, list[int]] = field(default_factory=dict)
    auxiliary: list[tuple[int, list[int]]] = field(default_factory=list)
    places: list[_Place] = field(default_factory=list)
    described: list[tuple[int, int]] = field(default_factory=list)
    inside: range = range(0)


class _Boxes:
    """The boxes of one file, which are counted."""

    def __init__(self, data: bytes) -> None:
        self.data, self._left = data, _MOST_PARTS

    def count(self, parts: int = 1) -> None:
        """Raises BadImage where there are too many."""
        self._left -= parts
        if self._left < 0:
            raise BadImage(
                "The picture is in more parts than any camera or editor writes.",
                max_parts=_MOST_PARTS,
            )

    def within(self, body: range) -> Iterator[tuple[bytes, range]]:
        """Kind and content of each box in a stretch of the file, up to one that runs over its end."""
        at = body.start
        while at + 8 <= body.stop:
            self.count()
            size, kind, head = (
                int.from_bytes(self.data[at : at + 4], "big"),
                self.data[at + 4 : at + 8],
                8,
            )
            if size == 1:
                size, head = int.from_bytes(self.data[at + 8 : at + 16], "big"), 16
            end = at + size if size else body.stop
            if not at + head <= end <= body.stop:
                return
            yield kind, range(at + head, end)
            at = end


class _Numbers:
    """Takes numbers out of a box. Raises BadImage at its end."""

    def __init__(self, data: bytes, body: range) -> None:
        self._data, self._at, self._end = data, body.start, body.stop

    def take(self, size: int) -> int:
        """The next `size` bytes, big end first."""
        self._at += size
        if self._at > self._end:
            raise BadImage("The picture's description of itself is broken off.")
        return int.from_bytes(self._data[self._at - size : self._at], "big")


def av1_sizes(data: bytes) -> list[av1.Size]:
    """Width and height of each picture coded in AV1 that the file holds, as the coded pictures say. Raises BadImage where that cannot be
    told, and where the file says more about its pictures than can be held."""
    boxes = _Boxes(data)
    descriptions = [body for kind, body in boxes.within(range(len(data))) if kind == b"meta"]
    if len(descriptions) != 1:
        raise BadImage("The picture has no description of itself, or several.")
    meta, seen = _Meta(), set()
    for kind, body in boxes.within(descriptions[0][4:]):
        if kind in _READ:
            if kind in seen:
                raise BadImage("The picture describes itself twice.")
            seen.add(kind)
            _READ[kind](boxes, body, meta)
    _check_metadata(data, meta)
    _check_derivations(meta)
    return _of_items(data, meta)


def _kinds(boxes: _Boxes, body: range, meta: _Meta) -> None:
    narrow = boxes.data[body.start : body.start + 1] == b"\0"
    for kind, entry in boxes.within(body[6 if narrow else 8 :]):
        if kind == b"infe":
            numbers = _Numbers(boxes.data, entry)
            version = numbers.take(4) >> 24
            item, _, coding = (
                numbers.take(2 if version < 3 else 4),
                numbers.take(2),
                numbers.take(4 if version >= 2 else 0),
            )
            meta.kinds[item] = coding.to_bytes(4, "big")


def _references(boxes: _Boxes, body: range, meta: _Meta) -> None:
    wide = 2 if boxes.data[body.start : body.start + 1] == b"\0" else 4
    for kind, entry in boxes.within(body[4:]):
        if kind == b"cdsc":
            numbers = _Numbers(boxes.data, entry)
            meta.described.append((numbers.take(wide), numbers.take(2)))
        elif kind in (b"dimg", b"auxl"):
            numbers = _Numbers(boxes.data, entry)
            item, count = numbers.take(wide), numbers.take(2)
            boxes.count(count)
            others = [numbers.take(wide) for _ in range(count)]
            if kind == b"auxl":
                meta.auxiliary.append((item, others))
            else:
                meta.derived.setdefault(item, []).extend(others)


def _primary(boxes: _Boxes, body: range, meta: _Meta) -> None:
    numbers = _Numbers(boxes.data, body)
    version = numbers.take(4) >> 24
    meta.primary = numbers.take(4 if version else 2)


def _places(boxes: _Boxes, body: range, meta: _Meta) -> None:
    numbers = _Numbers(boxes.data, body)
    version, sizes = numbers.take(4) >> 24, numbers.take(2)
    offset, length, base, index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    wide = 4 if version >= 2 else 2
    for _ in range(numbers.take(wide)):
        item = numbers.take(wide)
        method = numbers.take(2) & 15 if version else 0
        numbers.take(2)
        begin, count = numbers.take(base), numbers.take(2)
        boxes.count(1 + count)
        extents = []
        for _ in range(count):
            numbers.take(index if version else 0)
            extents.append((begin + numbers.take(offset), numbers.take(length)))
        meta.places.append(_Place(item, method == 1, tuple(extents)))


def _inside(boxes: _Boxes, body: range, meta: _Meta) -> None:
    meta.inside = body


_READ = {
    b"iinf": _kinds,
    b"iref": _references,
    b"iloc": _places,
    b"idat": _inside,
    b"pitm": _primary,
}


def _check_derivations(meta: _Meta) -> None:
    """Raise BadImage where the picture to show is of an odd kind, or where derived or auxiliary items are nested."""
    sources = {item for item, _ in meta.auxiliary}
    targets = {other for _, others in meta.auxiliary for other in others}
    shown = meta.kinds.get(meta.primary) if meta.primary is not None else None
    if shown not in _SHOWN or meta.primary in sources:
        raise BadImage("The picture to show is of a kind that no camera writes.")
    if sources & targets or any(meta.kinds.get(item) in (b"iden", b"iovl") for item in sources):
        raise BadImage("The picture's auxiliary pictures are nested.")
    for item in meta.derived:
        most = _DERIVATIONS_TMAP if meta.kinds.get(item) == b"tmap" else _DERIVATIONS
        if _is_deeper(item, meta.derived, most):
            raise BadImage("The picture is derived from derived pictures.")


def _is_deeper(item: int, derived: dict[int, list[int]], most: int) -> bool:
    """Return True if `item` stands on more than `most` derivations; a cycle does at any depth."""
    level = {item}
    for _ in range(most):
        level = {below for each in level for below in derived.get(each, ())}
    return any(each in derived for each in level)


def _check_metadata(data: bytes, meta: _Meta) -> None:
    held: dict[int, int] = {}
    for place in meta.places:
        held[place.item] = held.get(place.item, 0) + sum(
            min(length or len(data), len(data)) for _, length in place.extents
        )
    if sum(held.get(item, 0) * count for item, count in meta.described) > _MOST_METADATA:
        raise BadImage(
            "The picture has more said about it than any camera or editor writes.",
            max_bytes=_MOST_METADATA,
        )


def _of_items(data: bytes, meta: _Meta) -> list[av1.Size]:
    found: list[av1.Size] = []
    left = 2 * len(data)
    for place in meta.places:
        if meta.kinds.get(place.item) == b"av01":
            start = meta.inside.start if place.inside else 0
            pieces = [
                data[start + at : start + at + length if length else None]
                for at, length in place.extents
            ]
            left -= sum(map(len, pieces))
            if left < 0:
                raise BadImage("The picture's parts share their bytes.")
            found += av1.sizes(b"".join(pieces))
    return found
