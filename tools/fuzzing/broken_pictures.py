"""Generates any number of broken pictures: `broken_picture(seed)` depends only on the seed.

One picture takes about a tenth of a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from random import Random

from tools.fuzzing.exif import insert_broken_exif
from tools.fuzzing.mutations import BLOCK_MUTATIONS, BYTE_MUTATIONS, Mutation, fix_checksums
from tools.fuzzing.valid_pictures import valid_pictures
from tools.plain_pictures import many_frames, many_scans, plain, png, with_text_bomb

# First bytes of picture files.
_MAGIC = (
    b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\x40\0\0\0WEBPVP8 ",
    b"RIFF\xff\xff\xff\xffWEBPVP8X", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", b"\0\0\0\0ftypavis", b"\xff\xff\xff\xffftypmif1",
)  # fmt: skip
# First bytes of other kinds of files. A picture that contains them may be mistaken for such a file.
_DISGUISES = (
    b"<!doctype html><script>alert(1)</script>", b"<?php system('id'); ?>",
    b"PK\x03\x04" + bytes(26), b"%PDF-1.7\n1 0 obj\n<<>>\n", b"#!/bin/sh\nid\n",
    b"/*\n*/=1;alert(1)//", b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    b"\x7fELF\x02\x01\x01",
)  # fmt: skip
# First bytes of picture files in formats that the server does not accept.
_UNSUPPORTED = (
    b"BM" + bytes(60),
    b"II*\0" + bytes(40),
    b"\0\0\x01\0" + bytes(30),
    b"qoif" + bytes(30),
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"8BPS" + bytes(30),
)
# Percentage of larger pictures, which may be passed to the reader, and percentage of pictures from
# `_HEAVY`.
_LARGER_PERCENT, _HEAVY_PERCENT = 6.0, 0.3
# Pictures that are small in bytes and take much memory or time to decode. Some exceed the server's
# limits, the others are just below them.
_HEAVY: tuple[Callable[[], bytes], ...] = (
    partial(png, 20_000, 20_000),
    partial(png, 7000, 7000),
    partial(png, 4000, 3000, bits=8, colour_type=6),
    partial(with_text_bomb, plain(kind="PNG", size=(20, 20))),
    partial(with_text_bomb, plain(kind="PNG", size=(20, 20)), 900_000),
    partial(many_scans, 1000),
    partial(many_scans, 32, (3000, 2000)),
    partial(many_scans, 12, (60_000, 60_000)),
    many_frames,
    partial(plain, kind="WEBP", size=(4000, 4000)),
    partial(plain, kind="JPEG", size=(6000, 4000)),
)


def broken_picture(seed: int) -> bytes:
    """Return a picture that is broken in one to three ways. A few of them can still be decoded."""
    rng = Random(seed)
    if rng.random() < _HEAVY_PERCENT / 100:
        return _heavy(rng.randrange(len(_HEAVY)))
    return rng.choices((_mutated, _with_broken_exif, _concatenated, _not_a_picture), (80, 8, 7, 5))[
        0
    ](rng)


def _mutated(rng: Random) -> bytes:
    data = _valid(rng)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        kinds: tuple[Mutation, ...] = rng.choice((BYTE_MUTATIONS, BLOCK_MUTATIONS))
        data = rng.choice(kinds)(rng, data)
    return fix_checksums(data) if rng.random() < 0.5 else data


def _with_broken_exif(rng: Random) -> bytes:
    return insert_broken_exif(rng, _valid(rng))


def _concatenated(rng: Random) -> bytes:
    """Return a picture joined with another kind of file or with another picture."""
    data, disguise = _valid(rng), rng.choice(_DISGUISES)
    other = _valid(rng)
    at = rng.randrange(4, 64)
    return rng.choice(
        (
            data + disguise,
            disguise + data,
            data[:at] + other[at:],
            data + other,
            b"GIF89a" + disguise + data,
            data[:at] + disguise + data[at:],
        )
    )


def _not_a_picture(rng: Random) -> bytes:
    """Return random bytes, alone or after the first bytes of a picture or an unsupported format."""
    noise = rng.randbytes(rng.choice((0, 1, 3, 12, 200, 2000)))
    return rng.choice(
        (
            noise,
            rng.choice(_MAGIC) + noise,
            rng.choice(_MAGIC)[: rng.randrange(1, 12)],
            rng.choice(_UNSUPPORTED) + noise,
        )
    )


def _valid(rng: Random) -> bytes:
    return rng.choice(valid_pictures(rng.random() < _LARGER_PERCENT / 100))


@cache
def _heavy(index: int) -> bytes:
    return _HEAVY[index]()
