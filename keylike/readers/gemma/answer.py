"""From what was heard to a reading, or to an honest refusal."""

from __future__ import annotations

from keylike.keys.bitting import Bitting
from keylike.keys.keyways import keyway
from keylike.readers.contract import Cut, Quality, Reading, Reason, Unreadable
from keylike.readers.gemma import confidence as sure
from keylike.readers.gemma.manifest import GemmaManifest
from keylike.readers.gemma.model_output import Scores, Trust

_AGAIN = "Take another photo: the key flat on a plain surface in soft light, the phone straight above, the blade sharp."
ADVICE = {
    Reason.NOT_A_KEY: "Lay one house key flat on a plain surface, fill most of the picture with it, and photograph it from straight above.",
    Reason.NO_CODE_IN_REPLY: _AGAIN,
    Reason.LOW_CONFIDENCE: _AGAIN,
}


def refuse(reason: Reason, message: str, quality: Quality | None = None) -> Unreadable:
    """A refusal with the standing advice for its reason."""
    return Unreadable(reason, message, ADVICE[reason], quality or Quality())


def answer(heard: Scores, manifest: GemmaManifest, px_per_mm: float | None) -> Reading | Unreadable:
    """The reading; `px_per_mm` photo pixels a mm at the blade, where the key was found."""
    if heard.no_key > sum(choice.probability for choice in heard.choices) and heard.no_key > 0.5:
        return refuse(Reason.NOT_A_KEY, "The model sees no key on the picture.")
    if not heard.choices or heard.mass < manifest.reply.least_mass:
        return refuse(
            Reason.NO_CODE_IN_REPLY,
            "The model did not answer with a code.",
            Quality(px_per_mm=px_per_mm),
        )
    first = heard.choices[0]
    # What was not labelled as the code is outside what the calibration was fitted on.
    calibration = None if heard.trust is Trust.LOOSE else manifest.calibration
    chance = sure.whole(first, calibration)
    way = keyway(first.keyway)
    quality = Quality(
        px_per_mm=px_per_mm,
        px_per_depth_step=None if px_per_mm is None else px_per_mm * way.increment_mm,
    )
    if chance < manifest.reply.least_confidence:
        return refuse(
            Reason.LOW_CONFIDENCE,
            "A key is there, but its cuts could not be read surely enough.",
            quality,
        )
    each = zip(
        first.codes, sure.cuts(first, chance), Bitting(way, first.codes).depths_mm, strict=True
    )
    return Reading(
        keyway=way.name,
        codes=first.codes,
        confidence=chance,
        calibrated=calibration is not None,
        cuts=tuple(
            Cut(position, depth, probability, mm)
            for position, (depth, probability, mm) in enumerate(each, 1)
        ),
        candidates=sure.candidates(heard.choices, chance),
        quality=quality,
    )
