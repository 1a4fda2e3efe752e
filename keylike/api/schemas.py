"""Response schemas for the OpenAPI document. Tests validate every response against them."""

from __future__ import annotations

import copy
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from keylike.api.error_handlers import STATUS
from keylike.readers.contract import Reason

ZIPCODE_PATTERN = "^[0-9]{5}$"
_CODES = r"^[0-9]+(,[0-9]+)*$"

RequestId = Annotated[
    str,
    Field(
        min_length=8,
        max_length=8,
        description="Eight characters that identify the request in the server's log",
        examples=["616c1f29"],
    ),
]
Timestamp = Annotated[int, Field(description="Milliseconds since 1970", examples=[1796034193169])]
ApiVersion = Annotated[Literal["2.0.0"], Field(description="Version of the API")]
Succeeded = Annotated[Literal[True], Field(description="True; failures have false")]
ModelUsed = Annotated[
    str, Field(description="Name and version of the model", examples=["caliper-1.3.0"])
]
Probability = Annotated[float, Field(ge=0, le=1)]
Position = Annotated[
    int, Field(ge=1, description="Number of the cut, from 1 at the bow (the handle)")
]
Source = Annotated[
    str, Field(description="Sources of the statement; several are separated by semicolons")
]


_SCHEMAS: dict[tuple[Any, ...], dict[str, Any]] = {}


class Body(BaseModel):
    """A response body with exactly the described fields."""

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:
        """Return the JSON schema, as pydantic's method does.

        Each schema is computed only once. Every route documents the same few bodies, and computing
        them again would take nine tenths of the time to build the application.
        """
        wanted = (cls, args, tuple(options.items()))
        if wanted not in _SCHEMAS:
            _SCHEMAS[wanted] = super().model_json_schema(*args, **options)
        return copy.deepcopy(_SCHEMAS[wanted])


class CutOut(Body):
    """One notch of the key."""

    position: Position
    depth: int = Field(ge=0, description="The maker's number; the lowest is the shallowest")
    probability: Probability = Field(description="Probability that this depth is right")
    depth_mm: float = Field(
        gt=0,
        description="Measured height of the blade that is left under the cut, in millimetres: from "
        "the uncut edge to the root of the cut. It is not the depth of the notch, so a deeper cut "
        "has a smaller value. Makers call it root depth.",
    )
    height_in: float = Field(
        gt=0,
        description="The same height in inches, as makers' tables give it; compare it with a gauge",
    )


class AlternativeOut(Body):
    """Another possible code."""

    bitting: str = Field(pattern=_CODES, description="The maker's code, bow to tip")
    probability: Probability = Field(description="Probability that this code is right")


Pixels = Annotated[
    list[float], Field(min_length=2, max_length=2, description="x to the right and y down, pixels")
]


class CutLineOut(Body):
    """Position of a cut on the photo."""

    position: Position
    foot: Pixels = Field(description="Point on the uncut edge: x to the right and y down, pixels")
    root: Pixels = Field(description="Point at the root of the cut: x and y in pixels")


class GeometryOut(Body):
    """The coordinates for drawing the reading over the photo.

    They are in pixels of a photo of `width` by `height`, after the rotation in its EXIF data. If
    you show the photo in another size, scale them.
    """

    width: int = Field(ge=1, description="Width of the upright photo in pixels")
    height: int = Field(ge=1, description="Height of the upright photo in pixels")
    outline: list[Pixels] = Field(max_length=400, description="Closed outline of the blade")
    cuts: list[CutLineOut] = Field(description="Lines across the blade, one for each cut")


class QualityOut(Body):
    """Quality of the photo; null for what the reader does not measure."""

    px_per_mm: float | None = Field(description="Photo pixels per millimetre at the blade")
    px_per_depth_step: float | None = Field(description="Photo pixels per depth step")
    tilt_deg: float | None = Field(
        description="Angle between key and image plane in degrees; up to 10 is normal if it is flat"
    )
    sharpness: float | None = Field(ge=0, le=1, description="0 is blurred, 1 is sharp")
    contrast: float | None = Field(
        ge=0, le=1, description="Contrast between blade and background; 0 is none"
    )
    worn_cuts: list[int] = Field(description="Positions of cuts about midway between two depths")
    other_keys: bool = Field(description="Other keys seem to be in the picture; one was read")


class KeySpace(Body):
    """The number of different keys of this keyway."""

    cuts: int = Field(ge=1, description="Cuts on the key")
    depths: list[int] = Field(description="Depths that a cut may have")
    theoretical: int = Field(ge=1, description="Number of all codes")
    after_macs: int = Field(
        ge=1,
        description="Number of codes that respect the maximum adjacent cut specification (MACS): "
        "the largest difference between neighbouring cuts that can be cut",
    )
    without_weak: int = Field(ge=0, description="Number of those codes without weak patterns")


