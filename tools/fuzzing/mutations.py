"""Mutations: random changes that break the bytes of a picture.

Some change bytes of any file. Others change the blocks of a picture file (see blocks.py). They
return the changed bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from random import Random
from typing import Literal

from tools.fuzzing.blocks import Block, blocks

Mutation = Callable[[Random, bytes], bytes]
# Largest size in bytes of a file with repeated frames or blocks.
_MAX_BYTES = 60_000
# Values for the length field of a block.
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
# Values for width and height in pixels.
_DIMENSIONS = (
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


def truncate(rng: Random, data: bytes) -> bytes:
    """Cut the file off at a random position."""
    return data[: rng.randrange(len(data))] if data else data


def flip_bits(rng: Random, data: bytes) -> bytes:
    """Flip one to sixteen bits."""
    broken_picture = bytearray(data)
    for _ in range(rng.randint(1, 16) if data else 0):
        broken_picture[rng.randrange(len(broken_picture))] ^= 1 << rng.randrange(8)
    return bytes(broken_picture)


def overwrite(rng: Random, data: bytes) -> bytes:
    """Overwrite a range with zero bytes, 0xFF bytes or random bytes."""
    start, length = _random_position(rng, data), rng.randint(1, 64)
    new = rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length)))
    return data[:start] + new + data[start + length :]


def remove_range(rng: Random, data: bytes) -> bytes:
    """Remove a range of bytes."""
    start = _random_position(rng, data)
    return data[:start] + data[start + rng.randint(1, 32) :]


def insert_range(rng: Random, data: bytes) -> bytes:
    """Insert a copy of another range, or random bytes."""
    start, copied = _random_position(rng, data), _random_position(rng, data)
    new = rng.choice((data[copied : copied + 40], rng.randbytes(rng.randint(1, 40))))
    return data[:start] + new + data[start:]


def change_length(rng: Random, data: bytes) -> bytes:
    """Change the length field of a block."""
    with_length = [block for block in blocks(data) if block.length_at is not None]
    if not with_length:
        return flip_bits(rng, data)
    block = rng.choice(with_length)
    length = (rng.choice(_LENGTHS) + rng.choice((0, 0, 4, 8))) % (1 << 8 * block.length_size)
    at = block.length_at or 0
    return (
        data[:at] + length.to_bytes(block.length_size, block.order) + data[at + block.length_size :]
    )


def swap_blocks(rng: Random, data: bytes) -> bytes:
    """Swap two blocks."""
    found = blocks(data)
    if len(found) < 2:
        return remove_range(rng, data)
    first, second = sorted(rng.sample(found, 2), key=lambda block: block.start)
    if second.start < first.end:  # one block contains the other
        return drop_block(rng, data)
    between = data[first.end : second.start]
    return (
        data[: first.start]
        + data[second.start : second.end]
        + between
        + data[first.start : first.end]
        + data[second.end :]
    )


def drop_block(rng: Random, data: bytes) -> bytes:
    """Remove a block."""
    block = _random_block(rng, data)
    return data[: block.start] + data[block.end :] if block else remove_range(rng, data)


def rename_block(rng: Random, data: bytes) -> bytes:
    """Rename a block to the name of another one, or to random bytes."""
    found = [block for block in blocks(data) if len(block.kind) == 4]
    if not found:
        return overwrite(rng, data)
    block = rng.choice(found)
    at = data.find(block.kind, block.start)
    name = rng.choice((rng.choice(found).kind, rng.randbytes(4)))
    return data[:at] + name + data[at + 4 :]


def repeat_block(rng: Random, data: bytes) -> bytes:
    """Repeat a block several times, such as a GIF frame, an animation chunk, or a JPEG scan."""
    block = _random_block(rng, data)
    if block is None:
        return insert_range(rng, data)
    piece = data[block.start : block.end]
    max_copies = max(1, (_MAX_BYTES - len(data)) // max(1, len(piece)))
    return (
        data[: block.end] + piece * min(max_copies, rng.choice((1, 3, 50, 500))) + data[block.end :]
    )


def change_dimensions(rng: Random, data: bytes) -> bytes:
    """Write extreme dimensions into the header.

    The checksums of a PNG are corrected. Otherwise decoders would refuse the file before they read
    the dimensions.
    """
    fields = [field for block in blocks(data) for field in _dimension_fields(block)]
    if not fields:
        return overwrite(rng, data)
    broken_picture = bytearray(data)
    for at, size, order in fields:
        if rng.random() < 0.7:
            broken_picture[at : at + size] = (rng.choice(_DIMENSIONS) % (1 << 8 * size)).to_bytes(
                size, order
            )
    return fix_checksums(bytes(broken_picture))


def fix_checksums(data: bytes) -> bytes:
    """Return the file with correct checksums if it is a PNG. Other files are not changed."""
    if not data.startswith(b"\x89PNG"):
        return data
    fixed = bytearray(data)
    for block in blocks(data):
        if block.end - block.start >= 12:
            fixed[block.end - 4 : block.end] = zlib.crc32(
                fixed[block.start + 4 : block.end - 4]
            ).to_bytes(4, "big")
    return bytes(fixed)


def _dimension_fields(block: Block) -> list[tuple[int, int, Literal["big", "little"]]]:
    """Return the fields for width and height in a block.

    Each is (position in the file, size in bytes, byte order).
    """
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


def _random_block(rng: Random, data: bytes) -> Block | None:
    found = blocks(data)
    return rng.choice(found) if found else None


def _random_position(rng: Random, data: bytes) -> int:
    return rng.randrange(len(data)) if data else 0


BYTE_MUTATIONS: tuple[Mutation, ...] = (truncate, flip_bits, overwrite, remove_range, insert_range)
BLOCK_MUTATIONS: tuple[Mutation, ...] = (
    change_length,
    swap_blocks,
    drop_block,
    rename_block,
    repeat_block,
    change_dimensions,
)
