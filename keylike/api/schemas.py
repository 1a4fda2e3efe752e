"""What the API takes and gives, as the OpenAPI document describes it; tests hold every answer against these."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from keylike.api.error_handlers import STATUS
from keylike.keys.risk import Assessment
from keylike.readers.contract import Reason

ZIPCODE_PATTERN = "^[0-9]{5}$"
_CODES = r"^[0-9]+(,[0-9]+)*$"


class Body(BaseModel):
    """Answers have exactly the fields that are described."""

    model_config = ConfigDict(extra="forbid")


class CutOut(Body):
    """One notch of the key."""

    position: int = Field(ge=1, description="1 at the bow (the handle)")
    depth: int = Field(ge=0, description="The maker's number; the lowest is the shallowest")
    probability: float = Field(ge=0, le=1, description="That this depth is right")
    depth_mm: float = Field(gt=0, description="Blade height left under the cut, millimetres")


class AlternativeOut(Body):
    """Another code that it could be."""

    bitting: str = Field(pattern=_CODES)
    probability: float = Field(ge=0, le=1)


Pixels = Annotated[
    list[float], Field(min_length=2, max_length=2, description="x to the right and y down, pixels")
]


class CutLineOut(Body):
    """Where a cut lies on the photo."""

    position: int = Field(ge=1, description="1 at the bow (the handle)")
    foot: Pixels = Field(description="On the uncut edge")
    root: Pixels = Field(description="At the root of the cut")


class GeometryOut(Body):
    """The reading as a drawing over the photo, which is upright (turned as its EXIF data say) and `width` by `height` pixels. Whoever shows
    the photo at another size multiplies."""

    width: int = Field(ge=1)
    height: int = Field(ge=1)
    outline: list[Pixels] = Field(max_length=400, description="Of the blade, closed")
    cuts: list[CutLineOut]


class QualityOut(Body):
    """What the photo gave to work with; null where the reader does not measure it."""

    px_per_mm: float | None = Field(description="Photo pixels a millimetre at the blade")
    px_per_depth_step: float | None = Field(description="Photo pixels for one step of depth")
    tilt_deg: float | None = Field(
        description="Angle between the key's plane and the picture's, degrees"
    )
    sharpness: float | None = Field(ge=0, le=1)
    contrast: float | None = Field(ge=0, le=1)
    worn_cuts: list[int] = Field(
        description="Positions of cuts that lie nearly midway between two depths"
    )


class Prediction(Body):
    """A key that was read."""

    success: Literal[True]
    request_id: str = Field(min_length=8, max_length=8)
    keyway: str = Field(examples=["SC1"])
    bitting: str = Field(
        pattern=_CODES, description="The maker's code, bow to tip", examples=["2,5,4,7,3"]
    )
    brand: str = Field(examples=["Schlage"])
    confidence: float = Field(ge=0, le=1, description="Probability that the whole code is right")
    estimatedAnnualProduction: int = Field(
        gt=0, description="Rough formula; see `assessment` for sober figures"
    )
    manufacturingComplexity: int = Field(gt=0, description="Rough formula")
    marketPenetration: float = Field(ge=0, le=1, description="Rough; from the keyway's record")
    timeInMarket: float = Field(ge=0, le=1, description="Rough; from the keyway's record")
    pinCount: int = Field(ge=1)
    materialType: str
    securityRating: str
    model_used: str = Field(examples=["caliper-1.0.0"])
    zipcode: str = Field(pattern=ZIPCODE_PATTERN)
    timestamp: int = Field(description="Milliseconds since 1970")
    api_version: Literal["2.0.0"]
    cuts: list[CutOut]
    alternatives: list[AlternativeOut]
    geometry: GeometryOut | None = Field(
        description="For drawing the reading over the photo; null where the reader does not say"
    )
    quality: QualityOut
    calibrated: bool = Field(
        description="Whether a fitted calibration stands behind the probabilities"
    )
    assessment: Assessment = Field(
        description="What the reading means for the owner, each claim with its source"
    )
    cached: bool = Field(
        description="Whether the same photo was read before, or at the same time for another request"
    )
    processing_ms: float = Field(ge=0, description="From bytes to answer, this request's own")


class ClassificationOut(Body):
    """Which class a photo belongs to."""

    success: Literal[True]
    request_id: str = Field(min_length=8, max_length=8)
    predicted_class: str = Field(description="The likeliest class", examples=["SC1"])
    confidence: float = Field(ge=0, le=1, description="Its probability")
    all_probabilities: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        min_length=2,
        description="Every class the model knows; they sum to 1",
        examples=[{"SC1": 0.9, "KW1": 0.1}],
    )
    model_used: str = Field(examples=["caliper-1.0.0"])
    timestamp: int = Field(description="Milliseconds since 1970")
    api_version: Literal["2.0.0"]


class Failure(Body):
    """Every failure, whatever its status."""

    success: Literal[False]
    error: str = Field(description="A sentence for people")
    code: str = Field(json_schema_extra={"enum": [*sorted(STATUS)]})
    request_id: str = Field(min_length=8, max_length=8)
    timestamp: int
    api_version: Literal["2.0.0"]
    details: dict[str, Any] | None = Field(None, json_schema_extra={"type": "object"})


class UnreadableFailure(Failure):
    """A photo whose key cannot be read: why, and what to do for the next photo."""

    reason: Reason
    advice: str
    model_used: str


class BatchAnswer(Body):
    """What became of each photo of a request, in order: as POST /predict would have answered for it alone."""

    success: Literal[True] = Field(
        description="The request was read; what became of a photo says its own answer"
    )
    request_id: str = Field(min_length=8, max_length=8)
    timestamp: int
    api_version: Literal["2.0.0"]
    results: list[Prediction | UnreadableFailure | Failure] = Field(min_length=1, max_length=32)


class Welcome(Body):
    """What programs find at the address itself."""

    name: Literal["Keylike"]
    api_version: Literal["2.0.0"]
    model: str | None
    predict: str
    health: str
    docs: str
    openapi: str


class CacheOut(Body):
    """How often a reading was at hand, since the start."""

    hits: int = Field(ge=0, description="Photos whose reading was kept")
    misses: int = Field(ge=0, description="Photos that were read")
    shared: int = Field(
        ge=0, description="Photos that waited for the same photo of another request to be read"
    )
    entries: int = Field(ge=0, description="Readings kept now")
    max_entries: int = Field(ge=1)
    ttl_s: float = Field(ge=0, description="How long a reading is kept, seconds; 0: none is")
    backend: Literal["memory", "redis"]
    degraded: bool = Field(description="Redis is away, and memory stands in for it")
    hit_rate: float = Field(
        ge=0, le=1, description="Share of all photos asked about that were not read for the request"
    )


class Health(Body):
    """The state of the server."""

    status: Literal["healthy", "degraded", "loading", "draining"] = Field(
        description="degraded: the embedded reader answers instead"
    )
    reason: str | None = Field(
        description="Why the model that was asked for does not answer; null where it does"
    )
    model_loaded: bool
    model: str | None
    gpu_available: bool
    gpu_memory_mb: int = Field(ge=0, description="Memory of the GPU, MB; 0 without one")
    api_version: Literal["2.0.0"]
    timestamp: int


class Probe(Body):
    """A short yes for those who watch the process."""

    status: Literal["alive", "ready"]
    timestamp: int
