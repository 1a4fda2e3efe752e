"""Two readers on one photo: what it is worth that they agree, and what to say where they differ.

The arithmetic, its reasons and its price are in docs/decisions/0009-two-readers.md.
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

# These reasons are about what is on the photo: no code of one key. The others are about the photo.
_NO_CODE = (Reason.NOT_A_KEY, Reason.SEVERAL_KEYS, Reason.NO_CUTS, Reason.UNSUPPORTED_KEYWAY)
_ADVICE = "Take another photo: one key flat on a plain surface in soft light, the phone straight above, the blade sharp."
# Off 0 and 1, so that two readers who are both certain, and of different codes, do not divide nothing by nothing.
_LEAST, _MOST = 1e-6, 1 - 1e-6


@dataclass(frozen=True, slots=True)
class Outcome:
    """One labelled photo that both readers read: the true keyway and code, and those that each gave."""

    truth: Code
    first: Code
    second: Code


class AgreeingReader:
    """Reads with both, and takes each one's confidence as the probability that its whole code is right.

    `shared_error` is how often two wrong readings are the same wrong code, 0 to 1, and `fitted` whether that was measured. What either
    reader raises, Overloaded too, goes up to the caller.
    """

    def __init__(self, first: Reader, second: Reader, shared_error: float, fitted: bool) -> None:
        self._first, self._second = first, second
        self._shared_error, self._fitted = shared_error, fitted

    @property
    def info(self) -> ReaderInfo:
        """Both names with their versions, such as "gemma-1.0.0+caliper" in "2.0.0"; the digest covers both and the rule between them."""
        one, other = self._first.info, self._second.info
        rule = f"{one.digest}+{other.digest}+{self._shared_error!r}+{self._fitted}"
        return ReaderInfo(
            name=f"{one.name}-{one.version}+{other.name}",
            version=other.version,
            kind=f"{one.kind}+{other.kind}",
            keyways=tuple(dict.fromkeys((*one.keyways, *other.keyways))),
            digest=hashlib.sha256(rule.encode()).hexdigest(),
            max_batch=max(one.max_batch, other.max_batch),
            workers=min((info.workers for info in (one, other) if info.workers), default=None),
        )

    def warm(self) -> None:
        """Warms both."""
        self._first.warm()
        self._second.warm()

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """One result a photo, in order, out of what both make of it."""
        return [
            self._settle(*both)
            for both in zip(self._first.read(photos), self._second.read(photos), strict=True)
        ]

    def _settle(
        self, first: Reading | Unreadable, second: Reading | Unreadable
    ) -> Reading | Unreadable:
        if isinstance(first, Unreadable):
            return (
                first
                if isinstance(second, Unreadable)
                else _alone(second, self._second.info, first)
            )
        if isinstance(second, Unreadable):
            return _alone(first, self._first.info, second)
        calibrated = self._fitted and first.calibrated and second.calibrated
        if code_of(first) == code_of(second):
            chance = when_alike(first.confidence, second.confidence, self._shared_error)
            return restated(max(first, second, key=_measured), chance, calibrated=calibrated)
        return self._choose(first, second, calibrated)

    def _choose(self, first: Reading, second: Reading, calibrated: bool) -> Reading | Unreadable:
        """The likelier of two different codes, if it is more likely right than not."""
        one, other = when_apart(first.confidence, second.confidence, self._shared_error)
        if max(one, other) < 0.5:
            opinions = (_opinion(first, self._first.info), _opinion(second, self._second.info))
            return _disagree(
                "Two readers see different codes on this key.",
                opinions,
                max(first, second, key=_measured).quality,
            )
        if one >= other:
            return restated(first, one, calibrated=calibrated, rival=second, rival_chance=other)
        return restated(second, other, calibrated=calibrated, rival=first, rival_chance=one)


def when_alike(p: float, q: float, shared_error: float) -> float:
    """Probability that a code is right which both readers gave, from each one's own: both are right, or both made the same mistake.

    It is not below the larger of the two as long as the smaller is at least c / (1 + c), c being `shared_error`; a reader that doubts
    its code more than that makes the other's less likely by agreeing.
    """
    p, q = _held(p), _held(q)
    right, mistake = p * q, (1 - p) * (1 - q) * shared_error
    return right / (right + mistake)


def when_apart(p: float, q: float, shared_error: float) -> tuple[float, float]:
    """Probabilities that the first's code is right and that the second's is, where they differ; what is left is that neither is."""
    p, q = _held(p), _held(q)
    first, second, neither = p * (1 - q), (1 - p) * q, (1 - p) * (1 - q) * (1 - shared_error)
    total = first + second + neither
    return first / total, second / total


def restated(
    reading: Reading,
    chance: float,
    *,
    calibrated: bool,
    rival: Reading | None = None,
    rival_chance: float = 0.0,
) -> Reading:
    """The same reading at another confidence, `chance`; `rival` is the other reader's different one, right with `rival_chance`.

    One of three holds: the code is right (chance), the rival's is (rival_chance), or neither is (the rest, n). In the first every cut is
    right; in the second those that both give alike; in the third as many as the reader itself expects where its code is wrong, since that
    the code is wrong says nothing new of where. With p the reader's own confidence, a cut of probability a is right with (a - p) / (1 - p)
    there, and another candidate of probability k with k / (1 - p). So

        cut        chance + rival_chance · (1 if alike, else 0) + n · (a - p) / (1 - p)
        candidate  n · k / (1 - p), the rival's own code rival_chance

    and no cut falls below the whole code, nor the sum of all candidates above 1. A rival of another keyway is no candidate.
    """
    neither, left = max(0.0, 1 - chance - rival_chance), max(1e-9, 1 - reading.confidence)
    of_rival = rival.codes if rival is not None and rival.keyway == reading.keyway else None

    def cut(one: Cut) -> Cut:
        alike = of_rival is not None and of_rival[one.position - 1] == one.depth
        share = min(1.0, max(0.0, (one.probability - reading.confidence) / left))
        return replace(one, probability=min(1.0, chance + rival_chance * alike + neither * share))

    others = {
        each.codes: neither * min(1.0, each.probability / left)
        for each in reading.candidates
        if each.codes != reading.codes
    }
    if of_rival is not None:
        others[of_rival] = rival_chance
    ranked = sorted(
        (Candidate(codes, min(chance, share)) for codes, share in others.items()),
        key=lambda each: -each.probability,
    )
    return replace(
        reading,
        confidence=chance,
        calibrated=calibrated,
        cuts=tuple(map(cut, reading.cuts)),
        candidates=(Candidate(reading.codes, chance), *ranked),
    )


def fit_shared_error(outcomes: Iterable[Outcome]) -> tuple[float, int]:
    """How often two wrong readings are the same wrong code, and on how many photos that both got wrong this rests.

    Laplace's rule of succession, (same + 1) / (both wrong + 2): a half without any such photo, and never quite 0 or 1.
    """
    wrong = [each for each in outcomes if each.truth not in (each.first, each.second)]
    same = sum(each.first == each.second for each in wrong)
    return (same + 1) / (len(wrong) + 2), len(wrong)


def code_of(reading: Reading) -> Code:
    """What two readings must share to be the same."""
    return reading.keyway, reading.codes


def _alone(reading: Reading, by: ReaderInfo, refusal: Unreadable) -> Reading | Unreadable:
    """What becomes of a reading where the other reader refuses: it stands, unless the other saw that there is no such code."""
    if refusal.reason not in _NO_CODE:
        return reading
    message = "One reader sees a code on this picture, the other no key that it could read."
    return _disagree(message, (_opinion(reading, by),), reading.quality)


def _disagree(message: str, opinions: tuple[Opinion, ...], quality: Quality) -> Unreadable:
    return Unreadable(Reason.READERS_DISAGREE, message, _ADVICE, quality, opinions)


def _opinion(reading: Reading, by: ReaderInfo) -> Opinion:
    return Opinion(f"{by.name}-{by.version}", reading.keyway, reading.codes, reading.confidence)


def _measured(reading: Reading) -> tuple[bool, int]:
    """Sorts first by whether a reader drew what it saw, then by how much it measured of the photo."""
    return reading.drawing is not None, sum(value is not None for value in astuple(reading.quality))


def _held(probability: float) -> float:
    return min(_MOST, max(_LEAST, probability))
