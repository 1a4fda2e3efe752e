"""Combine two readers: compute the probability of a code on which they agree or disagree.

The derivation of the formulas is in docs/decisions/0009-two-readers.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace

from keylike.images.photo import Photo
from keylike.readers.contract import (
    Candidate,
    Cut,
    Opinion,
    Quality,
    Reader,
    ReaderInfo,
    Reading,
    Reason,
    Unreadable,
)

Code = tuple[str, tuple[int, ...]]

# Reasons of refusals which say that the photo does not show exactly one readable key. All other
# reasons are about the quality of the photo.
_NO_CODE = (Reason.NOT_A_KEY, Reason.SEVERAL_KEYS, Reason.NO_CUTS, Reason.UNSUPPORTED_KEYWAY)
_ADVICE = (
    "Take another photo: one key flat on a plain surface in soft light, "
    "the phone straight above, the blade sharp."
)
# Limits to which probabilities are clipped. Otherwise two readers that are certain of different
# codes would cause a division of 0 by 0.
_MIN_PROBABILITY, _MAX_PROBABILITY = 1e-6, 1 - 1e-6


@dataclass(frozen=True, slots=True)
class Outcome:
    """A photo with a known code that both readers have read.

    Attributes:
        truth: Correct keyway and code.
        first: Keyway and code from the first reader.
        second: Keyway and code from the second reader.
    """

    truth: Code
    first: Code
    second: Code


class AgreeingReader:
    """A reader that combines the results of two readers.

    The confidence of each reader is used as the probability that its whole code is correct.
    Exceptions of either reader propagate, including Overloaded.

    Args:
        first: First reader.
        second: Second reader.
        shared_error: Probability that two wrong readings contain the same code, 0 to 1.
        fitted: True if `shared_error` was measured on photos.
    """

    def __init__(self, first: Reader, second: Reader, shared_error: float, fitted: bool) -> None:
        self._first = first
        self._second = second
        self._shared_error = shared_error
        self._fitted = fitted

    @property
    def info(self) -> ReaderInfo:
        """Return the description of the combination.

        Its name and version contain those of both readers, such as "gemma-1.0.0+caliper" and
        "2.0.0". The digest covers both readers and the rule that combines them.
        """
        first, second = self._first.info, self._second.info
        rule = f"{first.digest}+{second.digest}+{self._shared_error!r}+{self._fitted}"
        return ReaderInfo(
            name=f"{first.label}+{second.name}",
            version=second.version,
            kind=f"{first.kind}+{second.kind}",
            keyways=tuple(dict.fromkeys((*first.keyways, *second.keyways))),
            digest=hashlib.sha256(rule.encode()).hexdigest(),
            max_batch=max(first.max_batch, second.max_batch),
            workers=min((info.workers for info in (first, second) if info.workers), default=None),
        )

    def warm(self) -> None:
        """Warm up both readers."""
        self._first.warm()
        self._second.warm()

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """Return one combined result per photo, in order."""
        return [
            self._combine(*results)
            for results in zip(self._first.read(photos), self._second.read(photos), strict=True)
        ]

    def _combine(
        self, first: Reading | Unreadable, second: Reading | Unreadable
    ) -> Reading | Unreadable:
        if isinstance(first, Unreadable):
            return (
                first
                if isinstance(second, Unreadable)
                else _after_refusal(second, self._second.info, first)
            )
        if isinstance(second, Unreadable):
            return _after_refusal(first, self._first.info, second)
        calibrated = self._fitted and first.calibrated and second.calibrated
        if code_of(first) == code_of(second):
            confidence = agreement_probability(
                first.confidence, second.confidence, self._shared_error
            )
            return with_confidence(
                max(first, second, key=_completeness), confidence, calibrated=calibrated
            )
        return self._choose(first, second, calibrated)

    def _choose(self, first: Reading, second: Reading, calibrated: bool) -> Reading | Unreadable:
        """Return the more probable of two different codes.

        If its probability is below one half, return a refusal.
        """
        first_probability, second_probability = rival_probabilities(
            first.confidence, second.confidence, self._shared_error
        )
        if max(first_probability, second_probability) < 0.5:
            opinions = (_opinion(first, self._first.info), _opinion(second, self._second.info))
            return _disagree(
                "Two readers see different codes on this key.",
                opinions,
                max(first, second, key=_completeness).quality,
            )
        if first_probability >= second_probability:
            return with_confidence(
                first,
                first_probability,
                calibrated=calibrated,
                rival=second,
                rival_probability=second_probability,
            )
        return with_confidence(
            second,
            second_probability,
            calibrated=calibrated,
            rival=first,
            rival_probability=first_probability,
        )


def agreement_probability(p: float, q: float, shared_error: float) -> float:
    """Return the probability that a code is correct if both readers return it.

    Either both readers are correct, or both made the same mistake. Let c be `shared_error`. If both
    probabilities are at least c / (1 + c), the result is at least the larger one. If one of them is
    smaller, the result is below the other one, although the readers agree.

    Args:
        p: Probability that the first reader's code is correct.
        q: Probability that the second reader's code is correct.
        shared_error: Probability that two wrong readings contain the same code.
    """
    p, q = _clip(p), _clip(q)
    right, mistake = p * q, (1 - p) * (1 - q) * shared_error
    return right / (right + mistake)


def rival_probabilities(p: float, q: float, shared_error: float) -> tuple[float, float]:
    """Return the probabilities that the first and the second of two different codes are correct.

    Their sum is less than 1, because both codes can be wrong.

    Args:
        p: The first reader's confidence in its code.
        q: The second reader's confidence in its code.
        shared_error: Probability that two wrong readings contain the same code.
    """
    p, q = _clip(p), _clip(q)
    first, second, neither = p * (1 - q), (1 - p) * q, (1 - p) * (1 - q) * (1 - shared_error)
    total = first + second + neither
    return first / total, second / total


def with_confidence(
    reading: Reading,
    confidence: float,
    *,
    calibrated: bool,
    rival: Reading | None = None,
    rival_probability: float = 0.0,
) -> Reading:
    """Return the same reading with another confidence.

    The probabilities of cuts and candidates are adapted. There are three cases:

    1. The code is correct (probability `confidence`). Then every cut is correct.
    2. The rival's code is correct (`rival_probability`). Then the cuts are correct that both
       readings have in common.
    3. Neither is correct (n, the remaining probability). Then each cut is correct with the
       probability that the reader expects for a wrong code.

    Let p be the original confidence. In the third case, a cut with the original probability a is
    correct with probability (a - p) / (1 - p), and a candidate with the original probability k is
    correct with probability k / (1 - p). Therefore the new probabilities are:

    cut        confidence + rival_probability * (1 if shared, else 0) + n * (a - p) / (1 - p)
    candidate  n * k / (1 - p); the rival's own code has rival_probability

    No cut is less probable than the whole code, and the probabilities of the candidates sum to at
    most 1. The rival's code is a candidate only if it has the same keyway.

    Args:
        reading: Reading to change.
        confidence: New confidence.
        calibrated: True if the new confidence is calibrated.
        rival: Reading of the other reader with a different code, or None.
        rival_probability: Probability that the rival's code is correct.
    """
    neither = max(0.0, 1 - confidence - rival_probability)
    doubt = max(1e-9, 1 - reading.confidence)
    rival_codes = rival.codes if rival is not None and rival.keyway == reading.keyway else None

    def cut(original: Cut) -> Cut:
        shared = rival_codes is not None and rival_codes[original.position - 1] == original.depth
        share = min(1.0, max(0.0, (original.probability - reading.confidence) / doubt))
        return replace(
            original,
            probability=min(1.0, confidence + rival_probability * shared + neither * share),
        )

    alternatives = {
        item.codes: neither * min(1.0, item.probability / doubt)
        for item in reading.candidates
        if item.codes != reading.codes
    }
    if rival_codes is not None:
        alternatives[rival_codes] = rival_probability
    ranked = sorted(
        (Candidate(codes, min(confidence, share)) for codes, share in alternatives.items()),
        key=lambda item: -item.probability,
    )
    return replace(
        reading,
        confidence=confidence,
        calibrated=calibrated,
        cuts=tuple(map(cut, reading.cuts)),
        candidates=(Candidate(reading.codes, confidence), *ranked),
    )


def fit_shared_error(outcomes: Iterable[Outcome]) -> tuple[float, int]:
    """Estimate the probability that two wrong readings contain the same code.

    Laplace's rule of succession is used: (same + 1) / (both wrong + 2). The result is never exactly
    0 or 1, and it is one half if no photo was misread by both readers.

    Returns:
        The probability, and the number of photos that both readers misread.
    """
    wrong = [item for item in outcomes if item.truth not in (item.first, item.second)]
    same = sum(item.first == item.second for item in wrong)
    return (same + 1) / (len(wrong) + 2), len(wrong)


def code_of(reading: Reading) -> Code:
    """Return the keyway and the code of a reading. Two readings agree if these are equal."""
    return reading.keyway, reading.codes


def _after_refusal(reading: Reading, by: ReaderInfo, refusal: Unreadable) -> Reading | Unreadable:
    """Return the result if only one reader returns a code.

    It is that reading, unless the other reader found that the photo shows no readable key.
    """
    if refusal.reason not in _NO_CODE:
        return reading
    message = "One reader sees a code in this picture, but the other sees no key that it can read."
    return _disagree(message, (_opinion(reading, by),), reading.quality)


def _disagree(message: str, opinions: tuple[Opinion, ...], quality: Quality) -> Unreadable:
    return Unreadable(Reason.READERS_DISAGREE, message, _ADVICE, quality, opinions)


def _opinion(reading: Reading, by: ReaderInfo) -> Opinion:
    return Opinion(by.label, reading.keyway, reading.codes, reading.confidence)


def _completeness(reading: Reading) -> tuple[bool, int]:
    """Return a sort key that prefers a reading with a drawing, then one with more measurements."""
    return reading.drawing is not None, sum(value is not None for value in astuple(reading.quality))


def _clip(probability: float) -> float:
    return min(_MAX_PROBABILITY, max(_MIN_PROBABILITY, probability))
