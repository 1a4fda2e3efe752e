"""Multipart forms as browsers and curl send them (RFC 7578).

werkzeug's test client writes a line too few when a file is empty, so the tests build forms here.
"""

from __future__ import annotations

from typing import Any

BOUNDARY = "a-boundary-that-no-picture-holds"


def form(*parts: tuple[str, str | bytes]) -> dict[str, Any]:
    """Return the arguments of `client.post` for a form. Text values become fields, bytes become
    files."""
    body = b"".join(map(_part, parts)) + f"--{BOUNDARY}--\r\n".encode()
    return {"data": body, "content_type": f"multipart/form-data; boundary={BOUNDARY}"}


def _part(part: tuple[str, str | bytes]) -> bytes:
    name, content = part
    file, content = (
        ("", content.encode())
        if isinstance(content, str)
        else ('; filename="photo.jpg"\r\nContent-Type: image/jpeg', content)
    )
    return (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()
        + content
        + b"\r\n"
    )
