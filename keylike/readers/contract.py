"""The contract of a reader: photos in, one reading or one honest refusal out for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from keylike.images.photo import Photo

Point = tuple[float, float]


class Reason(StrEnum):
    """Why a photo could not be read; one of these goes into every refusal."""

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
    """One notch: position from 1 at the bow, the maker's depth number, and what was measured.

    `probability` is that of this depth being right, calibrated together with the whole code.
    `depth_mm` is the blade height left under the cut, in millimetres.
    """

    position: int
    depth: int
    probability: float
    depth_mm: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """One whole code the keyway allows, bow to tip, with the probability that it is the right one."""

    codes: tuple[int, ...]
    probability: float


@dataclass(frozen=True, slots=True)
class Quality:
    """What the photo gave to work with; None where a reader does not measure it.

    `px_per_mm` photo pixels a millimetre at the blade; `px_per_depth_step` the same for one depth step of the keyway;
    `tilt_deg` angle between the key's plane and the picture's; `sharpness` and `contrast` 0 to 1; `worn_cuts` the
    positions of cuts that lie nearly midway between two depths (a worn or copied key); `other_keys` True if other
    keys seem to be in the picture, of which the largest was read.
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
    """Where a cut lies in the photo, in pixels: from the uncut edge to the root of the cut."""

    position: int
    foot: Point
    root: Point


@dataclass(frozen=True, slots=True)
class Drawing:
    """The reading's geometry in photo pixels (x right, y down), for drawing it over the picture.

    `size` width and height of the photo as the reader had it: upright, and perhaps smaller than the original.
    """

    outline: tuple[Point, ...]
    cut_lines: tuple[CutLine, ...]
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader saw on one photo.

    `codes` is the first choice, bow to tip; `confidence` the probability that the whole code is right and `calibrated`
    says whether a fitted calibration stands behind it; `candidates` are ranked, the first being the reading itself.
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
    """One reader's own reading where two disagree; `model` names the reader."""

    model: str
    keyway: str
    codes: tuple[int, ...]
    probability: float


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An honest refusal: the reason, a sentence of what was seen, and advice that helps the next photo.

    `opinions` are what each reader read where two of them disagree.
    """

    reason: Reason
    message: str
    advice: str
    quality: Quality = field(default_factory=Quality)
    opinions: tuple[Opinion, ...] = ()


@dataclass(frozen=True, slots=True)
class ReaderInfo:
    """Who reads: manifest name and version, kind (caliper, gemma-lora …), keyways known, digest of the model files.

    `max_batch` is how many photos at a time are worth giving it, `workers` how many threads are worth asking it from; None: one a core.
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
        """Name and version, such as "caliper-1.0.0", as answers and logs give it."""
        return f"{self.name}-{self.version}"


class Reader(Protocol):
    """Anything that reads keys. Loaded once, used from many threads."""

    @property
    def info(self) -> ReaderInfo:
        """Name, version and digest of what reads."""

    def warm(self) -> None:
        """Runs once over a made-up photo, so that the first caller does not pay for it."""

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """One result a photo, in order; a photo that cannot be read never spoils another. Raises Overloaded where memory is short."""
