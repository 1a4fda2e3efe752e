"""Convert a photo into the input of an ONNX classifier, as its manifest specifies."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from keylike.readers.classifiers.manifest import Preprocessing

_Pixels = NDArray[Any]


def preprocess(pixels: _Pixels, spec: Preprocessing) -> NDArray[np.float32]:
    """Return the network's input for one photo, with shape `spec.shape`.

    `pixels` is an RGB picture of type uint8 and shape (height, width, 3).
    """
    fitted = _RESIZE[spec.resize](pixels, spec)
    ordered = fitted if spec.channels == "RGB" else fitted[..., ::-1]
    values = (
        ordered.astype(np.float32) * np.float32(spec.scale) - np.array(spec.mean, np.float32)
    ) / np.array(spec.std, np.float32)
    batch = values[None] if spec.layout == "NHWC" else values.transpose(2, 0, 1)[None]
    return np.ascontiguousarray(batch)


def _stretch(pixels: _Pixels, spec: Preprocessing) -> _Pixels:
    return _resize(pixels, spec.width, spec.height)


def _letterbox(pixels: _Pixels, spec: Preprocessing) -> _Pixels:
    height, width = pixels.shape[:2]
    scale = min(spec.width / width, spec.height / height)
    inner = _resize(pixels, max(1, round(width * scale)), max(1, round(height * scale)))
    box = np.full((spec.height, spec.width, 3), spec.fill, np.uint8)
    top, left = (spec.height - inner.shape[0]) // 2, (spec.width - inner.shape[1]) // 2
    box[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return box


def _centre_crop(pixels: _Pixels, spec: Preprocessing) -> _Pixels:
    height, width = pixels.shape[:2]
    scale = min(width / spec.width, height / spec.height) * spec.crop_share
    crop_width = max(1, round(spec.width * scale))
    crop_height = max(1, round(spec.height * scale))
    top, left = (height - crop_height) // 2, (width - crop_width) // 2
    crop = pixels[top : top + crop_height, left : left + crop_width]
    return _resize(crop, spec.width, spec.height)


def _resize(pixels: _Pixels, width: int, height: int) -> _Pixels:
    """Resize the picture. If it becomes smaller, pixels are averaged to avoid aliasing."""
    shrinks = width * height < pixels.shape[0] * pixels.shape[1]
    return np.asarray(
        cv2.resize(
            pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
    )


_RESIZE = {"stretch": _stretch, "letterbox": _letterbox, "centre-crop": _centre_crop}
