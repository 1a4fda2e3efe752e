"""What a Gemma folder's manifest says, typed and checked: prompt, picture, reply, scale of depths, calibration."""

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
    """What is said to the model, and whether the picture comes before or after it. The true code has no place in it."""

    text: str = Field(
        "Read the key in this photo: its keyway, and its bitting from bow to tip.",
        min_length=1,
        max_length=8000,
    )
    image: Literal["first", "last"] = "first"


class Picture(_Table):
    """How a photo becomes the square that the model sees.

    `crop`: the key levelled (bow left), its upright box, or the whole photo. `fit`: padded to a square, or squashed into one.
    `side`: pixels; without it the processor's own. `contrast`, `sharpness`: Pillow's enhancement factors, 1 for none.
    """

    crop: Literal["level", "box", "none"] = "level"
    fit: Literal["pad", "squash"] = "pad"
    side: int | None = Field(None, ge=32, le=2048)
    contrast: float = Field(1.0, ge=0.1, le=10)
    sharpness: float = Field(1.0, ge=0, le=10)


class ReplyShape(_Table):
    """What the model answers and how that is read.

    `slots` forces the template and lets the model choose in its places; `free` lets it write up to `max_new_tokens`. `none` is what it
    writes in the keyway's place where there is no key (not set: it cannot say so). `beams`: codes followed side by side.
    `least_mass`: below this share of digits in the model's own probability there is no code. `least_confidence`: below it a code is not
    worth giving.
    """

    decoding: Literal["slots", "free"] = "slots"
    template: str = "KEYWAY: {keyway}\nBITTING: {bitting}"
    none: str | None = Field(None, min_length=1, max_length=20)
    max_new_tokens: int = Field(80, ge=8, le=512)
    beams: int = Field(4, ge=1, le=32)
    least_mass: Share = 0.5
    least_confidence: Share = 0.1


class Temperature(_Table):
    """All logits divided by one number."""

    method: Literal["temperature"] = "temperature"
    temperature: float = Field(gt=0, le=100)
    fitted_on: int = Field(ge=1)
    error: Share | None = None


class Isotonic(_Table):
    """A rising line through points of (probability as it comes, share that was right)."""

    method: Literal["isotonic"] = "isotonic"
    points: tuple[tuple[Share, Share], ...] = Field(min_length=2)
    fitted_on: int = Field(ge=1)
    error: Share | None = None

    @model_validator(mode="after")
    def _rising(self) -> Isotonic:
        xs, ys = zip(*self.points, strict=True)
        if list(xs) != sorted(xs) or list(ys) != sorted(ys):
            raise ValueError("the points do not rise")
        return self


Calibration = Annotated[Temperature | Isotonic, Field(discriminator="method")]


class Agreement(_Table):
    """How often two wrong readings are the same wrong code; fitted, for reading with two readers."""

    shared_error: Share
    fitted_on: int = Field(ge=1)


class GemmaManifest(_Table):
    """The whole manifest. `depths`: keyway -> the model's number -> the maker's; a keyway without a table is in the maker's own.
    `base_files`: of the base that an adapter was trained on, each file of weights with its SHA-256."""

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
    def _whole(self) -> GemmaManifest:
        for name in (*self.keyways, *self.depths):
            _known(name)
        if len(set(self.keyways)) < len(self.keyways):
            raise ValueError("a keyway is named twice")
        if any(len(set(table.values())) < len(table) for table in self.depths.values()):
            raise ValueError("two numbers of a depth scale are the same depth of the maker")
        if "{bitting}" not in self.reply.template:
            raise ValueError("reply.template has no place for {bitting}")
        if "{keyway}" not in self.reply.template and len(self.keyways) > 1:
            raise ValueError(
                "reply.template has no place for {keyway}: then only one keyway can be told"
            )
        return self

    def maker(self, name: str, number: int) -> int | None:
        """The maker's depth for the model's number; None for a number its scale does not have."""
        table = self.depths.get(name)
        return number if table is None else table.get(number)


def gemma_manifest(table: Mapping[str, Any]) -> GemmaManifest:
    """Checks a manifest's table. Raises ModelError with the first fault."""
    try:
        return GemmaManifest.model_validate(table)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False, include_input=False)[0]
        raise ModelError(
            f"manifest.toml: {'.'.join(map(str, first['loc'])) or 'manifest'}: {first['msg']}"
        ) from None


def _known(name: str) -> None:
    try:
        found = keyway(name)
    except UnknownKeyway:
        raise ValueError(f"no keyway is called {name!r}") from None
    if found.name != name:
        raise ValueError(f"the keyway {name!r} is called {found.name!r} here")
