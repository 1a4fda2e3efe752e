"""What became of photos without a code that the reader could read, family by family."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

# A label may name any family; beyond this many they are counted together, so that the page stays small.
MOST = 30
NAMES = {"none": "no key", "blank": "uncut blank", "other": "other families"}


@dataclass(frozen=True, slots=True)
class Fate:
    """One family: `read_as` counts by the keyway it was taken for."""

    name: str
    photos: int
    refused: int
    read_as: tuple[tuple[str, int], ...]


def fates(families: Mapping[str, Counter[str]]) -> list[Fate]:
    """A row a family, the most often read first; the rare ones together at the end."""
    ordered = sorted(
        families.items(), key=lambda family: family[1]["refused"] - family[1]["photos"]
    )
    rows = [
        _fate(NAMES.get(name, name.removeprefix("other:")), counts)
        for name, counts in ordered[:MOST]
    ]
    rest = ordered[MOST:]
    if rest:
        rows.append(_fate(f"{len(rest)} more", sum((counts for _, counts in rest), Counter())))
    return rows


def _fate(name: str, counts: Counter[str]) -> Fate:
    read = [
        (key.removeprefix("read_as_"), count)
        for key, count in counts.most_common()
        if key.startswith("read_as_")
    ]
    return Fate(name, counts["photos"], counts["refused"], tuple(read))
