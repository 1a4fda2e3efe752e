"""The manifest of a Gemma folder: prompt, picture, reply, depth scale and calibration."""

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
    """The prompt of the model. `image` says whether the picture comes before or after the text."""

    text: str = Field(
        "Read the key in this photo: its keyway, and its bitting from bow to tip.",
        min_length=1,
        max_length=8000,
    )
    image: Literal["first", "last"] = "first"


class Picture(_Table):
    """The conversion of a photo into the square picture that the model sees.

    Attributes:
        crop: "level" for the blade, turned so that it is horizontal with the bow on the left; "box"
            for the bounding box of the key; "none" for the whole photo.
        fit: "pad" adds borders to get a square; "squash" changes the aspect ratio.
        side: Side of the square in pixels; None for the size in the processor's configuration.
        contrast: Factor of Pillow's contrast enhancement; 1 means no change.
        sharpness: Factor of Pillow's sharpness enhancement; 1 means no change.
    """

    crop: Literal["level", "box", "none"] = "level"
    fit: Literal["pad", "squash"] = "pad"
    side: int | None = Field(None, ge=32, le=2048)
    contrast: float = Field(1.0, ge=0.1, le=10)
    sharpness: float = Field(1.0, ge=0, le=10)


class ReplyShape(_Table):
    """The format of the model's reply, and how it is read.

    Attributes:
        decoding: "slots" prescribes the text of the template, so that the model chooses only the
            keyway and the numbers; "free" lets the model write any text.
        template: Text of a reply with {keyway} and {bitting}.
        none: Text in place of the keyway if there is no key; None if the model was not trained to
            say this.
        max_new_tokens: Largest number of tokens for "free".
        beams: Number of codes that the beam search keeps at each cut.
        least_mass: Smallest probability that the model gives to all digits together where a digit
            must follow. Below it, the reply counts as one without a code.
        least_confidence: Smallest confidence. A code with less is refused.
    """

    decoding: Literal["slots", "free"] = "slots"
    template: str = "KEYWAY: {keyway}\nBITTING: {bitting}"
    none: str | None = Field(None, min_length=1, max_length=20)
    max_new_tokens: int = Field(80, ge=8, le=512)
    beams: int = Field(4, ge=1, le=32)
    least_mass: Share = 0.5
    least_confidence: Share = 0.1


class Temperature(_Table):
    """A calibration that divides all logits by one number."""

    method: Literal["temperature"] = "temperature"
    temperature: float = Field(gt=0, le=100)
    fitted_on: int = Field(ge=1)
    error: Share | None = None


class Isotonic(_Table):
    """A calibration by a rising curve.

    Its points are (probability before the calibration, probability after it).
    """

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
    """The probability that two wrong readings contain the same code, for use with two readers."""

    shared_error: Share
    fitted_on: int = Field(ge=1)


class GemmaManifest(_Table):
    """The complete manifest of a Gemma folder.

    Attributes:
        base_files: SHA-256 of each weight file of the base model that an adapter was trained on.
        depths: For a keyway, the maker's depth number for each number that the model writes. For a
            keyway without an entry, the model writes the maker's numbers.
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
        """Return the maker's depth for a number that the model wrote, or None if there is none."""
        table = self.depths.get(name)
        return number if table is None else table.get(number)


def gemma_manifest(table: Mapping[str, Any]) -> GemmaManifest:
    """Validate the content of a manifest.

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
