"""The sample photos and their labels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.browser.server import SAMPLES


@dataclass(frozen=True)
class Sample:
    """A photo of a key; `bitting` is its code in the format of the API."""

    path: Path
    keyway: str
    bitting: str

    @property
    def digits(self) -> list[str]:
        """Return the depths."""
        return self.bitting.split(",")


def sample(name: str) -> Sample:
    """Return the sample with a file name."""
    lines = (
        json.loads(line)
        for line in (SAMPLES / "labels.jsonl").read_text(encoding="utf-8").splitlines()
    )
    label = next(line for line in lines if line["file"] == name)
    return Sample(SAMPLES / name, label["keyway"], ",".join(map(str, label["bitting"])))


FIRST = sample("sc1_01.jpg")
SECOND = sample("kw1_02.jpg")
