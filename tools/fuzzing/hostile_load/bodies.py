"""Builds valid and malformed request bodies: pictures, forms and JSON."""

from __future__ import annotations

import base64
import json
from random import Random
from typing import Any

from tools.fuzzing.broken_pictures import broken_picture
from tools.fuzzing.hostile_load.payloads import (
    FORM_TYPES,
    JSON_TYPES,
    NAMES,
    ODD_VALUES,
    OPENINGS,
    PART_HEADERS,
    RAW_TYPES,
    TEXTS,
)
from tools.fuzzing.mutations import BYTE_MUTATIONS
from tools.fuzzing.valid_pictures import valid_pictures

# Content type and bytes of a body.
Body = tuple[str, bytes]

# Levels of nesting in JSON.
_DEPTHS = (3, 30, 100, 101, 2000, 50_000)


def photo_body(rng: Random, photo: bytes) -> Body:
    """Return a body with the picture: raw bytes, a form, or base64 in JSON."""
    choice = rng.random()
    if choice < 0.4:
        return rng.choice(RAW_TYPES), photo
    if choice < 0.75:
        return form(rng, [("image", photo, "photo.jpg")])
    text = base64.b64encode(photo).decode()
    head = rng.choice(("", "", "data:image/png;base64,", "data:,", "data:image/jpeg"))
    return "application/json", json.dumps(
        {"image_data": head + text, "zipcode": rng.choice(("12345", "00000"))}
    ).encode()


def form(rng: Random, parts: list[tuple[str, bytes, str | None]]) -> Body:
    """Return a valid form. Each part is (name, content, file name); fields have no file name."""
    boundary = f"----keylike{rng.getrandbits(64):016x}"
    body = b"".join(_part(boundary, *part) for part in parts) + f"--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", body


def batch_form(rng: Random) -> Body:
    """Return a form with several broken pictures, sometimes more than the server accepts."""
    count = rng.choice((1, 2, 3, 3, 5, 5, 33))
    return form(
        rng, [("image", broken_picture(rng.getrandbits(40)), f"{at}.jpg") for at in range(count)]
    )


def malformed_form(rng: Random) -> Body:
    """Return a form with unusual parts, boundaries or headers, or with randomly changed bytes."""
    count = rng.choices((0, 1, 3, 20, 1200), (2, 4, 8, 3, 1))[0]
    parts = [_unusual_part(rng) if count < 100 else ("x", b"", None) for _ in range(count)]
    kind, body = form(rng, parts)
    if rng.random() < 0.5:
        body = body.replace(
            b"\r\n\r\n",
            b"\r\n" + rng.choice(PART_HEADERS) + b"\r\n\r\n",
            rng.choice((1, 1, -1)),
        )
    for _ in range(rng.choice((0, 0, 1, 3))):
        body = rng.choice(BYTE_MUTATIONS)(rng, body)
    return (rng.choice(FORM_TYPES) if rng.random() < 0.3 else kind), body


def malformed_json(rng: Random) -> Body:
    """Return JSON with random names and values, or JSON that is invalid or unusual.

    The latter is nested deeply, incomplete, not UTF-8, or has unusual numbers or strings.
    """
    kind, choice = rng.choice(JSON_TYPES), rng.randrange(8)
    if choice == 0:
        return kind, rng.choice(OPENINGS) * rng.choice(_DEPTHS)
    if choice == 1:
        return kind, b'{"image_data": ' + rng.choice(ODD_VALUES) + b"}"
    values = _known_fields(rng) | {
        rng.choice(NAMES): _value(rng, 3) for _ in range(rng.choice((0, 1, 2, 5)))
    }
    text = json.dumps(values)
    if choice == 2:
        return kind, text.encode(rng.choice(("utf-16", "utf-32", "utf-8-sig")))
    return kind, rng.choice(BYTE_MUTATIONS)(rng, text.encode()) if choice == 3 else text.encode()


def _known_fields(rng: Random) -> dict[str, Any]:
    """Return some of the fields that the server reads, with values of correct and wrong types."""
    text = base64.b64encode(broken_picture(rng.getrandbits(40))).decode()
    variants = (
        text,
        text,
        text[:-1],
        text + "=",
        "data:image/png;base64" + text,
        text[::-1],
        " \n" + text,
    )
    data: Any = rng.choice((*variants, "====", "%%%", None, 0, [], {}, True))
    zipcode = rng.choice((*TEXTS, None, 12345, 1.5, ["12345"]))
    fields = {
        "image_data": data,
        "zipcode": zipcode,
        "format": _value(rng, 1),
        "command": _value(rng, 1),
    }
    return {name: value for name, value in fields.items() if rng.random() < 0.5}


def _value(rng: Random, depth: int) -> Any:
    choice = rng.randrange(7 if depth else 5)
    if choice < 3:
        return rng.choice(TEXTS)
    if choice < 5:
        return rng.choice((None, True, 0, -1, 1e308, 10**40, "predict", "base64"))
    if choice == 5:
        return [_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {rng.choice(NAMES): _value(rng, depth - 1) for _ in range(rng.randrange(4))}


def _unusual_part(rng: Random) -> tuple[str, bytes, str | None]:
    return rng.choice(NAMES), _content(rng), rng.choice((None, "a.jpg", *TEXTS))


def _content(rng: Random) -> bytes:
    if rng.random() < 0.5:
        return rng.choice(TEXTS).encode()
    return (
        broken_picture(rng.getrandbits(40)) if rng.random() < 0.8 else rng.choice(valid_pictures())
    )


def _part(boundary: str, name: str, content: bytes, file: str | None) -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
    if file is not None:
        head += f'; filename="{file}"\r\nContent-Type: image/jpeg'
    return head.encode() + b"\r\n\r\n" + content + b"\r\n"