class KeyedAlike(Body):
    """The risk that another key is cut the same."""

    one_in: int = Field(
        ge=1, description="One in this many keys is cut the same, if all codes are equally common"
    )
    sentence: str = Field(description="The same as a sentence for people, with its assumption")
    source: Source


class WeakPattern(Body):
    """A weakness of the code."""

    name: str = Field(description="A word for programs, such as three_in_row")
    explanation: str = Field(description="A sentence for the owner, without the code")
    source: Source
    cost: int = Field(ge=0, description="Points deducted from the score")


class Claim(Body):
    """A statement about the key."""

    value: str = Field(description="A word for programs")
    explanation: str = Field(description="A sentence for people")
    source: Source


class Part(Body):
    """One part of the score."""

    name: str = Field(description="A word for programs")
    points: int = Field(ge=0, description="Points of this part")
    of: int = Field(ge=0, description="Largest number of points of this part")
    why: str = Field(description="The reason for the points")
    source: Source


class Assessment(Body):
    """The assessment of a code, for the owner of the key. It does not include the code."""

    keyway: str = Field(description="Keyway of the key", examples=["SC1"])
    key_space: KeySpace = Field(description="The number of different keys of this keyway")
    keyed_alike: KeyedAlike = Field(description="The risk that another key is cut the same")
    weak_patterns: list[WeakPattern] = Field(description="Weaknesses of the code; often none")
    blank: Claim = Field(description="Who can buy the uncut key: free or restricted")
    bump_exposure: Claim = Field(description="Exposure to bumping: low, moderate or high")
    score: int = Field(ge=0, le=100, description="Sum of the parts, from 0 (worst) to 100")
    level: Literal["weak", "fair", "good"] = Field(description="A word for the score")
    parts: list[Part] = Field(description="The parts of the score")
    recommendations: list[str] = Field(description="Advice for the owner, most important first")
    sources: list[str] = Field(description="All sources of the assessment, each once")


# The fields of a prediction after `api_version`. A request can select some of them.
SELECTABLE = (
    "cuts",
    "alternatives",
    "geometry",
    "quality",
    "calibrated",
    "assessment",
    "cached",
    "processing_ms",
)


def _optional(schema: dict[str, Any]) -> None:
    schema["required"] = [name for name in schema["required"] if name not in SELECTABLE]


