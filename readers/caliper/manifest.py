"""The caliper's own part of its manifest: calibration and thresholds, typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from readers.caliper.decode import Noise
from utils.errors import ModelError


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


def calibration_of(manifest: dict[str, Any]) -> Calibration:
    """Raises ModelError when the table is missing or not numbers."""
    try:
        table = manifest["calibration"]
        noise = Noise(float(table["temperature"]), float(table["shift_mm"]), float(table["slope_mm"]))
        return Calibration(noise, tuple(float(w) for w in table["weights"]), float(table["kind_temperature"]))
    except (KeyError, TypeError, ValueError):
        raise ModelError("the caliper's manifest holds no usable [calibration]") from None


def thresholds_of(manifest: dict[str, Any]) -> Thresholds:
    """Raises ModelError when the table is missing or not numbers."""
    try:
        table = manifest["thresholds"]
        return Thresholds(*(float(table[name]) for name in ("presence", "fit", "other", "evidence", "confidence")))
    except (KeyError, TypeError, ValueError):
        raise ModelError("the caliper's manifest holds no usable [thresholds]") from None
