"""Inflate request bodies compressed with gzip, within limits, and refuse other encodings."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import IO

from werkzeug.exceptions import RequestEntityTooLarge

from keylike.errors import BadRequest, Overloaded, UnsupportedImageType

_GZIP = ("gzip", "x-gzip")
# Registered encodings that are not supported (RFC 9110 and the IANA registry). The error message
# repeats only these names, not any text that a client sends.
_KNOWN = frozenset({"br", "compress", "deflate", "zstd", "dcb", "dcz", "aes128gcm"})
# The parameter wbits of zlib: 16 selects the gzip format, added to the largest window.
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
# Largest number of compressed bytes that one step reads, and of inflated bytes that it returns.
_COMPRESSED_STEP_BYTES = 1 << 16
_INFLATED_STEP_BYTES = 1 << 20
# Seconds after which a client may repeat a request that was refused for lack of memory.
_RETRY_AFTER_S = 1

# A function that reserves a number of bytes, and returns False if there is no memory for them.
Reserve = Callable[[int], bool]


def is_gzip(content_encoding: str) -> bool:
    """Return True if a body is compressed with gzip, and False if it is not compressed.

    Args:
        content_encoding: Value of the header Content-Encoding, empty if there is none.

    Raises:
        UnsupportedImageType: The body has another encoding, or several.
    """
    names = [name.strip().lower() for name in content_encoding.split(",")]
    encodings = [name for name in names if name not in ("", "identity")]
    if not encodings:
        return False
    if len(encodings) == 1 and encodings[0] in _GZIP:
        return True
    named = [name for name in encodings if name in _KNOWN or name in _GZIP]
    shown = " ".join(["Content-Encoding", ", ".join(named)]).strip()
    raise UnsupportedImageType(
        f"{shown} is not supported. Send the body as it is, or compressed once with gzip.",
        accepted_encodings=["gzip"],
    )


class InflatedBody(io.RawIOBase):
    """A gzip body as a stream of its inflated bytes.

    Args:
        body: The compressed body.
        max_bytes: Largest inflated size; None for no limit.
        reserve: Reserves memory for the inflated bytes.
    """

    def __init__(self, body: IO[bytes], max_bytes: int | None, reserve: Reserve) -> None:
        super().__init__()
        self._body = body
        self._max_bytes = max_bytes
        self._reserve = reserve
        self._decoder = zlib.decompressobj(_GZIP_WINDOW)
        self._inflated = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` further bytes, or all remaining bytes if `size` is negative.

        Raises:
            BadRequest: The body is truncated or corrupt.
            RequestEntityTooLarge: The inflated body is too large.
            Overloaded: There is not enough memory now for the inflated bytes.
        """
        pieces: list[bytes] = []
        left = size
        while left and (piece := self._next(left)):
            pieces.append(piece)
            left -= len(piece) if size >= 0 else 0
        return b"".join(pieces)

    def _next(self, left: int) -> bytes:
        """Return the next piece, or b"" at the end. It has at most `left` bytes if `left` >= 0."""
        most = _INFLATED_STEP_BYTES if left < 0 else min(left, _INFLATED_STEP_BYTES)
        while not self._decoder.eof:
            compressed = self._decoder.unconsumed_tail or self._body.read(_COMPRESSED_STEP_BYTES)
            try:
                piece = self._decoder.decompress(compressed, most)
            except zlib.error:
                raise _corrupt() from None
            if piece:
                self._count(len(piece))
                return piece
            if not compressed:
                raise _corrupt()
        if self._decoder.unused_data or self._body.read(1):
            raise _corrupt()
        return b""

    def _count(self, size: int) -> None:
        self._inflated += size
        if self._max_bytes is not None and self._inflated > self._max_bytes:
            raise RequestEntityTooLarge
        # Twice the size, because the pieces and the joined body are in memory at the same time.
        if not self._reserve(2 * size):
            raise Overloaded(
                "There is not enough memory to inflate the body now.", retry_after_s=_RETRY_AFTER_S
            )


def _corrupt() -> BadRequest:
    return BadRequest("The gzip body is truncated or corrupt.")
