"""From pixels to numbers: each way of resizing, channel order, scale, mean, spread and layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from keylike.readers.classifiers.manifest import Preprocessing
from keylike.readers.classifiers.picture import to_numbers

# Left half (10, 20, 30), right half (110, 120, 130): 4 wide, 2 high.
LEFT, RIGHT = (10, 20, 30), (110, 120, 130)
WIDE = np.array([[LEFT, LEFT, RIGHT, RIGHT]] * 2, np.uint8)


def numbers(pixels: np.ndarray[Any, Any] = WIDE, **how: Any) -> Any:
    """With whole pixel values out, unless asked otherwise."""
    chosen = {"width": 4, "height": 2, "resize": "stretch", "scale": 1.0, "layout": "NHWC"} | how
    return to_numbers(pixels, Preprocessing.model_validate(chosen))


def test_stretched() -> None:
    found = numbers(width=2, height=2)
    assert found.shape == (1, 2, 2, 3) and found.dtype == np.float32
    assert found[0].tolist() == [[[*LEFT], [*RIGHT]]] * 2


def test_letterboxed_in_the_middle() -> None:
    found = numbers(width=4, height=4, resize="letterbox", fill=7)[0]
    assert (found[[0, 3]] == 7).all()
    assert found[1:3].tolist() == WIDE.tolist()
    upright = numbers(WIDE.transpose(1, 0, 2), width=4, height=4, resize="letterbox", fill=7)[0]
    assert (upright[:, [0, 3]] == 7).all() and (upright[:, 1:3] != 7).all()


def test_the_middle_cut_out() -> None:
    assert numbers(width=2, height=2, resize="centre-crop")[0].tolist() == [[[*LEFT], [*RIGHT]]] * 2
    edged = np.zeros((10, 10, 3), np.uint8)
    edged[2:8, 2:8] = 200
    assert (numbers(edged, width=3, height=3, resize="centre-crop", crop_share=0.6) == 200).all()
    assert not (numbers(edged, width=3, height=3, resize="centre-crop") == 200).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
@pytest.mark.parametrize("resize", ["stretch", "letterbox", "centre-crop"])
def test_any_shape_of_photo_will_do(size: tuple[int, int], resize: str) -> None:
    assert numbers(
        np.full((*size, 3), 9, np.uint8), width=8, height=5, resize=resize, crop_share=0.5
    ).shape == (1, 5, 8, 3)


def test_channels_and_layout() -> None:
    assert numbers(channels="BGR")[0, 0, 0].tolist() == [30, 20, 10]
    found = numbers(layout="NCHW")
    assert found.shape == (1, 3, 2, 4) and found.flags.c_contiguous
    assert found[0, :, 0, 0].tolist() == [*LEFT]


def test_scale_mean_and_spread_follow_the_order_of_channels() -> None:
    found = numbers(scale=0.1, mean=[1, 2, 3], std=[1, 2, 4])
    assert found[0, 0, 3] == pytest.approx([10.0, 5.0, 2.5])
    assert numbers(channels="BGR", scale=0.1, mean=[1, 2, 3], std=[1, 2, 4])[
        0, 0, 3
    ] == pytest.approx([12.0, 5.0, 2.0])


def test_fine_stripes_become_grey_and_no_pattern() -> None:
    stripes = np.zeros((90, 90, 3), np.uint8)
    stripes[:, ::2] = 255
    found = numbers(stripes, width=9, height=9)
    assert found.min() > 100 and found.max() < 155
