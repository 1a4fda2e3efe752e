"""The cases of the hostile load. They have numbers, so that a failed case can be sent again.

`Cases.case(number)` depends only on the seed and the number.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from tools.fuzzing.broken_pictures import broken_picture
from tools.fuzzing.hostile_load.bodies import batch_form, malformed_form, malformed_json, photo_body
from tools.fuzzing.hostile_load.case import Case, Ending, request
from tools.fuzzing.hostile_load.malformed_http import (
    chunked,
    not_http,
    partial_request,
    pipelined,
    post_case,
    unusual_request,
    wrong_length,
)
from tools.fuzzing.hostile_load.payloads import PHOTO_PATHS
from tools.fuzzing.mutations import BYTE_MUTATIONS
from tools.fuzzing.valid_pictures import ROOT


@dataclass(frozen=True, slots=True)
class Cases:
    """Source of the cases.

    Half of the requests from Hypothesis and Schemathesis are changed randomly before they are sent.

    Attributes:
        seed: Seed of all random choices.
        generated: Complete requests that Hypothesis generated.
        from_schema: Complete requests that Schemathesis generated from the OpenAPI document.
    """

    seed: int
    generated: Sequence[bytes]
    from_schema: Sequence[bytes]

    def case(self, number: int) -> Case:
        """Return the case with this number."""
        rng = Random(f"{self.seed}:{number}")
        make = rng.choices(tuple(self._kinds), tuple(self._kinds.values()))[0]
        return make(rng)

    @property
    def _kinds(self) -> dict[Callable[[Random], Case], int]:
        """Return the percentage of each kind of case, by the function that builds it."""
        return {
            _picture: 37,
            self._from_hypothesis: 12,
            self._from_document: 12,
            _form: 9,
            _json: 9,
            unusual_request: 7,
            wrong_length: 2,
            chunked: 3,
            partial_request: 3,
            pipelined: 2,
            not_http: 2,
            _valid_sample: 2,
        }

    def _from_hypothesis(self, rng: Random) -> Case:
        return _replay(rng, "hypothesis", self.generated)

    def _from_document(self, rng: Random) -> Case:
        return _replay(rng, "schemathesis", self.from_schema)


def _picture(rng: Random) -> Case:
    """Return a case with a valid request that contains a broken picture."""
    path = rng.choices(PHOTO_PATHS, (6, 2, 1, 1))[0]
    body = (
        batch_form(rng)
        if path == "/predict/batch"
        else photo_body(rng, broken_picture(rng.getrandbits(40)))
    )
    return post_case(rng, "picture", path, body)


def _form(rng: Random) -> Case:
    return post_case(rng, "form", rng.choice(PHOTO_PATHS), malformed_form(rng))


def _json(rng: Random) -> Case:
    return post_case(rng, "json", rng.choice(PHOTO_PATHS), malformed_json(rng))


def _valid_sample(rng: Random) -> Case:
    """Return a case with a sample photo and its code. Half of these cases bypass the cache."""
    return _sample(
        rng.choice(_LABELS),
        rng.choice(PHOTO_PATHS[:2]),
        rng.choice(("no-cache", "max-age=0")),
    )


def samples() -> list[Case]:
    """Return one case for each sample photo. These requests bypass the cache."""
    return [_sample(label, "/predict", "no-store") for label in _LABELS]


def _sample(label: dict[str, Any], path: str, cache_control: str) -> Case:
    photo = (ROOT / "samples" / label["file"]).read_bytes()
    code = ",".join(map(str, label["bitting"]))
    data = request(
        "POST", path, [("Content-Type", "image/jpeg"), ("Cache-Control", cache_control)], photo
    )
    return Case("valid", (data,), expected_reading=(label["keyway"], code))


def _replay(rng: Random, kind: str, pool: Sequence[bytes]) -> Case:
    data = rng.choice(pool)
    method = data.partition(b" ")[0].decode("latin-1")
    head, separator, body = data.partition(b"\r\n\r\n")
    choice = rng.random()
    if choice < 0.5:
        return Case(kind, (data,), (method,))
    if choice < 0.75 and body:
        # Keep the number of bytes, so that Content-Length stays correct.
        mutated = rng.choice(BYTE_MUTATIONS)(rng, body)
        return Case(
            kind, (head + separator + (mutated + bytes(len(body)))[: len(body)],), (method,)
        )
    return Case(
        kind, (rng.choice(BYTE_MUTATIONS)(rng, head) + separator + body,), (method,), Ending.ENDED
    )


_LABELS = [
    json.loads(line) for line in (ROOT / "samples" / "labels.jsonl").read_text().splitlines()
]
