"""Responses of the server as frozen, typed dataclasses.

The names are those of the HTTP API in Python's style: `estimatedAnnualProduction` becomes
`estimated_annual_production`. Fields that reveal the code of a key are left out of `repr`, so that
a logged reading does not contain the code.
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
        depth_mm: Blade height left under the cut, in millimetres. It is smaller for a deeper cut.
        height_in: The same height in inches, the unit of the makers' tables.
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
    """Position of a cut in the photo, in pixels.

    Attributes:
        position: Number of the cut, from 1 at the bow.
        foot: The point (x, y) on the uncut edge, opposite the cut.
        root: The deepest point (x, y) of the cut.
    """

    position: int
    foot: Point
    root: Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Outline and cuts of the key, in pixels of the upright photo.

    Attributes:
        width: Width of the photo.
        height: Height of the photo.
        outline: Points of the blade's outline.
        cuts: Position of each cut.
    """

    width: int
    height: int
    outline: tuple[Point, ...]
    cuts: tuple[CutLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Quality of the photo. A value is None if it was not measured.

    Attributes:
        px_per_mm: Pixels per millimetre.
        px_per_depth_step: Pixels per difference between neighbouring depths.
        tilt_deg: Estimated tilt of the key in degrees.
        sharpness: Sharpness from 0 (blurred) to 1.
        contrast: Contrast from 0 to 1.
        worn_cuts: Numbers of the cuts whose measured height is between two depths.
        other_keys: True if other keys seem to be in the picture.
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
    """Number of possible codes of a keyway.

    Attributes:
        cuts: Number of cuts.
        depths: Possible depths.
        theoretical: Number of all combinations of depths.
        after_macs: Number of codes that keep MACS, the largest allowed difference between
            neighbouring depths.
        without_weak: Number of these codes that have no weak pattern.
    """

    cuts: int
    depths: tuple[int, ...]
    theoretical: int
    after_macs: int
    without_weak: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedAlike:
    """Risk that another key has the same code.

    Attributes:
        one_in: At best, one in this many keys has the same code.
        sentence: The risk as a sentence.
        source: Source of the number.
    """

    one_in: int
    sentence: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakPattern:
    """Weakness of a code. `cost` is the number of points that it takes from the score."""

    name: str
    explanation: str
    source: str
    cost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Statement with a value for programs, an explanation for users, and a source."""

    value: str
    explanation: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Part of the score: `points` of at most `of` points, with the reason `why`."""

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
        processing_ms: Time that the server took, in milliseconds.

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
        status: healthy, degraded (for example, the embedded reader replaces the configured model),
            loading or draining (shutting down).
        reason: Explanation of a degraded state, or None.
        model_loaded: True if a model is ready.
        model: Name and version of the model, or None.
        gpu_available: True if the server has a GPU.
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
