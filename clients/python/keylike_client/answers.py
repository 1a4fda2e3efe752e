"""What a server answers, as frozen values with a type for every field.

Names are those of the HTTP contract in Python's spelling (`estimatedAnnualProduction` is `estimated_annual_production`). What tells the
code of a key is left out of `repr`, so that a reading that gets into a log does not bring it along.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One notch: `position` from 1 at the bow, the maker's `depth`, the `probability` that it is right, and the blade height left under
    it in millimetres."""

    position: int
    depth: int = field(repr=False)
    probability: float
    depth_mm: float = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Another code that it could be."""

    bitting: str = field(repr=False)
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CutLine:
    """Where a cut lies on the photo, in pixels: its foot on the uncut edge, and its root."""

    position: int
    foot: Point
    root: Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """The reading as a drawing over the upright photo of `width` by `height` pixels."""

    width: int
    height: int
    outline: tuple[Point, ...]
    cuts: tuple[CutLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What the photo gave to work with; None where it was not measured. `tilt_deg` in degrees, `sharpness` and `contrast` from 0 to 1."""

    px_per_mm: float | None
    px_per_depth_step: float | None
    tilt_deg: float | None
    sharpness: float | None
    contrast: float | None
    worn_cuts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySpace:
    """How many codes there are: of so many cuts and these depths, with MACS kept, and without weak patterns."""

    cuts: int
    depths: tuple[int, ...]
    theoretical: int
    after_macs: int
    without_weak: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedAlike:
    """At best one in `one_in` keys is cut the same."""

    one_in: int
    sentence: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakPattern:
    """What is weak about the code, and how many points of the score it costs."""

    name: str
    explanation: str
    source: str
    cost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A word for programs, a sentence for people, and where it comes from."""

    value: str
    explanation: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Points of the score, out of so many, and why."""

    name: str
    points: int
    of: int
    why: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What the code means for the key's owner; `score` from 0 (worst) to 100."""

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
    """A key that was read. `confidence` is the probability that the whole code is right, `timestamp` milliseconds since 1970, and
    `processing_ms` the server's own time."""

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
        """The maker's numbers of `bitting`, bow to tip."""
        return tuple(int(code) for code in self.bitting.split(","))


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The state of a server: `status` is healthy, degraded (another model answers; `reason` says why), loading or draining."""

    status: str
    reason: str | None
    model_loaded: bool
    model: str | None
    gpu_available: bool
    gpu_memory_mb: int
    api_version: str
    timestamp: int
