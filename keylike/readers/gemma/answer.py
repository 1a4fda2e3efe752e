"""Convert the model's scores into a reading or a refusal."""

from __future__ import annotations

from keylike.keys.bitting import Bitting
from keylike.keys.keyways import keyway
from keylike.readers.contract import Cut, Quality, Reading, Reason, Unreadable
from keylike.readers.gemma import confidence
from keylike.readers.gemma.manifest import GemmaManifest
from keylike.readers.gemma.model_output import Scores, Trust

_RETAKE = (
    "Take another photo: the key flat on a plain surface in soft light, "
    "the phone straight above, the blade sharp."
)
ADVICE = {
    Reason.NOT_A_KEY: (
        "Lay one house key flat on a plain surface, fill most of the picture with it, "
        "and photograph it from straight above."
    ),
    Reason.NO_CODE_IN_REPLY: _RETAKE,
    Reason.LOW_CONFIDENCE: _RETAKE,
}


def refuse(reason: Reason, message: str, quality: Quality | None = None) -> Unreadable:
    """Return a refusal with the standard advice for its reason."""
    return Unreadable(reason, message, ADVICE[reason], quality or Quality())


def answer(
    scores: Scores, manifest: GemmaManifest, px_per_mm: float | None
) -> Reading | Unreadable:
    """Return the reading or a refusal.

    Args:
        scores: Output of the model for one photo.
        manifest: Manifest of the model.
        px_per_mm: Photo pixels per millimetre at the blade, or None if the key was not located.
    """
    if scores.no_key > sum(choice.probability for choice in scores.choices) and scores.no_key > 0.5:
        return refuse(Reason.NOT_A_KEY, "The model sees no key in the picture.")
    if not scores.choices or scores.mass < manifest.reply.least_mass:
        return refuse(
            Reason.NO_CODE_IN_REPLY,
            "The model did not answer with a code.",
            Quality(px_per_mm=px_per_mm),
        )
    first = scores.choices[0]
    # The calibration was fitted only on codes that the model wrote after a label, such as BITTING.
    calibration = None if scores.trust is Trust.LOOSE else manifest.calibration
    probability = confidence.code_probability(first, calibration)
    key_type = keyway(first.keyway)
    quality = Quality(
        px_per_mm=px_per_mm,
        px_per_depth_step=None if px_per_mm is None else px_per_mm * key_type.increment_mm,
    )
    if probability < manifest.reply.least_confidence:
        return refuse(
            Reason.LOW_CONFIDENCE,
            "There is a key, but its cuts could not be read with enough confidence.",
            quality,
        )
    cuts = zip(
        first.codes,
        confidence.cut_probabilities(first, probability),
        Bitting(key_type, first.codes).depths_mm,
        strict=True,
    )
    return Reading(
        keyway=key_type.name,
        codes=first.codes,
        confidence=probability,
        calibrated=calibration is not None,
        cuts=tuple(
            Cut(position, depth, probability, mm)
            for position, (depth, probability, mm) in enumerate(cuts, 1)
        ),
        candidates=confidence.candidates(scores.choices, probability),
        quality=quality,
    )
