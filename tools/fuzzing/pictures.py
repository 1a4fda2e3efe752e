"""Broken pictures without end: `broken(seed)` gives the same bytes for the same number, about a tenth of a millisecond's work each."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from random import Random

from tools.fuzzing.damage import ANYWHERE, IN_BLOCKS, Damage, checksums_right
from tools.fuzzing.exif import exif_mutilated
from tools.fuzzing.sound import sound_pictures
from tools.plain_pictures import many_frames, many_scans, plain, png, with_text_bomb

_MAGIC = (
    b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\x40\0\0\0WEBPVP8 ", b"RIFF\xff\xff\xff\xffWEBPVP8X",
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", b"\0\0\0\0ftypavis", b"\xff\xff\xff\xffftypmif1",
)  # fmt: skip
# What other programs would take a picture's file for.
_DISGUISES = (
    b"<!doctype html><script>alert(1)</script>", b"<?php system('id'); ?>", b"PK\x03\x04" + bytes(26), b"%PDF-1.7\n1 0 obj\n<<>>\n",
    b"#!/bin/sh\nid\n", b"/*\n*/=1;alert(1)//", b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', b"\x7fELF\x02\x01\x01",
)  # fmt: skip
_STRANGERS = (
    b"BM" + bytes(60),
    b"II*\0" + bytes(40),
    b"\0\0\x01\0" + bytes(30),
    b"qoif" + bytes(30),
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"8BPS" + bytes(30),
)
# Of a hundred: how many larger pictures, which the reader may have to look at, and how many that take much work for their bytes.
_LARGER_PERCENT, _HEAVY_PERCENT = 6.0, 0.3
# Small in bytes, large once decoded; some are refused for it, the others are within what is taken.
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


def broken(seed: int) -> bytes:
    """The bytes of a picture that is broken in one to three ways; a few of them can be decoded all the same."""
    chance = Random(seed)
    if chance.random() < _HEAVY_PERCENT / 100:
        return _heavy(chance.randrange(len(_HEAVY)))
    return chance.choices((_damaged, _mutilated, _glued, _invented), (80, 8, 7, 5))[0](chance)


def _damaged(chance: Random) -> bytes:
    data = _sound(chance)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        kinds: tuple[Damage, ...] = chance.choice((ANYWHERE, IN_BLOCKS))
        data = chance.choice(kinds)(chance, data)
    return checksums_right(data) if chance.random() < 0.5 else data


def _mutilated(chance: Random) -> bytes:
    return exif_mutilated(chance, _sound(chance))


def _glued(chance: Random) -> bytes:
    """Polyglots, and the head of one picture on the body of another."""
    data, disguise = _sound(chance), chance.choice(_DISGUISES)
    other = _sound(chance)
    at = chance.randrange(4, 64)
    return chance.choice(
        (
            data + disguise,
            disguise + data,
            data[:at] + other[at:],
            data + other,
            b"GIF89a" + disguise + data,
            data[:at] + disguise + data[at:],
        )
    )


def _invented(chance: Random) -> bytes:
    """Nothing, next to nothing, noise, noise behind the first bytes of a picture, and pictures of kinds that are not taken."""
    noise = chance.randbytes(chance.choice((0, 1, 3, 12, 200, 2000)))
    return chance.choice(
        (
            noise,
            chance.choice(_MAGIC) + noise,
            chance.choice(_MAGIC)[: chance.randrange(1, 12)],
            chance.choice(_STRANGERS) + noise,
        )
    )


def _sound(chance: Random) -> bytes:
    return chance.choice(sound_pictures(chance.random() < _LARGER_PERCENT / 100))


@cache
def _heavy(which: int) -> bytes:
    return _HEAVY[which]()
