"""Generates requests with other tools.

Hypothesis combines parts of requests. Schemathesis generates requests from the OpenAPI document.
The requests are generated once and sent many times, because generating one takes ten times as long
as the server takes to refuse it.
"""

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
from tools.fuzzing.broken_pictures import broken_picture
from tools.fuzzing.forms import BOUNDARY
from tools.fuzzing.hostile_load.bodies import Body
from tools.fuzzing.hostile_load.case import request
from tools.fuzzing.hostile_load.payloads import NAMES, PHOTO_PATHS, TEXTS
from tools.fuzzing.valid_pictures import valid_pictures

PICTURES = st.integers(0, 1 << 40).map(broken_picture) | st.sampled_from(valid_pictures())
_TEXT = st.sampled_from(TEXTS) | st.text(max_size=60)
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
    """Generate forms with random parts and with correct or slightly wrong boundaries."""
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
    line_break = draw(st.sampled_from(("\r\n", "\r\n", "\r\n", "\n", "")))
    pieces = []
    for name, file, content in parts:
        filename = "" if file is None else f'; filename="{file}"'
        pieces.append(
            _utf8(
                f"--{BOUNDARY}{line_break}"
                f'Content-Disposition: form-data; name="{name}"{filename}{line_break}{line_break}'
            )
            + content
            + _utf8(line_break)
        )
    end = draw(
        st.sampled_from((f"--{BOUNDARY}--\r\n", f"--{BOUNDARY}--", f"--{BOUNDARY}", "", "--x--"))
    )
    return f"multipart/form-data; boundary={BOUNDARY}", b"".join(pieces) + end.encode()


def jsons() -> st.SearchStrategy[Body]:
    """Generate JSON with known and unknown fields of any type, and bytes that are not JSON."""
    written = _JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200)
    return st.tuples(st.just("application/json"), written)


def raws() -> st.SearchStrategy[Body]:
    """Generate pictures and other bytes with a random content type."""
    return st.tuples(st.sampled_from(RAW_TYPES) | _LINE, PICTURES | st.binary(max_size=500))


def bodies() -> st.SearchStrategy[Body]:
    """Generate a body in any of the three encodings."""
    return forms() | jsons() | raws()


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _request(path: str, body: Body, headers: list[tuple[str, str]]) -> bytes:
    return request("POST", path, [("Content-Type", body[0]), *headers], body[1])


def from_hypothesis(number: int, random_seed: int) -> list[bytes]:
    """Return `number` complete requests to the paths that accept photos."""
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
    request_strategy = st.builds(
        _request,
        st.sampled_from(PHOTO_PATHS),
        bodies(),
        st.lists(st.tuples(names, _LINE), max_size=3),
    )
    return _draw(request_strategy, number, random_seed)


def from_schema(document: dict[str, Any], per_mode: int, random_seed: int) -> list[bytes]:
    """Return complete requests to every operation of the OpenAPI document.

    There are up to `per_mode` valid and up to `per_mode` invalid requests for each operation. There
    are fewer if no more different ones exist.
    """
    register(PICTURES)
    schema = schemathesis.openapi.from_dict(document)
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    generated: list[bytes] = []
    for operation in operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            generated += _draw(
                operation.as_strategy(generation_mode=mode).map(_request_bytes),
                per_mode,
                random_seed,
            )
    return generated


def register(photos: st.SearchStrategy[bytes]) -> None:
    """Register generators of photos with Schemathesis.

    They are needed because a schema cannot describe the bytes of a photo.
    """
    schemathesis.openapi.format(
        "base64-photo", photos.map(lambda photo: base64.b64encode(photo).decode())
    )
    schemathesis.openapi.format("binary", photos)
    schemathesis.openapi.media_type("application/octet-stream", photos)


def _request_bytes(case: schemathesis.Case[Any]) -> bytes:
    prepared = requests.Request(
        **{
            name: value
            for name, value in case.as_transport_kwargs(base_url="http://keylike").items()
            if name in _REQUEST_ARGUMENTS
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


_REQUEST_ARGUMENTS = frozenset(
    ("method", "url", "headers", "params", "data", "json", "files", "cookies")
)


def _draw(strategy: st.SearchStrategy[bytes], number: int, random_seed: int) -> list[bytes]:
    """Return the first `number` examples of the strategy.

    They depend only on the seed and on the versions of the tools.
    """
    examples: list[bytes] = []
    collect: Callable[[bytes], None] = examples.append

    @seed(random_seed)
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

    with contextlib.suppress(Unsatisfiable):  # raised if no invalid request exists
        draw()
    return examples
