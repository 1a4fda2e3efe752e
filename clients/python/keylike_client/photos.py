"""Photos to upload: bytes, a path or an open file, sent in chunks and repeatable."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from keylike_client.errors import UnusablePhoto

Photo = bytes | str | os.PathLike[str] | BinaryIO
_CHUNK_BYTES = 1 << 16
_HEAD_BYTES = 16
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"mif1", b"msf1")


@dataclass(frozen=True, slots=True)
class Upload:
    """Photo of `length` bytes that begins at position `start` of its file."""

    photo: Photo
    start: int
    length: int
    content_type: str

    def chunks(self) -> Iterator[bytes]:
        """Return the bytes of the photo in chunks, from the beginning on each call.

        Raises:
            UnusablePhoto: The file is now shorter than before.
        """
        remaining = self.length
        with _opened(self.photo) as file, _file_errors():
            file.seek(self.start)
            while remaining:
                chunk = file.read(min(_CHUNK_BYTES, remaining))
                if not chunk:
                    raise UnusablePhoto("The photo became shorter during the upload.")
                remaining -= len(chunk)
                yield chunk


def upload(photo: Photo) -> Upload:
    """Measure a photo and return its upload. A file that cannot seek is read to its end.

    Raises:
        UnusablePhoto: The photo cannot be read.
    """
    with _file_errors():
        if not isinstance(photo, bytes | str | os.PathLike) and not photo.seekable():
            photo = photo.read()
        with _opened(photo) as file:
            start = file.tell()
            head = file.read(_HEAD_BYTES)
            length = file.seek(0, io.SEEK_END) - start
            file.seek(start)
    return Upload(photo, start, length, _content_type(head))


@contextmanager
def _opened(photo: Photo) -> Iterator[BinaryIO]:
    """Open the photo. A file object of the application stays open."""
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
def _file_errors() -> Iterator[None]:
    """Raise errors of the file as UnusablePhoto, to tell them from connection errors."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise _unusable(error) from error


def _unusable(error: Exception) -> UnusablePhoto:
    reason = (isinstance(error, OSError) and error.strerror) or type(error).__name__
    return UnusablePhoto(f"The photo cannot be read: {reason}.")


def _content_type(head: bytes) -> str:
    """Return the content type for the first bytes. The server checks the format itself."""
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
