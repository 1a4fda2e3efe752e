"""Bodies that break the rules of forms and of JSON: each a content type and bytes."""

from __future__ import annotations

import base64
import json
from random import Random
from typing import Any

from tools.fuzzing.damage import ANYWHERE
from tools.fuzzing.hostile_load.words import (
    FORM_TYPES,
    JSON_TYPES,
    NAMES,
    ODD_VALUES,
    OPENINGS,
    PART_HEADERS,
    RAW_TYPES,
    WORDS,
)
from tools.fuzzing.pictures import broken
from tools.fuzzing.sound import sound_pictures

Body = tuple[str, bytes]

_DEEP = (3, 30, 100, 101, 2000, 50_000)


def photo_body(chance: Random, photo: bytes) -> Body:
    """A picture in one of the three ways, sent as it should be."""
    way = chance.random()
    if way < 0.4:
        return chance.choice(RAW_TYPES), photo
    if way < 0.75:
        return form(chance, [("image", photo, "photo.jpg")])
    text = base64.b64encode(photo).decode()
    head = chance.choice(("", "", "data:image/png;base64,", "data:,", "data:image/jpeg"))
    return "application/json", json.dumps(
        {"image_data": head + text, "zipcode": chance.choice(("12345", "00000"))}
    ).encode()


def form(chance: Random, parts: list[tuple[str, bytes, str | None]]) -> Body:
    """A form of fields and files, as browsers write it."""
    boundary = f"----keylike{chance.getrandbits(64):016x}"
    body = b"".join(_part(boundary, *part) for part in parts) + f"--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", body


def batch_form(chance: Random) -> Body:
    """Several pictures, most of them broken; sometimes more than are taken."""
    count = chance.choice((1, 2, 3, 3, 5, 5, 33))
    return form(
        chance, [("image", broken(chance.getrandbits(40)), f"{at}.jpg") for at in range(count)]
    )


def strange_form(chance: Random) -> Body:
    """Parts of any name in any number, a boundary that is not the one announced, headers that no part has, bytes lost on the way."""
    count = chance.choices((0, 1, 3, 20, 1200), (2, 4, 8, 3, 1))[0]
    parts = [_strange_part(chance) if count < 100 else ("x", b"", None) for _ in range(count)]
    kind, body = form(chance, parts)
    if chance.random() < 0.5:
        body = body.replace(
            b"\r\n\r\n",
            b"\r\n" + chance.choice(PART_HEADERS) + b"\r\n\r\n",
            chance.choice((1, 1, -1)),
        )
    for _ in range(chance.choice((0, 0, 1, 3))):
        body = chance.choice(ANYWHERE)(chance, body)
    return (chance.choice(FORM_TYPES) if chance.random() < 0.3 else kind), body


def strange_json(chance: Random) -> Body:
    """Any values under any names; too deep, too many, no JSON, no UTF-8, numbers without end."""
    kind, way = chance.choice(JSON_TYPES), chance.randrange(8)
    if way == 0:
        return kind, chance.choice(OPENINGS) * chance.choice(_DEEP)
    if way == 1:
        return kind, b'{"image_data": ' + chance.choice(ODD_VALUES) + b"}"
    values = _known(chance) | {
        chance.choice(NAMES): _value(chance, 3) for _ in range(chance.choice((0, 1, 2, 5)))
    }
    text = json.dumps(values)
    if way == 2:
        return kind, text.encode(chance.choice(("utf-16", "utf-32", "utf-8-sig")))
    return kind, chance.choice(ANYWHERE)(chance, text.encode()) if way == 3 else text.encode()


def _known(chance: Random) -> dict[str, Any]:
    """Fields that the intake looks at, of right and of wrong types."""
    text = base64.b64encode(broken(chance.getrandbits(40))).decode()
    whole = (
        text,
        text,
        text[:-1],
        text + "=",
        "data:image/png;base64" + text,
        text[::-1],
        " \n" + text,
    )
    data: Any = chance.choice((*whole, "====", "%%%", None, 0, [], {}, True))
    zipcode = chance.choice((*WORDS, None, 12345, 1.5, ["12345"]))
    known = {
        "image_data": data,
        "zipcode": zipcode,
        "format": _value(chance, 1),
        "command": _value(chance, 1),
    }
    return {name: value for name, value in known.items() if chance.random() < 0.5}


def _value(chance: Random, depth: int) -> Any:
    way = chance.randrange(7 if depth else 5)
    if way < 3:
        return chance.choice(WORDS)
    if way < 5:
        return chance.choice((None, True, 0, -1, 1e308, 10**40, "predict", "base64"))
    if way == 5:
        return [_value(chance, depth - 1) for _ in range(chance.randrange(4))]
    return {chance.choice(NAMES): _value(chance, depth - 1) for _ in range(chance.randrange(4))}


def _strange_part(chance: Random) -> tuple[str, bytes, str | None]:
    return chance.choice(NAMES), _content(chance), chance.choice((None, "a.jpg", *WORDS))


def _content(chance: Random) -> bytes:
    if chance.random() < 0.5:
        return chance.choice(WORDS).encode()
    return (
        broken(chance.getrandbits(40)) if chance.random() < 0.8 else chance.choice(sound_pictures())
    )


def _part(boundary: str, name: str, content: bytes, file: str | None) -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
    if file is not None:
        head += f'; filename="{file}"\r\nContent-Type: image/jpeg'
    return head.encode() + b"\r\n\r\n" + content + b"\r\n"
