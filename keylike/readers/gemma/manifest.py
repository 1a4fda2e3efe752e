"""Typed manifest of a Gemma folder: prompt, picture, reply, depth scale and calibration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from keylike.errors import ModelError
from keylike.keys.keyways import UnknownKeyway, keyway

Share = Annotated[float, Field(ge=0, le=1)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Prompt(_Table):
    """Prompt of the model, and whether the picture precedes or follows it.

    The prompt must never contain the true code.
    """

    text: str = Field(
        "Read the key in this photo: its keyway, and its bitting from bow to tip.",
        min_length=1,
        max_length=8000,
    )
    image: Literal["first", "last"] = "first"


class Picture(_Table):
    """Conversion of a photo into the square that the model sees.

    Attributes:
        crop: "level" for the key turned level (bow left), "box" for its bounding box, "none" for
            the whole photo.
        fit: Pad to a square, or squash into one.
        side: Pixels; None for the processor's own size.
        contrast: Pillow's enhancement factor, 1 for no change.
        sharpness: Pillow's enhancement factor, 1 for no change.
    """

    crop: Literal["level", "box", "none"] = "level"
    fit: Literal["pad", "squash"] = "pad"
    side: int | None = Field(None, ge=32, le=2048)
    contrast: float = Field(1.0, ge=0.1, le=10)
    sharpness: float = Field(1.0, ge=0, le=10)


class ReplyShape(_Table):
    """Format of the model's reply and how it is read.

    Attributes:
        decoding: "slots" forces the template and lets the model fill its slots; "free" generates
            text.
        template: Reply with {keyway} and {bitting}.
        none: Text in place of the keyway if there is no key; None if the model cannot say so.
        max_new_tokens: Limit for free decoding.
        beams: Number of codes followed in parallel.
        least_mass: Minimum share of digits in the model's unconstrained probability. Below it there
            is no code.
        least_confidence: Minimum confidence. A code below it is refused.
    """

    decoding: Literal["slots", "free"] = "slots"
    template: str = "KEYWAY: {keyway}\nBITTING: {bitting}"
    none: str | None = Field(None, min_length=1, max_length=20)
    max_new_tokens: int = Field(80, ge=8, le=512)
    beams: int = Field(4, ge=1, le=32)
    least_mass: Share = 0.5
    least_confidence: Share = 0.1


class Temperature(_Table):
    """Calibration that divides all logits by one number."""

    method: Literal["temperature"] = "temperature"
    temperature: float = Field(gt=0, le=100)
    fitted_on: int = Field(ge=1)
    error: Share | None = None


class Isotonic(_Table):
    """Calibration by a rising curve through points of (raw probability, share that was correct)."""

    method: Literal["isotonic"] = "isotonic"
    points: tuple[tuple[Share, Share], ...] = Field(min_length=2)
    fitted_on: int = Field(ge=1)
    error: Share | None = None

    @model_validator(mode="after")
    def _check_rising(self) -> Isotonic:
        xs, ys = zip(*self.points, strict=True)
        if list(xs) != sorted(xs) or list(ys) != sorted(ys):
            raise ValueError("the points do not rise")
        return self


Calibration = Annotated[Temperature | Isotonic, Field(discriminator="method")]


class Agreement(_Table):
    """Rate at which two wrong readings show the same wrong code, for reading with two readers."""

    shared_error: Share
    fitted_on: int = Field(ge=1)


class GemmaManifest(_Table):
    """Complete manifest of a Gemma folder.

    Attributes:
        base_files: SHA-256 of each weights file of the base that an adapter was trained on.
        depths: Per keyway, the maker's depth for each of the model's numbers. A keyway without a
            table uses the maker's numbers.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    version: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,31}$")
    kind: Literal["gemma-lora", "gemma-merged"]
    base: str | None = None
    base_files: Mapping[str, str] = {}
    keyways: tuple[str, ...] = Field(min_length=1)
    prompt: Prompt = Prompt()
    picture: Picture = Picture()
    reply: ReplyShape = ReplyShape()
    depths: Mapping[str, Mapping[int, int]] = {}
    calibration: Calibration | None = None
    agreement: Agreement | None = None

    @model_validator(mode="after")
    def _check(self) -> GemmaManifest:
        for name in (*self.keyways, *self.depths):
            _check_keyway(name)
        if len(set(self.keyways)) < len(self.keyways):
            raise ValueError("a keyway is named twice")
        if any(len(set(table.values())) < len(table) for table in self.depths.values()):
            raise ValueError("two numbers of a depth scale map to the same depth")
        if "{bitting}" not in self.reply.template:
            raise ValueError("reply.template has no place for {bitting}")
        if "{keyway}" not in self.reply.template and len(self.keyways) > 1:
            raise ValueError(
                "reply.template has no place for {keyway}, so there must be only one keyway"
            )
        return self

    def maker_depth(self, name: str, number: int) -> int | None:
        """Return the maker's depth for the model's number, or None if it is outside the scale."""
        table = self.depths.get(name)
        return number if table is None else table.get(number)


def gemma_manifest(table: Mapping[str, Any]) -> GemmaManifest:
    """Validate a manifest's table.

    Raises:
        ModelError: The manifest is invalid. The message names the first fault.
    """
    try:
        return GemmaManifest.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ModelError(
            f"manifest.toml: {'.'.join(map(str, first['loc'])) or 'manifest'}: {first['msg']}"
        ) from None


def _check_keyway(name: str) -> None:
    try:
        found = keyway(name)
    except UnknownKeyway:
        raise ValueError(f"no keyway is called {name!r}") from None
    if found.name != name:
        raise ValueError(f"the keyway {name!r} must be called {found.name!r}")
