"""Response schemas for the OpenAPI document. Tests validate every response against them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from keylike.api.error_handlers import STATUS
from keylike.keys.risk import Assessment
from keylike.readers.contract import Reason

ZIPCODE_PATTERN = "^[0-9]{5}$"
_CODES = r"^[0-9]+(,[0-9]+)*$"


class Body(BaseModel):
    """A response body with exactly the described fields."""

    model_config = ConfigDict(extra="forbid")


class CutOut(Body):
    """One notch of the key."""

    position: int = Field(ge=1, description="1 at the bow (the handle)")
    depth: int = Field(ge=0, description="The maker's number; the lowest is the shallowest")
    probability: float = Field(ge=0, le=1, description="Probability that this depth is right")
    depth_mm: float = Field(gt=0, description="Blade height left under the cut, millimetres")


class AlternativeOut(Body):
    """Another possible code."""

    bitting: str = Field(pattern=_CODES)
    probability: float = Field(ge=0, le=1)


Pixels = Annotated[
    list[float], Field(min_length=2, max_length=2, description="x to the right and y down, pixels")
]


class CutLineOut(Body):
    """Position of a cut on the photo."""

    position: int = Field(ge=1, description="1 at the bow (the handle)")
    foot: Pixels = Field(description="On the uncut edge")
    root: Pixels = Field(description="At the root of the cut")


class GeometryOut(Body):
    """The reading as a drawing over the upright photo of `width` by `height` pixels.

    The photo is upright after the rotation in its EXIF data. Scale the coordinates for another
    size.
    """

    width: int = Field(ge=1)
    height: int = Field(ge=1)
    outline: list[Pixels] = Field(max_length=400, description="Closed outline of the blade")
    cuts: list[CutLineOut]


class QualityOut(Body):
    """Quality of the photo; null for what the reader does not measure."""

    px_per_mm: float | None = Field(description="Photo pixels per millimetre at the blade")
    px_per_depth_step: float | None = Field(description="Photo pixels per depth step")
    tilt_deg: float | None = Field(description="Angle between key and image plane, degrees")
    sharpness: float | None = Field(ge=0, le=1)
    contrast: float | None = Field(ge=0, le=1)
    worn_cuts: list[int] = Field(description="Positions of cuts about midway between two depths")
    other_keys: bool = Field(description="Other keys seem to be in the picture; one was read")


class Prediction(Body):
    """The reading of a key."""

    success: Literal[True]
    request_id: str = Field(min_length=8, max_length=8)
    keyway: str = Field(examples=["SC1"])
    bitting: str = Field(
        pattern=_CODES, description="The maker's code, bow to tip", examples=["2,5,4,7,3"]
    )
    brand: str = Field(examples=["Schlage"])
    confidence: float = Field(ge=0, le=1, description="Probability that the whole code is right")
    estimatedAnnualProduction: int = Field(
        gt=0, description="Rough formula; see `assessment` for sourced figures"
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
        description="For drawing the reading over the photo; null if the reader gives none"
    )
    quality: QualityOut
    calibrated: bool = Field(description="True if a fitted calibration gives the probabilities")
    assessment: Assessment = Field(
        description="Meaning of the reading for the owner, each claim with its source"
    )
    cached: bool = Field(
        description="True if an earlier or concurrent request with the same photo gave the reading"
    )
    processing_ms: float = Field(ge=0, description="Time from bytes to answer for this request")


class TimedPrediction(Prediction):
    """The reading of a key, with the processing time in seconds."""

    processing_time: float = Field(ge=0, description="`processing_ms` in seconds")


class ClassificationOut(Body):
    """The class of a photo."""

    success: Literal[True]
    request_id: str = Field(min_length=8, max_length=8)
    predicted_class: str = Field(description="The most likely class", examples=["SC1"])
    confidence: float = Field(ge=0, le=1, description="Its probability")
    all_probabilities: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        min_length=2,
        description="Probability of every class of the model; they sum to 1",
        examples=[{"SC1": 0.9, "KW1": 0.1}],
    )
    model_used: str = Field(examples=["caliper-1.0.0"])
    timestamp: int = Field(description="Milliseconds since 1970")
    api_version: Literal["2.0.0"]


class Failure(Body):
    """The body of every failure."""

    success: Literal[False]
    error: str = Field(description="A sentence for the user")
    code: str = Field(json_schema_extra={"enum": [*sorted(STATUS)]})
    request_id: str = Field(min_length=8, max_length=8)
    timestamp: int
    api_version: Literal["2.0.0"]
    details: dict[str, Any] | None = Field(None, json_schema_extra={"type": "object"})


class UnreadableFailure(Failure):
    """A photo whose key cannot be read, with the reason and advice for the next photo."""

    reason: Reason
    advice: str
    model_used: str


class BatchAnswer(Body):
    """One result for each photo of a request, in order, as POST /predict would return it."""

    success: Literal[True] = Field(
        description="The request was processed; each result has its own `success`"
    )
    request_id: str = Field(min_length=8, max_length=8)
    timestamp: int
    api_version: Literal["2.0.0"]
    results: list[Prediction | UnreadableFailure | Failure] = Field(min_length=1, max_length=32)


class Welcome(Body):
    """The addresses of the API, for programs."""

    name: Literal["Keylike"]
    api_version: Literal["2.0.0"]
    model: str | None
    predict: str
    health: str
    docs: str
    openapi: str


class CacheOut(Body):
    """Counters of the cache since the start."""

    hits: int = Field(ge=0, description="Photos whose reading was in the cache")
    misses: int = Field(ge=0, description="Photos that were read")
    shared: int = Field(
        ge=0, description="Photos that waited for another request with the same photo"
    )
    entries: int = Field(ge=0, description="Readings in the cache now")
    max_entries: int = Field(ge=1)
    ttl_s: float = Field(ge=0, description="Seconds that a reading is kept; 0 turns the cache off")
    backend: Literal["memory", "redis"]
    degraded: bool = Field(description="True if Redis is unreachable and memory replaces it")
    invalid: int = Field(
        ge=0,
        description="Stored values that were damaged, forged or impossible, and were read anew",
    )
    hit_rate: float = Field(
        ge=0, le=1, description="Share of the photos looked up that did not have to be read"
    )


class Health(Body):
    """The state of the server."""

    status: Literal["healthy", "degraded", "loading", "draining"] = Field(
        description="degraded: the embedded reader replaces the configured model"
    )
    reason: str | None = Field(description="Why the configured model is not in use; null if it is")
    model_loaded: bool
    model: str | None
    gpu_available: bool
    gpu_memory_mb: int = Field(ge=0, description="Memory of the GPU, MB; 0 without one")
    api_version: Literal["2.0.0"]
    timestamp: int


class Probe(Body):
    """A short confirmation for probes."""

    status: Literal["alive", "ready"]
    timestamp: int
