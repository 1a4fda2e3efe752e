"""The manifest of an ONNX classifier: labels, preprocessing and output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from keylike.errors import ModelError

KIND = "onnx-classifier"
_Label = Annotated[str, Field(min_length=1, max_length=100)]
_Deviation = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]


class Preprocessing(BaseModel):
    """The conversion of an upright photo into the network's input.

    The photo is resized. Then each channel is converted to (pixel * `scale` - `mean`) / `std`.

    Attributes:
        width: Width of the input in pixels.
        height: Height of the input in pixels.
        resize: "stretch" changes the aspect ratio. "letterbox" keeps it and adds borders.
            "centre-crop" keeps it and uses only the middle of the photo.
        crop_share: For "centre-crop", the side of the crop as a share of the largest possible one,
            such as 0.875 (224 of 256 pixels).
        fill: Grey value of the borders of "letterbox", 0 to 255.
        channels: Order of the colour channels.
        scale: Factor by which pixel values (0 to 255) are multiplied.
        mean: Mean per channel, in the order of `channels`.
        std: Standard deviation per channel, in the order of `channels`.
        layout: Order of the input's dimensions: photo (N), channel (C), height (H) and width (W).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(ge=1, le=2048)
    height: int = Field(ge=1, le=2048)
    resize: Literal["stretch", "letterbox", "centre-crop"]
    crop_share: float = Field(1.0, gt=0, le=1)
    fill: int = Field(0, ge=0, le=255)
    channels: Literal["RGB", "BGR"] = "RGB"
    scale: float = Field(1 / 255, gt=0, allow_inf_nan=False)
    mean: tuple[_Finite, _Finite, _Finite] = (0.0, 0.0, 0.0)
    std: tuple[_Deviation, _Deviation, _Deviation] = (1.0, 1.0, 1.0)
    layout: Literal["NCHW", "NHWC"] = "NCHW"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Return the shape of the input for one photo."""
        size = (self.height, self.width)
        return (1, 3, *size) if self.layout == "NCHW" else (1, *size, 3)


class ClassifierManifest(BaseModel):
    """The complete manifest of an ONNX classifier.

    Attributes:
        files: SHA-256 of every file. Exactly one of them is an ONNX file.
        input: Name of the network's input, if there is more than one.
        output: Name of the network's output, if there is more than one.
        gives: Meaning of the output, which has one number per label.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    version: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,31}$")
    kind: Literal["onnx-classifier"]
    licence: str = Field(min_length=1)
    files: Mapping[str, str]
    labels: tuple[_Label, ...] = Field(min_length=2, max_length=10_000)
    input: str | None = None
    output: str | None = None
    gives: Literal["logits", "probabilities"]
    preprocessing: Preprocessing

    @model_validator(mode="after")
    def _check(self) -> ClassifierManifest:
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("a label occurs twice")
        if sum(name.endswith(".onnx") for name in self.files) != 1:
            raise ValueError("files must list one ONNX file, which holds all weights")
        return self

    @property
    def network(self) -> str:
        """Return the name of the ONNX file."""
        return next(name for name in self.files if name.endswith(".onnx"))


def classifier_manifest(table: Mapping[str, Any]) -> ClassifierManifest:
    """Validate the content of a manifest.

    Raises:
        ModelError: The manifest is invalid. The message names the first fault.
    """
    try:
        return ClassifierManifest.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ModelError(
            f"manifest.toml: {'.'.join(map(str, first['loc'])) or 'manifest'}: {first['msg']}"
        ) from None
