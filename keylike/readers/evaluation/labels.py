"""Read labelled folders: images/, and labels.jsonl with file, keyway, bitting and tier per line."""

from __future__ import annotations

import json
from pathlib import Path

from keylike.readers.evaluation.verdict import Shot


def shots(folder: Path) -> list[Shot]:
    """Return the labelled photos of a folder.

    Raises:
        FileNotFoundError: There is no labels.jsonl.
        ValueError: A line is not a valid label, or names a file outside the folder.
    """
    found = []
    for number, line in enumerate(
        (folder / "labels.jsonl").read_text(encoding="utf-8").splitlines(), 1
    ):
        if not line.strip():
            continue
        try:
            found.append(_shot(folder, json.loads(line)))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ValueError(
                f"line {number} of labels.jsonl is not a label with file, keyway, bitting and tier"
            ) from None
    return found


def _shot(folder: Path, row: dict[str, object]) -> Shot:
    file, keyway, bitting, tier = (row[name] for name in ("file", "keyway", "bitting", "tier"))
    if not (
        isinstance(file, str)
        and isinstance(keyway, str)
        and isinstance(tier, str)
        and isinstance(bitting, list | str | None)
    ):
        raise TypeError
    if ".." in Path(file).parts or Path(file).is_absolute():
        raise ValueError
    path = folder / "images" / file
    codes = None if bitting is None else tuple(int(code) for code in bitting)
    return Shot(path if path.exists() else folder / file, _family(keyway), codes, tier)


def _family(name: str) -> str:
    """Return the family in a keyway that is written as `other:Maker(SC4)`, here SC4.

    Other names are returned unchanged.
    """
    return (
        name[name.index("(") + 1 : -1] if name.startswith("other:") and name.endswith(")") else name
    )
