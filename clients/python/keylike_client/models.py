"""Responses of a server as frozen, fully typed values.

Names are those of the HTTP contract in Python's spelling: `estimatedAnnualProduction` becomes
`estimated_annual_production`. Fields that reveal the code of a key are not part of `repr`, so a
logged reading does not contain it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One notch of the key.

    Attributes:
        position: Number of the cut, from 1 at the bow.
        depth: The maker's number for the depth.
        probability: Probability that the depth is right.
        depth_mm: Blade height left under the cut, in millimetres. A deeper cut has a smaller one.
        height_in: The same height in inches, as makers' tables give it.
    """

    position: int
    depth: int = field(repr=False)
    probability: float
    depth_mm: float = field(repr=False)
    height_in: float = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Another possible code."""

    bitting: str = field(repr=False)
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CutLine:
    """Position of a cut on the photo, in pixels: its foot on the uncut edge, and its root."""

    position: int
    foot: Point
    root: Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Outline and cuts of the key, in pixels of the upright photo of `width` by `height`."""

    width: int
    height: int
    outline: tuple[Point, ...]
    cuts: tuple[CutLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Quality of the photo. A value is None if it was not measured.

    Attributes:
        px_per_mm: Pixels per millimetre.
        px_per_depth_step: Pixels per step between neighbouring depths.
        tilt_deg: Tilt of the key in degrees.
        sharpness: From 0 to 1.
        contrast: From 0 to 1.
        worn_cuts: Positions of cuts that look worn.
        other_keys: Whether other keys seem to be in the picture.
    """

    px_per_mm: float | None
    px_per_depth_step: float | None
    tilt_deg: float | None
    sharpness: float | None
    contrast: float | None
    worn_cuts: tuple[int, ...]
    other_keys: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySpace:
    """Number of possible codes: in theory, within MACS, and without weak patterns."""

    cuts: int
    depths: tuple[int, ...]
    theoretical: int
    after_macs: int
    without_weak: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedAlike:
    """Risk of an equal key: at best one in `one_in` keys has the same code."""

    one_in: int
    sentence: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakPattern:
    """Weakness of the code, and the points it costs."""

    name: str
    explanation: str
    source: str
    cost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Statement with a word for programs, an explanation for people and a source."""

    value: str
    explanation: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Part of the score: `points` out of `of`, with the reason."""

    name: str
    points: int
    of: int
    why: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Meaning of the code for the owner of the key. `score` ranges from 0 (worst) to 100."""

    keyway: str
    key_space: KeySpace
    keyed_alike: KeyedAlike
    weak_patterns: tuple[WeakPattern, ...] = field(repr=False)
    blank: Claim
    bump_exposure: Claim
    score: int
    level: str
    parts: tuple[Part, ...]
    recommendations: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Reading of a key.

    Attributes:
        confidence: Probability that the whole code is right.
        timestamp: Milliseconds since 1970.
        processing_ms: Time that the server took.

    The other attributes are described in the API documentation of the server.
    """

    request_id: str
    keyway: str
    bitting: str = field(repr=False)
    brand: str
    confidence: float
    estimated_annual_production: int = field(repr=False)
    manufacturing_complexity: int = field(repr=False)
    market_penetration: float
    time_in_market: float
    pin_count: int
    material_type: str
    security_rating: str
    model_used: str
    zipcode: str
    timestamp: int
    api_version: str
    cuts: tuple[Cut, ...] = field(repr=False)
    alternatives: tuple[Alternative, ...] = field(repr=False)
    geometry: Geometry | None = field(repr=False)
    quality: Quality
    calibrated: bool
    assessment: Assessment = field(repr=False)
    cached: bool
    processing_ms: float

    @property
    def codes(self) -> tuple[int, ...]:
        """Return the depths of `bitting`, bow to tip."""
        return tuple(int(code) for code in self.bitting.split(","))


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """State of a server.

    Attributes:
        status: healthy, degraded (a fallback model answers; see `reason`), loading or draining.
        reason: Explanation of a degraded state.
        model_loaded: Whether a model is ready.
        model: Name and version of the model.
        gpu_available: Whether the server has a GPU.
        gpu_memory_mb: GPU memory in use, in megabytes.
        api_version: Version of the HTTP API.
        timestamp: Milliseconds since 1970.
    """

    status: str
    reason: str | None
    model_loaded: bool
    model: str | None
    gpu_available: bool
    gpu_memory_mb: int
    api_version: str
    timestamp: int