class Prediction(Body):
    """The reading of a key.

    The fields up to `api_version` are always present. The query parameter `fields` selects which of
    the others are present; without it, all are.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra=_optional)

    success: Succeeded
    request_id: RequestId
    keyway: str = Field(description="Family of the key, by the name of its blank", examples=["SC1"])
    bitting: str = Field(
        pattern=_CODES, description="The maker's code, bow to tip", examples=["2,5,4,7,3"]
    )
    brand: str = Field(description="Maker of the lock", examples=["Schlage"])
    confidence: Probability = Field(description="Probability that the whole code is right")
    estimatedAnnualProduction: int = Field(
        gt=0,
        description="Keys made per year by a rough formula; see `assessment` for sourced figures",
    )
    manufacturingComplexity: int = Field(gt=0, description="Rough formula from cuts and depths")
    marketPenetration: float = Field(
        ge=0, le=1, description="Share of locks with this keyway; rough, from the keyway's record"
    )
    timeInMarket: float = Field(
        ge=0, le=1, description="Age of the keyway, 1 for the oldest; rough, from its record"
    )
    pinCount: int = Field(ge=1, description="Pins of the lock, one for each cut")
    materialType: str = Field(description="Usual material of the key", examples=["brass"])
    securityRating: str = Field(description="Security of the lock, in words")
    model_used: ModelUsed
    zipcode: str = Field(
        pattern=ZIPCODE_PATTERN, description="The zipcode of the request, or 00000"
    )
    timestamp: Timestamp
    api_version: ApiVersion
    cuts: list[CutOut] = Field(description="The cuts, bow to tip")
    alternatives: list[AlternativeOut] = Field(
        description="Other possible codes, most likely first"
    )
    geometry: GeometryOut | None = Field(
        description="Coordinates for drawing the reading over the photo; null if unknown"
    )
    quality: QualityOut = Field(description="Quality of the photo")
    calibrated: bool = Field(
        description="True if the probabilities come from a calibration on photos with known codes"
    )
    assessment: Assessment = Field(
        description="Meaning of the reading for the owner, each claim with its source"
    )
    cached: bool = Field(
        description="True if an earlier or concurrent request with the same photo gave the reading"
    )
    processing_ms: float = Field(
        ge=0, description="Time from the photo's bytes to its reading, milliseconds"
    )


class TimedPrediction(Prediction):
    """The reading of a key, with the processing time in seconds."""

    processing_time: float = Field(ge=0, description="`processing_ms` in seconds")


class ClassificationOut(Body):
    """The class of a photo."""

    success: Succeeded
    request_id: RequestId
    predicted_class: str = Field(description="The most likely class", examples=["SC1"])
    confidence: Probability = Field(description="Its probability")
    all_probabilities: dict[str, Probability] = Field(
        min_length=2,
        description="Probability of every class of the model; they sum to 1",
        examples=[{"SC1": 0.9, "KW1": 0.1}],
    )
    model_used: ModelUsed
    timestamp: Timestamp
    api_version: ApiVersion


class Failure(Body):
    """The body of every failure."""

    success: Literal[False] = Field(description="False; successful responses have true")
    error: str = Field(description="A sentence for the user")
    code: str = Field(
        description="A word for programs", json_schema_extra={"enum": [*sorted(STATUS)]}
    )
    request_id: RequestId
    timestamp: Timestamp
    api_version: ApiVersion
    details: dict[str, Any] = Field(
        # Absent if there are none, so the schema must not state a default value for it.
        default_factory=dict,
        description="Figures for programs, such as a limit; absent if there are none",
    )


class UnreadableFailure(Failure):
    """A photo whose key cannot be read, with the reason and advice for the next photo."""

    reason: Reason = Field(description="A word for programs")
    advice: str = Field(description="How to take the next photo, for the user")
    model_used: ModelUsed


class BatchAnswer(Body):
    """One result for each photo of a request, in order, as POST /predict would return it."""

    success: Literal[True] = Field(
        description="The request was processed; each result has its own `success`"
    )
    request_id: RequestId
    timestamp: Timestamp
    api_version: ApiVersion
    results: list[Prediction | UnreadableFailure | Failure] = Field(
        min_length=1, max_length=32, description="A reading or a failure for each photo"
    )


class Welcome(Body):
    """The addresses of the API, for programs."""

    name: Literal["Keylike"] = Field(description="Name of the server")
    api_version: ApiVersion
    model: str | None = Field(description="Name and version of the model; null while it loads")
    predict: str = Field(description="Path for photos")
    health: str = Field(description="Path of the server's state")
    docs: str = Field(description="Path of the documentation for people")
    openapi: str = Field(description="Path of the OpenAPI document")


class VersionOut(Body):
    """The versions of the server, its API and its model."""

    name: Literal["Keylike"] = Field(description="Name of the server")
    version: str = Field(description="Release of the server", examples=["2.0.0"])
    api_version: ApiVersion
    model: str | None = Field(description="Name and version of the model; null while it loads")


class CacheOut(Body):
    """Counters of the cache since the start."""

    hits: int = Field(ge=0, description="Photos whose reading was in the cache")
    misses: int = Field(ge=0, description="Photos that were read")
    shared: int = Field(
        ge=0, description="Photos that waited for another request with the same photo"
    )
    entries: int = Field(ge=0, description="Readings in the cache now")
    max_entries: int = Field(ge=1, description="Most readings that the cache keeps")
    ttl_s: float = Field(ge=0, description="Seconds that a reading is kept; 0 turns the cache off")
    backend: Literal["memory", "redis"] = Field(description="Where the readings are kept")
    degraded: bool = Field(description="True if Redis is unreachable and memory replaces it")
    invalid: int = Field(
        ge=0,
        description="Stored values that were damaged, forged or impossible, so the photo was read",
    )
    hit_rate: float = Field(
        ge=0, le=1, description="Share of the looked-up photos that did not have to be read again"
    )


class Health(Body):
    """The state of the server."""

    status: Literal["healthy", "degraded", "loading", "draining"] = Field(
        description="degraded: the embedded reader replaces the configured model"
    )
    reason: str | None = Field(description="Why the configured model is not in use; null if it is")
    model_loaded: bool = Field(description="True if photos can be read")
    model: str | None = Field(description="Name and version of the model; null while it loads")
    gpu_available: bool = Field(description="True if the server found a GPU")
    gpu_memory_mb: int = Field(ge=0, description="Memory of the GPU, MB; 0 without one")
    api_version: ApiVersion
    timestamp: Timestamp


class Probe(Body):
    """A short confirmation for probes."""

    status: Literal["alive", "ready"] = Field(description="The confirmation")
    timestamp: Timestamp
