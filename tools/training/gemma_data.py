"""Training data for Gemma: labelled photos, validated and split by key."""

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

JSONL_TIER = "own"  # difficulty of photos from a JSONL file, which does not state one
NONE = "none"  # keyway of a photo without a key
# The two reply formats.
REPLIES = {
    "short": ReplyShape(none="NONE"),
    # The reader takes the code from the first lines, as in a short reply. The lines from BRAND on
    # are for programs that show the whole reply.
    "long": ReplyShape(none="NONE", template=ReplyShape().template + "\nBRAND:"),
}


class DataError(ValueError):
    """Invalid photos or labels. The message is one line and contains no code."""


def read_shots(data: Path) -> list[Shot]:
    """Return the photos of a folder written by tools.training.render, or of a JSONL file.

    Each line of a JSONL file has image_path, bittings, keyway and brand. `Shot.codes` is None for a
    photo without a readable code.

    Raises:
        DataError: A label or photo is invalid. The message names the first invalid one.
    """
    if not data.exists():
        raise DataError(f"{data} does not exist")
    found = _read_folder(data) if data.is_dir() else _read_jsonl(data)
    if not found:
        raise DataError(f"{data.name} lists no photos")
    if all(shot.codes is None for shot in found):
        raise DataError(f"{data.name} lists no photo of a key with its code")
    return found


def reply_shape(reply: str, train_shots: Sequence[Shot]) -> ReplyShape:
    """Return the short or the long reply format.

    The format includes the reply "NONE" only if some training photos have no readable code.
    """
    shape = REPLIES[reply]
    return (
        shape
        if any(shot.codes is None for shot in train_shots)
        else shape.model_copy(update={"none": None})
    )


def _read_folder(folder: Path) -> list[Shot]:
    try:
        found = shots(folder)
    except FileNotFoundError:
        raise DataError(
            f"{folder.name} has no labels.jsonl: "
            "render photos with python -m tools.training.render, or use a JSONL file"
        ) from None
    except ValueError as error:
        raise DataError(str(error)) from None
    return [_check(shot, shot.path.name) for shot in found]


def _read_jsonl(file: Path) -> list[Shot]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(
            f"{file.name} is not UTF-8 text: it must have one JSON object per line"
        ) from None
    return [
        _parse_line(file, line, f"line {number} of {file.name}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]


def _parse_line(file: Path, line: str, where: str) -> Shot:
    try:
        row = json.loads(line)
        path, name = file.parent / row["image_path"], row.get("keyway")
        bitting = row["bittings"] if "bittings" in row else row["bitting"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(
            f"{where} is not a JSON object with image_path, bittings and keyway"
        ) from None
    if bitting is None:
        return _check(Shot(path, NONE, None, JSONL_TIER), where)
    if not isinstance(name, str):
        raise DataError(f"{where} has no keyway")
    return _check(Shot(path, name, _codes(name, bitting, where), JSONL_TIER), where)


def _codes(name: str, bitting: Any, where: str) -> tuple[int, ...]:
    """Return a code given as a list of numbers or as text such as "2,5,4,7,3"."""
    if isinstance(bitting, list) and bitting and all(type(code) is int for code in bitting):
        return tuple(bitting)
    text = ",".join(map(str, bitting)) if isinstance(bitting, list) else str(bitting)
    try:
        return Bitting.parse(keyway(name), text).codes
    except (BittingError, UnknownKeyway) as error:
        raise DataError(f"{where}: {error}") from None


def _check(shot: Shot, where: str) -> Shot:
    """Validate a shot and return it with the canonical name of its keyway.

    Raises:
        DataError: The photo does not exist, or the keyway does not allow the code.
    """
    if not shot.path.is_file():
        raise DataError(f"{where}: photo {shot.path.name} does not exist")
    if shot.codes is None:
        return shot
    try:
        key_type = keyway(shot.keyway)
        Bitting(key_type, shot.codes).validate()
    except (BittingError, UnknownKeyway) as error:
        raise DataError(f"{where}: {error}") from None
    return replace(shot, keyway=key_type.name)


def split_by_key(found: Sequence[Shot], share: float) -> tuple[list[Shot], list[Shot]]:
    """Split photos into training and held-out photos.

    About `share` (0 to 1) of the keys are held out with all their photos. The same fraction of the
    photos without a code is held out. The split is by key, because a held-out photo of a key that
    was trained on would not be an independent test. The choice depends on hashes of the keys, so
    that adding a few photos changes the side of few keys.

    Raises:
        DataError: No key would be left for training.
    """
    keys = sorted({_group(shot) for shot in found if shot.codes}, key=_hash_order)
    others = sorted({_group(shot) for shot in found if not shot.codes}, key=_hash_order)
    held_out = {*keys[: _count(len(keys), share)], *others[: _count(len(others), share)]}
    train_shots = [shot for shot in found if _group(shot) not in held_out]
    if not any(shot.codes for shot in train_shots):
        raise DataError(
            "no key would be left for training: hold out fewer, or add photos of other keys"
        )
    return train_shots, [shot for shot in found if _group(shot) in held_out]


def _count(keys: int, share: float) -> int:
    return max(1, round(keys * share)) if keys > 1 and share > 0 else 0


def _group(shot: Shot) -> str:
    """Return an identifier that all photos of one key share. Without a code, the file name."""
    return f"{shot.keyway}:{shot.codes}" if shot.codes else shot.path.name


def _hash_order(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def keyways_of(found: Sequence[Shot]) -> tuple[str, ...]:
    """Return the sorted keyways of all shots with a code."""
    return tuple(sorted({shot.keyway for shot in found if shot.codes}))


def reply_for(shot: Shot, shape: str) -> str:
    """Return the reply that the model learns for a shot. `shape` is "short" or "long"."""
    form = REPLIES[shape]
    if shot.codes is None:
        return none_text(form) or ""
    text = reply_text(form, shot.keyway, shot.codes)
    return text if shape == "short" else f"{text} {_long_reply_end(shot)}"


def _long_reply_end(shot: Shot) -> str:
    """Return the text after "BRAND:" in the long reply.

    There is no CONFIDENCE line, because the labels contain no confidence to learn.
    """
    key_type = keyway(shot.keyway)
    estimate = market(Bitting(key_type, shot.codes or ()), "00000")
    return (
        f"{key_type.brand}\n"
        f"PRODUCTION: {estimate.estimated_annual_production}\n"
        f"COMPLEXITY: {estimate.manufacturing_complexity}"
    )
