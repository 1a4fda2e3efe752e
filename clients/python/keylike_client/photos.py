"""Prepares photos for uploading: bytes, paths, files, images or pixels.

A photo is sent in chunks, and can be sent again for a retry.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol, TypeAlias

from keylike_client.errors import UnusablePhoto
from keylike_client.pixels import encode_image, encode_pixels


class Buffer(Protocol):
    """An object with the buffer protocol: bytes, bytearray, memoryview, mmap, or a NumPy array."""

    def __buffer__(self, flags: int, /) -> memoryview:
        """Return a view of the memory."""


class Array(Protocol):
    """A NumPy array. Before Python 3.12, its type hints do not include the buffer protocol."""

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """Return the description of the array."""


class Image(Protocol):
    """A Pillow image. The client does not import Pillow for it."""

    def getexif(self) -> Any:
        """Return the EXIF data."""

    def save(self, fp: Any, format: str | None = None, **params: Any) -> None:
        """Write the image to a file."""


Photo: TypeAlias = Buffer | Array | str | os.PathLike[str] | BinaryIO | Image
_Source = bytes | str | os.PathLike[str] | BinaryIO
_CHUNK_BYTES = 1 << 16  # bytes that are sent at once
_HEAD_BYTES = 16  # bytes that show the format of a photo
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"mif1", b"msf1")


@dataclass(frozen=True, slots=True)
class Upload:
    """Photo to upload: `length` bytes from position `start` of its file."""

    photo: _Source
    start: int
    length: int
    content_type: str

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes of the photo in chunks. Each call starts from the beginning.

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
    """Determine size and type of a photo and return its upload.

    A file that cannot seek is read to its end. Buffers and images are copied, so the application
    may change them afterwards.

    Raises:
        UnusablePhoto: The photo cannot be read.
    """
    with _file_errors():
        source = _source(photo)
        with _opened(source) as file:
            start = file.tell()
            head = file.read(_HEAD_BYTES)
            if not isinstance(head, bytes):
                raise UnusablePhoto("The file must be opened in binary mode.")
            length = file.seek(0, io.SEEK_END) - start
            file.seek(start)
    return Upload(source, start, length, _content_type(head))


def _source(photo: Photo) -> _Source:
    """Return a photo as bytes, a path, or a file that can seek."""
    if isinstance(photo, bytes | str | os.PathLike):
        return photo
    other: Any = photo
    if hasattr(other, "getexif") and hasattr(other, "save"):
        return encode_image(other)
    with suppress(TypeError, BufferError):
        view = memoryview(other)
        # An array with one dimension contains an encoded file, as OpenCV's imencode returns it.
        one_column = view.ndim == 2 and view.shape is not None and view.shape[1] == 1
        return view.tobytes() if view.ndim <= 1 or one_column else encode_pixels(view)
    if not hasattr(other, "read"):
        raise UnusablePhoto(
            f"A photo must be bytes, a path, a file, an image or an array, not {type(other).__name__}."
        )
    if hasattr(other, "seekable") and other.seekable():
        source: BinaryIO = other
        return source
    data = other.read()
    if not isinstance(data, bytes):
        raise UnusablePhoto("The file must be opened in binary mode.")
    return data


@contextmanager
def _opened(photo: _Source) -> Iterator[BinaryIO]:
    """Open the photo. A file object that the application passed is not closed afterwards."""
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
    """Convert errors of a file to UnusablePhoto, so that they do not look like network errors."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise _unusable(error) from error


def _unusable(error: Exception) -> UnusablePhoto:
    reason = (isinstance(error, OSError) and error.strerror) or type(error).__name__
    return UnusablePhoto(f"The photo cannot be read: {reason}.")


def _content_type(head: bytes) -> str:
    """Return the content type for the first bytes of a file. The server checks the real format."""
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
