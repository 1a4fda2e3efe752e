"""Response bodies of readings, classifications and failures, as dictionaries ready for JSON."""

from __future__ import annotations

import secrets
from typing import Any

from keylike.errors import KeylikeError, UnreadableKey
from keylike.inference import Answer, Classified
from keylike.readers.contract import Point, Quality, Reading

_MM_PER_INCH = 25.4
API_VERSION = "2.0.0"
VERSION_HEADER = "API-Version"


def new_request_id() -> str:
    """Return eight characters that identify one request in its response and in the log."""
    return secrets.token_hex(4)


def success(answer: Answer, *, request_id: str, now: float) -> dict[str, Any]:
    """Return the body of a prediction; `now` is in seconds since 1970.

    Phone apps depend on the names and types up to api_version.
    """
    reading, keyway, market = answer.reading, answer.bitting.keyway, answer.market
    return {
        "success": True,
        "request_id": request_id,
        "keyway": reading.keyway,
        "bitting": answer.bitting.format(),
        "brand": keyway.brand,
        "confidence": round(reading.confidence, 4),
        "estimatedAnnualProduction": market.estimated_annual_production,
        "manufacturingComplexity": market.manufacturing_complexity,
        "marketPenetration": market.market_penetration,
        "timeInMarket": market.time_in_market,
        "pinCount": keyway.pin_count,
        "materialType": keyway.material,
        "securityRating": keyway.security_rating,
        "model_used": answer.model,
        "zipcode": answer.zipcode,
        "timestamp": round(now * 1e3),
        "api_version": API_VERSION,
        "cuts": _cuts(reading),
        "alternatives": _alternatives(reading),
        "geometry": _geometry(reading),
        "quality": _quality(reading.quality),
        "calibrated": reading.calibrated,
        "assessment": answer.assessment.to_dict(),
        "cached": answer.cached,
        "processing_ms": round(answer.processing_ms, 1),
    }


def timed_success(answer: Answer, *, request_id: str, now: float) -> dict[str, Any]:
    """Return the body of a prediction with its processing time in seconds."""
    body = success(answer, request_id=request_id, now=now)
    return body | {"processing_time": round(answer.processing_ms / 1e3, 4)}


def classified(answer: Classified, *, request_id: str, now: float) -> dict[str, Any]:
    """Return the body of a classification; `now` is in seconds since 1970.

    Probabilities are not rounded, since they must sum to 1.
    """
    return {
        "success": True,
        "request_id": request_id,
        "predicted_class": answer.classification.predicted,
        "confidence": answer.classification.confidence,
        "all_probabilities": dict(answer.classification.probabilities),
        "model_used": answer.model,
        "timestamp": round(now * 1e3),
        "api_version": API_VERSION,
    }


def batch(results: list[dict[str, Any]], *, request_id: str, now: float) -> dict[str, Any]:
    """Return the body for several photos; `now` is in seconds since 1970."""
    return {
        "success": True,
        "request_id": request_id,
        "timestamp": round(now * 1e3),
        "api_version": API_VERSION,
        "results": results,
    }


def failure(code: str, message: str, *, request_id: str, now: float) -> dict[str, Any]:
    """Return the fields that every failure has; `now` is in seconds since 1970."""
    return {
        "success": False,
        "error": message,
        "code": code,
        "request_id": request_id,
        "timestamp": round(now * 1e3),
        "api_version": API_VERSION,
    }


def refusal(error: KeylikeError, *, request_id: str, now: float) -> dict[str, Any]:
    """Return the body of a KeylikeError, with its details.

    An unreadable key also has a reason, advice and the name of the model.
    """
    body = failure(error.code, error.message, request_id=request_id, now=now)
    if isinstance(error, UnreadableKey):
        body |= {"reason": error.reason, "advice": error.advice, "model_used": error.model}
    return body | {"details": dict(error.details)} if error.details else body


def _cuts(reading: Reading) -> list[dict[str, Any]]:
    return [
        {
            "position": cut.position,
            "depth": cut.depth,
            "probability": round(cut.probability, 4),
            # The accuracy of the measurement is a few hundredths of a millimetre. Makers' tables
            # are in steps of 0.001 inch.
            "depth_mm": round(cut.depth_mm, 2),
            "height_in": round(cut.depth_mm / _MM_PER_INCH, 3),
        }
        for cut in reading.cuts
    ]


def _quality(quality: Quality) -> dict[str, Any]:
    """Return the quality of the photo, each figure rounded to the accuracy of its measurement."""
    return {
        "px_per_mm": _rounded(quality.px_per_mm, 1),
        "px_per_depth_step": _rounded(quality.px_per_depth_step, 1),
        "tilt_deg": _rounded(quality.tilt_deg, 0),
        "sharpness": _rounded(quality.sharpness, 2),
        "contrast": _rounded(quality.contrast, 2),
        "worn_cuts": list(quality.worn_cuts),
        "other_keys": quality.other_keys,
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _geometry(reading: Reading) -> dict[str, Any] | None:
    """Return the outline of the blade and the lines of the cuts, or None if they are unknown.

    The coordinates are rounded to a tenth of a pixel.
    """
    drawing = reading.drawing
    if drawing is None:
        return None
    return {
        "width": drawing.size[0],
        "height": drawing.size[1],
        "outline": [_tenths(point) for point in drawing.outline],
        "cuts": [
            {"position": line.position, "foot": _tenths(line.foot), "root": _tenths(line.root)}
            for line in drawing.cut_lines
        ],
    }


def _tenths(point: Point) -> list[float]:
    return [round(point[0], 1), round(point[1], 1)]


def _alternatives(reading: Reading) -> list[dict[str, Any]]:
    """Return the other possible codes, most likely first."""
    return [
        {
            "bitting": ",".join(map(str, candidate.codes)),
            "probability": round(candidate.probability, 4),
        }
        for candidate in reading.candidates
        if candidate.codes != reading.codes
    ]
