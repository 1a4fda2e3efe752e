"""Which case comes at which number: `Cases.case(n)` gives the same one for the same seed, whichever caller asks, in whatever order."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from tools.fuzzing.damage import ANYWHERE
from tools.fuzzing.hostile_load.bodies import batch_form, photo_body, strange_form, strange_json
from tools.fuzzing.hostile_load.case import Case, Ending, request
from tools.fuzzing.hostile_load.heads import (
    chunked,
    garbage,
    half,
    pipelined,
    posted,
    strange_head,
    strange_length,
)
from tools.fuzzing.hostile_load.words import PHOTO_PATHS
from tools.fuzzing.pictures import broken
from tools.fuzzing.sound import ROOT


@dataclass(frozen=True, slots=True)
class Cases:
    """`drawn` are whole requests that hypothesis made, `described` those that schemathesis made from the API's own document: both are
    replayed, half of them with something broken."""

    seed: int
    drawn: Sequence[bytes]
    described: Sequence[bytes]

    def case(self, number: int) -> Case:
        """The case of this number."""
        chance = Random(f"{self.seed}:{number}")
        make = chance.choices(tuple(self._kinds), tuple(self._kinds.values()))[0]
        return make(chance)

    @property
    def _kinds(self) -> dict[Callable[[Random], Case], int]:
        """Their shares, in hundredths."""
        return {
            _picture: 37,
            self._from_hypothesis: 12,
            self._from_document: 12,
            _form: 9,
            _json: 9,
            strange_head: 7,
            strange_length: 2,
            chunked: 3,
            half: 3,
            pipelined: 2,
            garbage: 2,
            _good: 2,
        }

    def _from_hypothesis(self, chance: Random) -> Case:
        return _replayed(chance, "hypothesis", self.drawn)

    def _from_document(self, chance: Random) -> Case:
        return _replayed(chance, "schemathesis", self.described)


def _picture(chance: Random) -> Case:
    """A broken picture, sent as a picture should be."""
    path = chance.choices(PHOTO_PATHS, (6, 2, 1, 1))[0]
    body = (
        batch_form(chance)
        if path == "/predict/batch"
        else photo_body(chance, broken(chance.getrandbits(40)))
    )
    return posted(chance, "picture", path, body)


def _form(chance: Random) -> Case:
    return posted(chance, "form", chance.choice(PHOTO_PATHS), strange_form(chance))


def _json(chance: Random) -> Case:
    return posted(chance, "json", chance.choice(PHOTO_PATHS), strange_json(chance))


def _good(chance: Random) -> Case:
    """A sample, whose code is known; half of them read anew."""
    return _sample(
        chance.choice(_LABELS),
        chance.choice(PHOTO_PATHS[:2]),
        chance.choice(("no-cache", "max-age=0")),
    )


def samples() -> list[Case]:
    """Each of the samples once, read anew."""
    return [_sample(label, "/predict", "no-store") for label in _LABELS]


def _sample(label: dict[str, Any], path: str, cache_control: str) -> Case:
    photo = (ROOT / "samples" / label["file"]).read_bytes()
    code = ",".join(map(str, label["bitting"]))
    data = request(
        "POST", path, [("Content-Type", "image/jpeg"), ("Cache-Control", cache_control)], photo
    )
    return Case("good", (data,), reading=(label["keyway"], code))


def _replayed(chance: Random, kind: str, pool: Sequence[bytes]) -> Case:
    data = chance.choice(pool)
    method = data.partition(b" ")[0].decode("latin-1")
    head, gap, body = data.partition(b"\r\n\r\n")
    way = chance.random()
    if way < 0.5:
        return Case(kind, (data,), (method,))
    if way < 0.75 and body:
        # As many bytes as before, so that the length announced is still right.
        spoilt = chance.choice(ANYWHERE)(chance, body)
        return Case(kind, (head + gap + (spoilt + bytes(len(body)))[: len(body)],), (method,))
    return Case(
        kind, (chance.choice(ANYWHERE)(chance, head) + gap + body,), (method,), Ending.ENDED
    )


_LABELS = [
    json.loads(line) for line in (ROOT / "samples" / "labels.jsonl").read_text().splitlines()
]
