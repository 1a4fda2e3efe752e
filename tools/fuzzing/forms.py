"""Builds multipart forms as browsers and curl send them (RFC 7578).

werkzeug's test client is not used for this, because it omits a line break when a file is empty.
"""

from __future__ import annotations

from typing import Any

BOUNDARY = "a-boundary-that-no-picture-holds"


def form(*parts: tuple[str, str | bytes]) -> dict[str, Any]:
    """Return the arguments of `client.post` for a form with these (name, value) pairs.

    A value of type str becomes a field, a value of type bytes becomes a file.
    """
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
