"""Photos as they are handed in: bytes, a path or an open file, sent piece by piece and as often as it takes."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from keylike_client.errors import UnusablePhoto

Photo = bytes | str | os.PathLike[str] | BinaryIO
_PIECE = 1 << 16
_HEAD = 16
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"mif1", b"msf1")


@dataclass(frozen=True, slots=True)
class Upload:
    """A photo of `length` bytes, of which `start` are passed over."""

    photo: Photo
    start: int
    length: int
    content_type: str

    def pieces(self) -> Iterator[bytes]:
        """The bytes, from the first, each time it is called. Raises UnusablePhoto where there are fewer than there were."""
        left = self.length
        with _opened(self.photo) as file, _its_own_failures():
            file.seek(self.start)
            while left:
                piece = file.read(min(_PIECE, left))
                if not piece:
                    raise UnusablePhoto("The photo became shorter while it was sent.")
                left -= len(piece)
                yield piece


def upload(photo: Photo) -> Upload:
    """Measures a photo; a file that cannot go back is read to its end here. Raises UnusablePhoto."""
    with _its_own_failures():
        if not isinstance(photo, bytes | str | os.PathLike) and not photo.seekable():
            photo = photo.read()
        with _opened(photo) as file:
            start = file.tell()
            head = file.read(_HEAD)
            length = file.seek(0, io.SEEK_END) - start
            file.seek(start)
    return Upload(photo, start, length, _content_type(head))


@contextmanager
def _opened(photo: Photo) -> Iterator[BinaryIO]:
    """A file that was handed in stays open."""
    if isinstance(photo, bytes):
        yield io.BytesIO(photo)
    elif isinstance(photo, str | os.PathLike):
        try:
            file = open(photo, "rb")  # noqa: SIM115  closed below, whatever is raised in between
        except (OSError, ValueError) as error:
            raise _unusable(error) from error
        with file:
            yield file
    else:
        yield photo


@contextmanager
def _its_own_failures() -> Iterator[None]:
    """So that nobody takes a failure of the file for one of the connection."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise _unusable(error) from error


def _unusable(error: Exception) -> UnusablePhoto:
    return UnusablePhoto(
        f"The photo cannot be read: {(isinstance(error, OSError) and error.strerror) or type(error).__name__}."
    )


def _content_type(head: bytes) -> str:
    """By its first bytes; the server looks for itself what it is."""
    if head.startswith(b"\xff\xd8"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG"):
        return "image/png"
    if head.startswith(b"GIF8"):
        return "image/gif"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        return "image/heic" if head[8:12] in _HEIF_BRANDS else "image/avif"
    return "application/octet-stream"
