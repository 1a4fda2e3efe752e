"""Compress text responses above 1 kB with gzip, for clients that accept it."""

from __future__ import annotations

import gzip

from flask import Flask, Response, request

SMALLEST_BYTES = 1000
_TYPES = frozenset(
    {
        "application/json",
        "application/manifest+json",
        "application/javascript",
        "image/svg+xml",
        "image/x-icon",
    }
)
# Compression level of gzip. Level 9 saves 1 % more bytes than level 6 but takes three times as
# long.
_LEVEL = 6


def install(app: Flask) -> None:
    """Compress the responses of `app`.

    Call this before any function that adds response headers. Flask runs the functions in reverse
    order, so this one then runs last.
    """
    # Compressed files of the web page and the documentation, by ETag. No other response has an
    # ETag. Others are not kept here, because they may contain a reading.
    files: dict[str, bytes] = {}

    @app.after_request
    def compress(response: Response) -> Response:
        if not _is_text(response) or (response.content_length or 0) <= SMALLEST_BYTES:
            return response
        response.vary.add("Accept-Encoding")
        if response.status_code == 206 or not request.accept_encodings["gzip"]:
            return response
        tag, _ = response.get_etag()
        response.direct_passthrough = False
        if tag is None:
            data = _compressed(response)
        else:
            if tag not in files:
                files[tag] = _compressed(response)
            data = files[tag]
            # Close the file that the response would have sent.
            response.close()
            # A strong ETag would promise the same bytes with and without compression.
            response.set_etag(tag, weak=True)
        response.set_data(data)
        response.content_encoding = "gzip"
        return response


def _is_text(response: Response) -> bool:
    mimetype = response.mimetype or ""
    return not response.content_encoding and (mimetype.startswith("text/") or mimetype in _TYPES)


def _compressed(response: Response) -> bytes:
    # mtime=0: without a time in the gzip header, equal responses have equal bytes.
    return gzip.compress(response.get_data(), _LEVEL, mtime=0)
