"""The caliper's refusals: reasons, limits and the advice for the next photo."""

from __future__ import annotations

from keylike.readers.caliper.quality import Evidence
from keylike.readers.contract import Quality, Reason, Unreadable

# Limits of a usable photo. Scale, tilt and the share outside: where accuracy falls off on held-back
# drawings (docs/LOG.md). Blur and glare made no difference within what was drawn, so their limits
# lie beyond it.
LEAST_PX_PER_STEP = 1.5
LEAST_SIDE_PX = 24  # a blade of this height has less than one pixel a depth step
WIDEST_EDGE_MM = 0.6
MOST_GLARE = 0.6
MOST_OUTSIDE = 0.06
MOST_TILT_DEG = 30.0

ADVICE = {
    Reason.NOT_A_KEY: "Lay one house key flat on a plain surface, fill most of the picture with it, and photograph it from straight above.",
    Reason.SEVERAL_KEYS: "Photograph one key alone: take it off the ring, or move the others out of the picture.",
    Reason.NO_CUTS: "This blade has not been cut: it carries no code. Photograph a key that opens a lock.",
    Reason.UNSUPPORTED_KEYWAY: "Only Schlage SC1 and SC4 and Kwikset KW1 keys can be read. Check the name stamped on the bow.",
    Reason.TOO_SMALL: "Move closer until the key fills most of the picture, or send the photo at full size.",
    Reason.TOO_BLURRED: "Hold the phone still, tap on the blade to focus, and use more light.",
    Reason.GLARE: "Turn the key or the lamp until the blade no longer shines, or use daylight from the side.",
    Reason.CROPPED: "Keep the whole blade in the picture, from the shoulder to the tip.",
    Reason.TOO_TILTED: "Lay the key flat and photograph it from straight above, the phone parallel to it. "
    "If that does not help, the key may be of another family than SC1, SC4 and KW1.",
    Reason.LOW_CONFIDENCE: "Take another photo: the key flat on a plain surface in soft light, the phone straight above, the blade sharp. "
    "If that does not help, the key may be of another family than SC1, SC4 and KW1.",
}


def refuse(reason: Reason, message: str, quality: Quality | None = None) -> Unreadable:
    """Return a refusal with the advice for its reason."""
    return Unreadable(reason, message, ADVICE[reason], quality or Quality())


def photo_at_fault(evidence: Evidence, px_per_step: float, quality: Quality) -> Unreadable:
    """Refuse for the photo's worst fault, or for low confidence if it has none."""
    if evidence.outside > MOST_OUTSIDE:
        return refuse(Reason.CROPPED, "Part of the blade lies outside the picture.", quality)
    if px_per_step < LEAST_PX_PER_STEP:
        message = f"The key is too small: one depth step is {px_per_step:.1f} pixels, and about {LEAST_PX_PER_STEP:g} are needed."
        return refuse(Reason.TOO_SMALL, message, quality)
    if evidence.edge_mm > WIDEST_EDGE_MM:
        return refuse(
            Reason.TOO_BLURRED,
            f"The blade's edges are blurred over {evidence.edge_mm:.1f} mm.",
            quality,
        )
    if evidence.glare > MOST_GLARE:
        return refuse(
            Reason.GLARE, f"{evidence.glare:.0%} of the blade is burnt out by reflections.", quality
        )
    if evidence.tilt_deg > MOST_TILT_DEG:
        return refuse(
            Reason.TOO_TILTED,
            f"The key is tilted by about {evidence.tilt_deg:.0f} degrees.",
            quality,
        )
    return refuse(
        Reason.LOW_CONFIDENCE,
        "A key is there, but its cuts could not be read surely enough.",
        quality,
    )
