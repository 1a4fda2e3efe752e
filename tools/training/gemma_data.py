"""Training data for Gemma: labelled photos, checked and split by key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from keylike.keys.bitting import Bitting, BittingError
from keylike.keys.keyways import UnknownKeyway, keyway
from keylike.keys.market import market
from keylike.readers.evaluation import Shot, shots
from keylike.readers.gemma.manifest import ReplyShape
from keylike.readers.gemma.prompt import none_text, reply_text

OWN = "own"
NONE = "none"
REPLIES = {
    "short": ReplyShape(none="NONE"),
    # The code is parsed as in a short reply. The other lines are for programs that show the whole
    # reply.
    "long": ReplyShape(none="NONE", template=ReplyShape().template + "\nBRAND:"),
}


class DataError(ValueError):
    """Photos or labels that cannot be used. The message is one line without any code."""


def read_shots(data: Path) -> list[Shot]:
    """Return the photos of a folder of tools.training.render or of a JSONL file.

    Each line of the file has image_path, bittings, keyway and brand. `codes` is None without a code.

    Raises:
        DataError: The first fault found.
    """
    if not data.exists():
        raise DataError(f"there is no {data}")
    found = _drawn(data) if data.is_dir() else _own(data)
    if not found:
        raise DataError(f"{data.name} lists no photos")
    if all(shot.codes is None for shot in found):
        raise DataError(f"{data.name} lists no photo of a key with its code")
    return found


def shape_of(reply: str, taught: Sequence[Shot]) -> ReplyShape:
    """Return the short or the long reply shape.

    A model says that there is no key only if it was trained on photos without one.
    """
    shape = REPLIES[reply]
    return (
        shape
        if any(shot.codes is None for shot in taught)
        else shape.model_copy(update={"none": None})
    )


def _drawn(folder: Path) -> list[Shot]:
    try:
        found = shots(folder)
    except FileNotFoundError:
        raise DataError(
            f"{folder.name} holds no labels.jsonl: draw photos with python -m tools.training.render, or name a JSONL file"
        ) from None
    except ValueError as error:
        raise DataError(str(error)) from None
    return [_checked(shot, shot.path.name) for shot in found]


def _own(file: Path) -> list[Shot]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(
            f"{file.name} is not text in UTF-8: it must hold a JSON object a line"
        ) from None
    return [
        _own_shot(file, line, f"line {number} of {file.name}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]


def _own_shot(file: Path, line: str, where: str) -> Shot:
    try:
        row = json.loads(line)
        path, name = file.parent / row["image_path"], row.get("keyway")
        written = row["bittings"] if "bittings" in row else row["bitting"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(f"{where} is no JSON object with image_path, bittings and keyway") from None
    if written is None:
        return _checked(Shot(path, NONE, None, OWN), where)
    if not isinstance(name, str):
        raise DataError(f"{where} does not name its keyway")
    return _checked(Shot(path, name, _codes(name, written, where), OWN), where)


def _codes(name: str, written: Any, where: str) -> tuple[int, ...]:
    """Return a code given as a list of numbers or as text, such as "2,5,4,7,3"."""
    if isinstance(written, list) and written and all(type(code) is int for code in written):
        return tuple(written)
    text = ",".join(map(str, written)) if isinstance(written, list) else str(written)
    try:
        return Bitting.parse(keyway(name), text).codes
    except (BittingError, UnknownKeyway) as error:
        raise DataError(f"{where}: {error}") from None


def _checked(shot: Shot, where: str) -> Shot:
    """Return the shot under its keyway's canonical name.

    Raises:
        DataError: The photo does not exist, or no such key can have the code.
    """
    if not shot.path.is_file():
        raise DataError(f"{where}: there is no photo {shot.path.name}")
    if shot.codes is None:
        return shot
    try:
        way = keyway(shot.keyway)
        Bitting(way, shot.codes).validate()
    except (BittingError, UnknownKeyway) as error:
        raise DataError(f"{where}: {error}") from None
    return replace(shot, keyway=way.name)


def part(found: Sequence[Shot], share: float) -> tuple[list[Shot], list[Shot]]:
    """Return photos to train on and photos held out, split by key.

    About `share` of the keys are held out with all their photos, and as many photos without a key.
    Another photo of a trained key would be no test. Hashes decide, so keys stay where they are when a
    few photos are added.

    Raises:
        DataError: Nothing would be left to train on.
    """
    keys = sorted({_key(shot) for shot in found if shot.codes}, key=_lot)
    others = sorted({_key(shot) for shot in found if not shot.codes}, key=_lot)
    held = {*keys[: _count(len(keys), share)], *others[: _count(len(others), share)]}
    taught = [shot for shot in found if _key(shot) not in held]
    if not any(shot.codes for shot in taught):
        raise DataError(
            "no key would be left to teach: hold out fewer, or add photos of other keys"
        )
    return taught, [shot for shot in found if _key(shot) in held]


def _count(keys: int, share: float) -> int:
    return max(1, round(keys * share)) if keys > 1 and share > 0 else 0


def _key(shot: Shot) -> str:
    """Return the key that photos share; a photo without a key shares with none."""
    return f"{shot.keyway}:{shot.codes}" if shot.codes else shot.path.name


def _lot(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def keyways_of(found: Sequence[Shot]) -> tuple[str, ...]:
    """Return the keyways with codes, by name."""
    return tuple(sorted({shot.keyway for shot in found if shot.codes}))


def reply_for(shot: Shot, shape: str) -> str:
    """Return the reply to learn for a shot; `shape` is "short" or "long"."""
    form = REPLIES[shape]
    if shot.codes is None:
        return none_text(form) or ""
    text = reply_text(form, shot.keyway, shot.codes)
    return text if shape == "short" else f"{text} {_besides(shot)}"


def _besides(shot: Shot) -> str:
    """Return the other lines of the long reply, without CONFIDENCE: no label can say that."""
    way = keyway(shot.keyway)
    rough = market(Bitting(way, shot.codes or ()), "00000")
    return f"{way.brand}\nPRODUCTION: {rough.estimated_annual_production}\nCOMPLEXITY: {rough.manufacturing_complexity}"
