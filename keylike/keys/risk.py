"""The assessment: what a code means for its owner. Each claim has a source or is an assumption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from keylike.keys.bitting import Bitting
from keylike.keys.keyspace import KeySpace, key_space
from keylike.keys.keyways import Keyway
from keylike.keys.patterns import WeakPattern, weak_patterns
from keylike.keys.score import Level, Part, level_of, score_parts

# Sources of the claims below, as the API returns them.
COUNTED = "counted from the keyway's depths, cuts and MACS"
SAME_BOXES = (
    "securitymusings.com/article/282 (2008): every box of one lock on a shelf had the same key code"
)
RARE_BUMPING = "mapleleaflocksmith.com, Bumpkeys: a real threat?"
NO_FORCE = "locksmithledger.com 10209382 and legalclarity.org, on Do Not Duplicate"
SNEAKEY = "Sneakey (CCS 2008): keys read from photos, even from far away"


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim about the key: a word for programs, a sentence for people, and the source."""

    value: str
    explanation: str
    source: str


@dataclass(frozen=True, slots=True)
class KeyedAlike:
    """An estimate of how many other keys are cut the same.

    Attributes:
        one_in: one in this many keys is cut the same, if all codes are used equally often.
        sentence: the same as a sentence for people.
        source: the source of the estimate.
    """

    one_in: int
    sentence: str
    source: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """The assessment of a code, for the owner of the key. It does not include the code.

    Attributes:
        score: sum of the points of the `parts`, from 0 (worst) to 100.
        level: a word for the score.
        sources: all sources of the other attributes, each once.
    """

    keyway: str
    key_space: KeySpace
    keyed_alike: KeyedAlike
    weak_patterns: tuple[WeakPattern, ...]
    blank: Claim
    bump_exposure: Claim
    score: int
    level: Level
    parts: tuple[Part, ...]
    recommendations: tuple[str, ...]
    sources: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the assessment as dictionaries and lists, ready for JSON."""
        plain: dict[str, Any] = _plain(self)
        return plain


def assess(bitting: Bitting) -> Assessment:
    """Return the assessment of a code. A code that breaks MACS is assessed too.

    Raises:
        BittingError: The number of cuts or a depth is not valid.
    """
    bitting.require_shape()
    space, weak = _space(bitting), weak_patterns(bitting)
    alike, blank, bump = (
        _keyed_alike(bitting, space, weak),
        _blank(bitting.keyway),
        _bumping(bitting.keyway),
    )
    parts = score_parts(bitting, space, weak)
    score = sum(part.points for part in parts)
    return Assessment(
        keyway=bitting.keyway.name,
        key_space=space,
        keyed_alike=alike,
        weak_patterns=weak,
        blank=blank,
        bump_exposure=bump,
        score=score,
        level=level_of(score),
        parts=parts,
        recommendations=_recommendations(bitting, weak),
        sources=_sources(
            alike.source, *_source_lines(weak), blank.source, bump.source, *_source_lines(parts)
        ),
    )


def _space(bitting: Bitting) -> KeySpace:
    keyway, cuts = bitting.keyway, len(bitting.codes)
    usual = set(bitting.codes) <= set(keyway.in_lock_depths)
    return key_space(keyway, cuts) if usual else key_space(keyway, cuts, tuple(keyway.depths_mm))


def _keyed_alike(bitting: Bitting, space: KeySpace, weak: tuple[WeakPattern, ...]) -> KeyedAlike:
    """Return the estimate for the best case, in which all codes are used equally often.

    How often codes are really used is unknown.
    """
    impossible = any(pattern.name == "macs_broken" for pattern in weak)
    codes = space.theoretical if impossible else space.after_macs
    default = any(pattern.name == "factory_default" for pattern in weak)
    ending = (
        "but locks are sold with this code, so it is more common than that." if default else _CAVEAT
    )
    sentence = (
        f"At best 1 in {codes:,} {bitting.keyway.name} keys is cut the same, if all "
        f"codes are used equally; {ending}"
    )
    return KeyedAlike(
        codes, sentence, f"{COUNTED}; assumption: all codes are used equally; {SAME_BOXES}"
    )


_CAVEAT = "in practice locks sold together are often keyed alike."


def _blank(keyway: Keyway) -> Claim:
    explanation = {
        "free": (
            "The blank is freely available: any shop can copy this key, and a Do Not "
            "Duplicate stamp has no legal force."
        ),
        "restricted": "The blank is restricted: copies require proof of ownership.",
    }[keyway.blank]
    return Claim(keyway.blank, explanation, f"{keyway.source_of('blank')}; {NO_FORCE}")


def _bumping(keyway: Keyway) -> Claim:
    explanation = {
        "high": "Bump keys exist for this common keyway; burglars reportedly use them rarely.",
        "moderate": "An ordinary pin tumbler lock can be bumped; burglars reportedly do so rarely.",
        "low": "The lock is designed to resist bumping.",
    }[keyway.bump_exposure]
    return Claim(
        keyway.bump_exposure, explanation, f"{keyway.source_of('bump_exposure')}; {RARE_BUMPING}"
    )


def _recommendations(bitting: Bitting, weak: tuple[WeakPattern, ...]) -> tuple[str, ...]:
    names = {pattern.name for pattern in weak}
    advice: list[str] = []
    if "factory_default" in names:
        advice.append("Have the lock rekeyed now: locks are sold with this code.")
    elif names & {"all_equal", "staircase", "few_depths", "three_in_row"}:
        advice.append(
            "When the lock is rekeyed, ask for a code with at least three depths "
            "that goes up and down."
        )
    if "macs_broken" in names:
        advice.append(
            "Have the key checked against the lock: the maker would not cut the code as read."
        )
    if "deep_first_cut" in names:
        advice.append("Keep a spare: this key is thin near the bow and may break there.")
    if bitting.keyway.blank == "free":
        advice.append("Rekey after moving in or losing a key: nobody knows how many copies exist.")
    if bitting.keyway.bump_exposure == "high":
        advice.append(
            "For an important door, ask a locksmith for a cylinder with a "
            "restricted keyway and protection against bumping."
        )
    advice.append("Do not share pictures of this key: a picture is enough to copy it.")
    return tuple(advice)


def _source_lines(claims: Sequence[WeakPattern | Part]) -> list[str]:
    return [claim.source for claim in claims]


def _sources(*lines: str) -> tuple[str, ...]:
    """Return all sources, each once. In a line, sources are separated by "; "."""
    return tuple(dict.fromkeys(source for line in (*lines, SNEAKEY) for source in line.split("; ")))


def _plain(value: Any) -> Any:
    """Convert dataclasses to dictionaries, like dataclasses.asdict but without copying strings."""
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
