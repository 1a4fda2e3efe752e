"""The caliper's part of its manifest: description, calibration and thresholds, typed."""

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


NEVER = 1e9  # a limit for logits that none reaches


@dataclass(frozen=True, slots=True)
class Calibration:
    """The calibration, fitted on held-back pictures.

    Attributes:
        noise: The noise that decoding assumes.
        weights: Weights of the logistic curve over `confidence.FIGURES`, then the constant.
        kind_temperature: Temperature of the kinds' probabilities.
    """

    noise: Noise
    weights: tuple[float, ...]
    kind_temperature: float


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The limits of a refusal.

    Attributes:
        presence: Least logit that there is a key.
        fit: Least logit that the strip shows a blade.
        other: Probability of another family from which no code is given.
        evidence: Least evidence that the cuts are any code at all.
        confidence: Least confidence of a code.
        several: Logit of further keys from which no code is given.
    """

    presence: float
    fit: float
    other: float
    evidence: float
    confidence: float
    several: float = NEVER


def info_of(manifest: dict[str, Any], digest: str) -> ReaderInfo:
    """Return the reader's description; `digest` identifies all that shapes an answer.

    Raises:
        ModelError: Name, version or keyways cannot go into an answer.
    """
    name, version, keyways = (manifest.get(each) for each in ("name", "version", "keyways"))
    if not (_is_plain(name) and _is_plain(version)):
        raise ModelError("the caliper's manifest: name and version must be short and plain")
    if not isinstance(keyways, list) or not keyways or not set(map(str, keyways)) <= CUTS_OF.keys():
        raise ModelError(f"the caliper's manifest: keyways must be of {', '.join(CUTS_OF)}")
    return ReaderInfo(str(name), str(version), "caliper", tuple(keyways), digest)


def calibration_of(manifest: dict[str, Any]) -> Calibration:
    """Return the [calibration] table.

    Raises:
        ModelError: The table is missing or holds something else than numbers.
    """
    try:
        table = manifest["calibration"]
        noise = Noise(*_numbers(table[name] for name in ("temperature", "shift_mm", "slope_mm")))
        return Calibration(
            noise, _numbers(table["weights"]), *_numbers([table["kind_temperature"]])
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ModelError("the caliper's manifest holds no usable [calibration]") from None


def thresholds_of(manifest: dict[str, Any]) -> Thresholds:
    """Return the [thresholds] table.

    Raises:
        ModelError: The table is missing or holds something else than numbers.
    """
    try:
        table = manifest["thresholds"]
        names = ("presence", "fit", "other", "evidence", "confidence")
        several = table.get("several", NEVER)  # models before 1.3.0 do not count keys
        return Thresholds(*_numbers([*(table[name] for name in names), several]))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        raise ModelError("the caliper's manifest holds no usable [thresholds]") from None


def _is_plain(value: object) -> bool:
    return isinstance(value, str) and _PLAIN.fullmatch(value) is not None


def _numbers(values: Iterable[Any]) -> tuple[float, ...]:
    """Return the values as floats. Raises ValueError for nan and inf, which TOML allows."""
    numbers = tuple(map(float, values))
    if not all(map(math.isfinite, numbers)):
        raise ValueError("not finite")
    return numbers
