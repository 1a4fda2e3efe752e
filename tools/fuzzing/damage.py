"""Ways to break the bytes of a picture, each given a source of chance: what any file suffers, and what only a file of blocks can."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from random import Random
from typing import Literal

from tools.fuzzing.blocks import Block, blocks

Damage = Callable[[Random, bytes], bytes]
# What a file of many frames or blocks may grow to.
_MOST_BYTES = 60_000
_LENGTHS = (
    0,
    1,
    2,
    3,
    7,
    8,
    0x7F,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFF4,
    0xFFFFFFFF,
)
_SIDES = (
    0,
    1,
    2,
    255,
    7071,
    7072,
    20_000,
    46_341,
    65_500,
    65_535,
    1 << 20,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
)


def cut_off(chance: Random, data: bytes) -> bytes:
    """Ends too early."""
    return data[: chance.randrange(len(data))] if data else data


def bits_flipped(chance: Random, data: bytes) -> bytes:
    """One to sixteen bits."""
    broken = bytearray(data)
    for _ in range(chance.randint(1, 16) if data else 0):
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
    return bytes(broken)


def overwritten(chance: Random, data: bytes) -> bytes:
    """A stretch of zeros, of ones, or of anything."""
    start, length = _place(chance, data), chance.randint(1, 64)
    new = chance.choice((bytes(length), b"\xff" * length, chance.randbytes(length)))
    return data[:start] + new + data[start + length :]


def stretch_removed(chance: Random, data: bytes) -> bytes:
    """What follows stands too early."""
    start = _place(chance, data)
    return data[:start] + data[start + chance.randint(1, 32) :]


def stretch_put_in(chance: Random, data: bytes) -> bytes:
    """A copy from elsewhere, or anything."""
    start, copied = _place(chance, data), _place(chance, data)
    new = chance.choice((data[copied : copied + 40], chance.randbytes(chance.randint(1, 40))))
    return data[:start] + new + data[start:]


def length_lied(chance: Random, data: bytes) -> bytes:
    """A block says that it is longer or shorter than it is."""
    told = [block for block in blocks(data) if block.length_at is not None]
    if not told:
        return bits_flipped(chance, data)
    block = chance.choice(told)
    length = (chance.choice(_LENGTHS) + chance.choice((0, 0, 4, 8))) % (1 << 8 * block.length_size)
    at = block.length_at or 0
    return (
        data[:at] + length.to_bytes(block.length_size, block.order) + data[at + block.length_size :]
    )


def blocks_swapped(chance: Random, data: bytes) -> bytes:
    """Two of them change places."""
    found = blocks(data)
    if len(found) < 2:
        return stretch_removed(chance, data)
    first, second = sorted(chance.sample(found, 2), key=lambda block: block.start)
    if second.start < first.end:  # the one holds the other
        return block_dropped(chance, data)
    between = data[first.end : second.start]
    return (
        data[: first.start]
        + data[second.start : second.end]
        + between
        + data[first.start : first.end]
        + data[second.end :]
    )


def block_dropped(chance: Random, data: bytes) -> bytes:
    """One is not there."""
    block = _any_block(chance, data)
    return data[: block.start] + data[block.end :] if block else stretch_removed(chance, data)


def block_renamed(chance: Random, data: bytes) -> bytes:
    """One says it is another, or of no kind that there is."""
    found = [block for block in blocks(data) if len(block.kind) == 4]
    if not found:
        return overwritten(chance, data)
    block = chance.choice(found)
    at = data.find(block.kind, block.start)
    name = chance.choice((chance.choice(found).kind, chance.randbytes(4)))
    return data[:at] + name + data[at + 4 :]


def frames_multiplied(chance: Random, data: bytes) -> bytes:
    """A block many times over: frames of a GIF, animation chunks, scans, items."""
    block = _any_block(chance, data)
    if block is None:
        return stretch_put_in(chance, data)
    piece = data[block.start : block.end]
    most = max(1, (_MOST_BYTES - len(data)) // max(1, len(piece)))
    return data[: block.end] + piece * min(most, chance.choice((1, 3, 50, 500))) + data[block.end :]


def sides_absurd(chance: Random, data: bytes) -> bytes:
    """The header claims a size that nobody's key has; a PNG's checksum goes with it, or nobody would look."""
    places = [place for block in blocks(data) for place in _sides(block)]
    if not places:
        return overwritten(chance, data)
    broken = bytearray(data)
    for at, size, order in places:
        if chance.random() < 0.7:
            broken[at : at + size] = (chance.choice(_SIDES) % (1 << 8 * size)).to_bytes(size, order)
    return checksums_right(bytes(broken))


def checksums_right(data: bytes) -> bytes:
    """The same with every checksum of a PNG made good."""
    if not data.startswith(b"\x89PNG"):
        return data
    mended = bytearray(data)
    for block in blocks(data):
        if block.end - block.start >= 12:
            mended[block.end - 4 : block.end] = zlib.crc32(
                mended[block.start + 4 : block.end - 4]
            ).to_bytes(4, "big")
    return bytes(mended)


def _sides(block: Block) -> list[tuple[int, int, Literal["big", "little"]]]:
    """Where width and height stand in a block, if it is one that has them: position, bytes, order."""
    at = block.start
    if block.kind == b"IHDR":
        return [(at + 8, 4, "big"), (at + 12, 4, "big")]
    if block.kind == b"ispe":
        return [(at + 12, 4, "big"), (at + 16, 4, "big")]
    if block.kind == b"fcTL":
        return [(at + 12, 4, "big"), (at + 16, 4, "big")]
    if block.kind in (b"\xff\xc0", b"\xff\xc1", b"\xff\xc2"):
        return [(at + 5, 2, "big"), (at + 7, 2, "big")]
    if block.kind == b"VP8X":
        return [(at + 12, 3, "little"), (at + 15, 3, "little")]
    if block.kind == b"VP8 ":
        return [(at + 14, 2, "little"), (at + 16, 2, "little")]
    if block.kind == b",":
        return [(6, 2, "little"), (8, 2, "little"), (at + 5, 2, "little"), (at + 7, 2, "little")]
    return []


def _any_block(chance: Random, data: bytes) -> Block | None:
    found = blocks(data)
    return chance.choice(found) if found else None


def _place(chance: Random, data: bytes) -> int:
    return chance.randrange(len(data)) if data else 0


ANYWHERE: tuple[Damage, ...] = (cut_off, bits_flipped, overwritten, stretch_removed, stretch_put_in)
IN_BLOCKS: tuple[Damage, ...] = (
    length_lied,
    blocks_swapped,
    block_dropped,
    block_renamed,
    frames_multiplied,
    sides_absurd,
)
