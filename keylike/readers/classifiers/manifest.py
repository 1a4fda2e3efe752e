"""What the manifest of an ONNX classifier says, typed and checked: labels, how a photo becomes numbers, what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from keylike.errors import ModelError

KIND = "onnx-classifier"
_Label = Annotated[str, Field(min_length=1, max_length=100)]
_Spread = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]


class Preprocessing(BaseModel):
    """How an upright photo becomes the network's input: resized, then (pixel * `scale` - `mean`) / `std` for each channel.

    `width`, `height`: pixels that the network sees. `resize`: `stretch` to that size; `letterbox` inside it, centred, the rest filled with
    the grey `fill` (0 to 255); `centre-crop`: the middle, the largest part of that shape times `crop_share` (0.875 is 224 of 256 pixels).
    `channels`: their order; `mean` and `std` follow it. `layout`: of the input's four dimensions.
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
    std: tuple[_Spread, _Spread, _Spread] = (1.0, 1.0, 1.0)
    layout: Literal["NCHW", "NHWC"] = "NCHW"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The input's dimensions, for one photo."""
        across = (self.height, self.width)
        return (1, 3, *across) if self.layout == "NCHW" else (1, *across, 3)


class ClassifierManifest(BaseModel):
    """The whole manifest. `files`: every file with its SHA-256, one of them the ONNX file. `input`, `output`: their names in the network,
    where it has more than one. `gives`: what the output holds, one number a label."""

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
    def _whole(self) -> ClassifierManifest:
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("a label is named twice")
        if sum(name.endswith(".onnx") for name in self.files) != 1:
            raise ValueError("files must name one ONNX file, which holds all the weights")
        return self

    @property
    def network(self) -> str:
        """The name of the ONNX file."""
        return next(name for name in self.files if name.endswith(".onnx"))


def classifier_manifest(table: Mapping[str, Any]) -> ClassifierManifest:
    """Checks a manifest's table. Raises ModelError with the first fault."""
    try:
        return ClassifierManifest.model_validate(table)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False, include_input=False)[0]
        raise ModelError(
            f"manifest.toml: {'.'.join(map(str, first['loc'])) or 'manifest'}: {first['msg']}"
        ) from None
