"""Requests that other tools make up, drawn once and then replayed: Hypothesis from what a request is made of, Schemathesis from the API's
own document, as many right by it as wrong. Drawing one takes them ten times as long as the server takes to refuse it."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode

from keylike.api.predict import RAW_TYPES
from tools.fuzzing.forms import BOUNDARY
from tools.fuzzing.hostile_load.bodies import Body
from tools.fuzzing.hostile_load.case import request
from tools.fuzzing.hostile_load.words import NAMES, PHOTO_PATHS, WORDS
from tools.fuzzing.pictures import broken
from tools.fuzzing.sound import sound_pictures

PICTURES = st.integers(0, 1 << 40).map(broken) | st.sampled_from(sound_pictures())
_TEXT = st.sampled_from(WORDS) | st.text(max_size=60)
_LINE = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF).filter(str.isprintable), max_size=40
).map(str.strip)
_PHOTO = (PICTURES | st.binary(max_size=300)).map(lambda photo: base64.b64encode(photo).decode())
_ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
)
_FIELDS = {
    "image_data": _PHOTO | _TEXT | _ANY_JSON,
    "zipcode": st.from_regex("[0-9]{5}") | _ANY_JSON,
    "format": st.just("base64") | _ANY_JSON,
    "command": _ANY_JSON,
}
_JSON = st.fixed_dictionaries({}, optional=_FIELDS) | _ANY_JSON


@st.composite
def forms(draw: st.DrawFn) -> Body:
    """Any parts, some of them headless, with the boundary between them, or near to it."""
    parts = draw(
        st.lists(
            st.tuples(
                st.sampled_from(NAMES) | _TEXT,
                st.none() | _TEXT,
                PICTURES | st.binary(max_size=200) | _TEXT.map(_utf8),
            ),
            max_size=6,
        )
    )
    marks = draw(st.sampled_from(("\r\n", "\r\n", "\r\n", "\n", "")))
    pieces = []
    for name, file, content in parts:
        filename = "" if file is None else f'; filename="{file}"'
        pieces.append(
            _utf8(
                f'--{BOUNDARY}{marks}Content-Disposition: form-data; name="{name}"{filename}{marks}{marks}'
            )
            + content
            + _utf8(marks)
        )
    end = draw(
        st.sampled_from((f"--{BOUNDARY}--\r\n", f"--{BOUNDARY}--", f"--{BOUNDARY}", "", "--x--"))
    )
    return f"multipart/form-data; boundary={BOUNDARY}", b"".join(pieces) + end.encode()


def jsons() -> st.SearchStrategy[Body]:
    """Any JSON, and the fields that are known with values of any kind; some of it no JSON."""
    written = _JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200)
    return st.tuples(st.just("application/json"), written)


def raws() -> st.SearchStrategy[Body]:
    """Pictures and other bytes under any content type."""
    return st.tuples(st.sampled_from(RAW_TYPES) | _LINE, PICTURES | st.binary(max_size=500))


def bodies() -> st.SearchStrategy[Body]:
    """Any of the three ways to send a picture."""
    return forms() | jsons() | raws()


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _request(path: str, body: Body, headers: list[tuple[str, str]]) -> bytes:
    return request("POST", path, [("Content-Type", body[0]), *headers], body[1])


def from_hypothesis(number: int, seeded: int) -> list[bytes]:
    """So many whole requests to where photos go."""
    names = st.sampled_from(
        (
            "X-Request-Timeout",
            "Cache-Control",
            "X-API-Key",
            "Authorization",
            "Accept",
            "Range",
            "Cookie",
            "traceparent",
        )
    )
    whole = st.builds(
        _request,
        st.sampled_from(PHOTO_PATHS),
        bodies(),
        st.lists(st.tuples(names, _LINE), max_size=3),
    )
    return _draw(whole, number, seeded)


def from_document(document: dict[str, Any], each: int, seeded: int) -> list[bytes]:
    """Whole requests to every operation that the document describes: `each` that are right and as many that are wrong, where so many
    different ones can be made."""
    register(PICTURES)
    schema = schemathesis.openapi.from_dict(document)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    drawn: list[bytes] = []
    for operation in operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            drawn += _draw(
                operation.as_strategy(generation_mode=mode).map(_on_the_wire), each, seeded
            )
    return drawn


def register(photos: st.SearchStrategy[bytes]) -> None:
    """A schema cannot say "these bytes are a photo": tells Schemathesis what counts as one."""
    schemathesis.openapi.format(
        "base64-photo", photos.map(lambda photo: base64.b64encode(photo).decode())
    )
    schemathesis.openapi.format("binary", photos)
    for kind in RAW_TYPES:
        schemathesis.openapi.media_type(kind, photos)


def _on_the_wire(case: schemathesis.Case[Any]) -> bytes:
    prepared = requests.Request(
        **{
            name: value
            for name, value in case.as_transport_kwargs(base_url="http://keylike").items()
            if name in _REQUESTS
        }
    ).prepare()
    body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body
    headers = [
        (name, value)
        for name, value in prepared.headers.items()
        if name.lower() not in ("content-length", "transfer-encoding", "host")
    ]
    return request(
        str(prepared.method), prepared.path_url, headers, body if isinstance(body, bytes) else None
    )


_REQUESTS = frozenset(("method", "url", "headers", "params", "data", "json", "files", "cookies"))


def _draw(strategy: st.SearchStrategy[bytes], number: int, seeded: int) -> list[bytes]:
    """The first so many; the same for the same seed and the same versions of both tools."""
    found: list[bytes] = []
    collect: Callable[[bytes], None] = found.append

    @seed(seeded)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(data: bytes) -> None:
        collect(data)

    with contextlib.suppress(Unsatisfiable):  # where nothing can be wrong with a request
        draw()
    return found
