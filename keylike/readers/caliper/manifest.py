"""The caliper's own part of its manifest: who it is, calibration and thresholds, typed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from keylike.errors import ModelError
from keylike.readers.caliper.decode import Noise
from keylike.readers.caliper.networks import CUTS_OF
from keylike.readers.contract import ReaderInfo

_PLAIN = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Calibration:
    """Fitted on held-back pictures: `noise` for decoding; `weights` of a logistic curve over the reading's own figures (the order of
    FIGURES in confidence.py, then the constant); `kind_temperature` for the keyway's probabilities."""

    noise: Noise
    weights: tuple[float, ...]
    kind_temperature: float


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When to refuse: below these logits of presence and fit; from this probability of another family; below this evidence that the cuts
    are any code at all; below the least confidence worth a code."""

    presence: float
    fit: float
    other: float
    evidence: float
    confidence: float


def info_of(manifest: dict[str, Any], digest: str) -> ReaderInfo:
    """Who reads; `digest`: of all that shapes an answer. Raises ModelError where name, version or keyways are not what answers can hold."""
    name, version, keyways = (manifest.get(each) for each in ("name", "version", "keyways"))
    if not (_is_plain(name) and _is_plain(version)):
        raise ModelError("the caliper's manifest: name and version must be short and plain")
    if not isinstance(keyways, list) or not keyways or not set(map(str, keyways)) <= CUTS_OF.keys():
        raise ModelError(f"the caliper's manifest: keyways must be of {', '.join(CUTS_OF)}")
    return ReaderInfo(str(name), str(version), "caliper", tuple(keyways), digest)


def calibration_of(manifest: dict[str, Any]) -> Calibration:
    """Raises ModelError when the table is missing or not numbers."""
    try:
        table = manifest["calibration"]
        noise = Noise(*_numbers(table[name] for name in ("temperature", "shift_mm", "slope_mm")))
        return Calibration(
            noise, _numbers(table["weights"]), *_numbers([table["kind_temperature"]])
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ModelError("the caliper's manifest holds no usable [calibration]") from None


def thresholds_of(manifest: dict[str, Any]) -> Thresholds:
    """Raises ModelError when the table is missing or not numbers."""
    try:
        table = manifest["thresholds"]
        return Thresholds(
            *_numbers(
                table[name] for name in ("presence", "fit", "other", "evidence", "confidence")
            )
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ModelError("the caliper's manifest holds no usable [thresholds]") from None


def _is_plain(value: object) -> bool:
    return isinstance(value, str) and _PLAIN.fullmatch(value) is not None


def _numbers(values: Iterable[Any]) -> tuple[float, ...]:
    """TOML knows nan and inf, from which no answer could be made. Raises ValueError."""
    numbers = tuple(map(float, values))
    if not all(map(math.isfinite, numbers)):
        raise ValueError("not finite")
    return numbers
