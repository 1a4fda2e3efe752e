"""From a photo's pixels to the numbers that an ONNX classifier takes, as its manifest says."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from keylike.readers.classifiers.manifest import Preprocessing

_Pixels = NDArray[Any]


def to_numbers(pixels: _Pixels, how: Preprocessing) -> NDArray[np.float32]:
    """The input for one photo, `how.shape`; `pixels` (height, width, 3) uint8 RGB."""
    fitted = _FIT[how.resize](pixels, how)
    ordered = fitted if how.channels == "RGB" else fitted[..., ::-1]
    numbers = (
        ordered.astype(np.float32) * np.float32(how.scale) - np.array(how.mean, np.float32)
    ) / np.array(how.std, np.float32)
    batch = numbers[None] if how.layout == "NHWC" else numbers.transpose(2, 0, 1)[None]
    return np.ascontiguousarray(batch)


def _stretch(pixels: _Pixels, how: Preprocessing) -> _Pixels:
    return _resize(pixels, how.width, how.height)


def _letterbox(pixels: _Pixels, how: Preprocessing) -> _Pixels:
    height, width = pixels.shape[:2]
    scale = min(how.width / width, how.height / height)
    inner = _resize(pixels, max(1, round(width * scale)), max(1, round(height * scale)))
    box = np.full((how.height, how.width, 3), how.fill, np.uint8)
    top, left = (how.height - inner.shape[0]) // 2, (how.width - inner.shape[1]) // 2
    box[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return box


def _centre_crop(pixels: _Pixels, how: Preprocessing) -> _Pixels:
    height, width = pixels.shape[:2]
    scale = min(width / how.width, height / how.height) * how.crop_share
    across, down = max(1, round(how.width * scale)), max(1, round(how.height * scale))
    top, left = (height - down) // 2, (width - across) // 2
    return _resize(pixels[top : top + down, left : left + across], how.width, how.height)


def _resize(pixels: _Pixels, width: int, height: int) -> _Pixels:
    """Averages where it shrinks, so that nothing fine turns into patterns."""
    shrinks = width * height < pixels.shape[0] * pixels.shape[1]
    return np.asarray(
        cv2.resize(
            pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
    )


_FIT = {"stretch": _stretch, "letterbox": _letterbox, "centre-crop": _centre_crop}
