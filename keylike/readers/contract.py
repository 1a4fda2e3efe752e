"""The interface of a reader: it takes photos and returns one reading or refusal per photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from keylike.images.photo import Photo

Point = tuple[float, float]


class Reason(StrEnum):
    """The reason of a refusal."""

    NOT_A_KEY = "not_a_key"
    SEVERAL_KEYS = "several_keys"
    NO_CUTS = "no_cuts"
    UNSUPPORTED_KEYWAY = "unsupported_keyway"
    TOO_SMALL = "too_small"
    TOO_BLURRED = "too_blurred"
    GLARE = "glare"
    CROPPED = "cropped"
    TOO_TILTED = "too_tilted"
    LOW_CONFIDENCE = "low_confidence"
    READERS_DISAGREE = "readers_disagree"
    NO_CODE_IN_REPLY = "no_code_in_reply"


@dataclass(frozen=True, slots=True)
class Cut:
    """One cut of a key.

    Attributes:
        position: Number of the cut, from 1 at the bow.
        depth: The maker's depth number.
        probability: Probability that the depth is correct. It is consistent with the calibrated
            confidence of the whole code.
        depth_mm: Height of the blade that is left under the cut, in millimetres.
    """

    position: int
    depth: int
    probability: float
    depth_mm: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible code, bow to tip, with the probability that it is correct."""

    codes: tuple[int, ...]
    probability: float


@dataclass(frozen=True, slots=True)
class Quality:
    """Measurements of the photo. A value is None if the reader does not measure it.

    Attributes:
        px_per_mm: Photo pixels per millimetre at the blade.
        px_per_depth_step: Photo pixels per depth step of the keyway.
        tilt_deg: Angle in degrees between the plane of the key and that of the picture.
        sharpness: Sharpness of the picture, from 0 (blurred) to 1.
        contrast: Contrast between blade and background, from 0 (none) to 1.
        worn_cuts: Positions of cuts nearly midway between two depths, as on a worn or copied key.
        other_keys: True if other keys seem to be in the picture. The largest key is read.
    """

    px_per_mm: float | None = None
    px_per_depth_step: float | None = None
    tilt_deg: float | None = None
    sharpness: float | None = None
    contrast: float | None = None
    worn_cuts: tuple[int, ...] = ()
    other_keys: bool = False


@dataclass(frozen=True, slots=True)
class CutLine:
    """The position of a cut in the photo, as a line from the uncut edge to the root of the cut.

    Attributes:
        position: Number of the cut, from 1 at the bow.
        foot: Point on the uncut edge, in pixels.
        root: Point at the root of the cut, in pixels.
    """

    position: int
    foot: Point
    root: Point


@dataclass(frozen=True, slots=True)
class Drawing:
    """The coordinates for drawing a reading on its photo, in pixels (x to the right, y down).

    Attributes:
        outline: Outline of the key.
        cut_lines: One line per cut.
        size: Width and height of the decoded photo, upright and possibly smaller than the original.
    """

    outline: tuple[Point, ...]
    cut_lines: tuple[CutLine, ...]
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Reading:
    """The code of a key in a photo.

    Attributes:
        keyway: Name of the keyway.
        codes: Most probable code, bow to tip.
        confidence: Probability that the whole code is correct.
        calibrated: True if `confidence` comes from a fitted calibration.
        cuts: One entry per cut.
        candidates: Possible codes, most probable first. The first is `codes`.
        quality: Measurements of the photo.
        drawing: Coordinates for drawing, or None if the reader does not measure them.
    """

    keyway: str
    codes: tuple[int, ...]
    confidence: float
    calibrated: bool
    cuts: tuple[Cut, ...]
    candidates: tuple[Candidate, ...]
    quality: Quality
    drawing: Drawing | None = None


@dataclass(frozen=True, slots=True)
class Opinion:
    """The code from one of two readers that disagree. `model` is the name of the reader."""

    model: str
    keyway: str
    codes: tuple[int, ...]
    probability: float


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The refusal of a photo.

    Attributes:
        reason: Reason, as a word for programs.
        message: Sentence that says what the reader found.
        advice: Sentence that tells how to take a better photo.
        quality: Measurements of the photo.
        opinions: The codes of the readers, if two readers disagree.
    """

    reason: Reason
    message: str
    advice: str
    quality: Quality = field(default_factory=Quality)
    opinions: tuple[Opinion, ...] = ()


@dataclass(frozen=True, slots=True)
class ReaderInfo:
    """The description of a reader.

    Attributes:
        name: Name from the manifest.
        version: Version from the manifest.
        kind: Kind of model, such as "caliper" or "gemma-lora".
        keyways: Keyways that the reader knows.
        digest: Digest of the model files.
        max_batch: Largest number of photos that it is useful to read at once.
        workers: Largest number of threads that it is useful to read in; None for one per core.
    """

    name: str
    version: str
    kind: str
    keyways: tuple[str, ...]
    digest: str
    max_batch: int = 1
    workers: int | None = None

    @property
    def label(self) -> str:
        """Return name and version as used in answers and logs, such as "caliper-1.0.0"."""
        return f"{self.name}-{self.version}"


class Reader(Protocol):
    """A reader of keys. It is loaded once and used by many threads."""

    @property
    def info(self) -> ReaderInfo:
        """Return the description of the reader."""

    def warm(self) -> None:
        """Read a synthetic photo once, so that the first request is not slower."""

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """Return one result per photo, in order. An unreadable photo does not affect the others.

        Raises:
            Overloaded: There is not enough memory.
        """
