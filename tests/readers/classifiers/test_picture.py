"""Tests of preprocessing: resizing, channel order, scale, mean, standard deviation and layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from keylike.readers.classifiers.manifest import Preprocessing
from keylike.readers.classifiers.picture import preprocess

# The RGB colours of the left and the right half of WIDE, a picture of 4 x 2 pixels.
LEFT, RIGHT = (10, 20, 30), (110, 120, 130)
WIDE = np.array([[LEFT, LEFT, RIGHT, RIGHT]] * 2, np.uint8)


def values(pixels: np.ndarray[Any, Any] = WIDE, **options: Any) -> Any:
    """Preprocess a picture with these options. By default the pixel values are not scaled."""
    settings = {
        "width": 4,
        "height": 2,
        "resize": "stretch",
        "scale": 1.0,
        "layout": "NHWC",
    } | options
    return preprocess(pixels, Preprocessing.model_validate(settings))


def test_stretched_picture_has_the_size_of_the_manifest() -> None:
    found = values(width=2, height=2)
    assert found.shape == (1, 2, 2, 3) and found.dtype == np.float32
    assert found[0].tolist() == [[[*LEFT], [*RIGHT]]] * 2


def test_letterboxed_picture_is_centred() -> None:
    found = values(width=4, height=4, resize="letterbox", fill=7)[0]
    assert (found[[0, 3]] == 7).all()
    assert found[1:3].tolist() == WIDE.tolist()
    upright = values(WIDE.transpose(1, 0, 2), width=4, height=4, resize="letterbox", fill=7)[0]
    assert (upright[:, [0, 3]] == 7).all() and (upright[:, 1:3] != 7).all()


def test_centre_crop_returns_the_middle_of_the_picture() -> None:
    assert values(width=2, height=2, resize="centre-crop")[0].tolist() == [[[*LEFT], [*RIGHT]]] * 2
    framed = np.zeros((10, 10, 3), np.uint8)
    framed[2:8, 2:8] = 200
    assert (values(framed, width=3, height=3, resize="centre-crop", crop_share=0.6) == 200).all()
    assert not (values(framed, width=3, height=3, resize="centre-crop") == 200).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
@pytest.mark.parametrize("resize", ["stretch", "letterbox", "centre-crop"])
def test_pictures_of_any_size_can_be_preprocessed(size: tuple[int, int], resize: str) -> None:
    assert values(
        np.full((*size, 3), 9, np.uint8), width=8, height=5, resize=resize, crop_share=0.5
    ).shape == (1, 5, 8, 3)


def test_channel_order_and_layout_follow_the_manifest() -> None:
    assert values(channels="BGR")[0, 0, 0].tolist() == [30, 20, 10]
    found = values(layout="NCHW")
    assert found.shape == (1, 3, 2, 4) and found.flags.c_contiguous
    assert found[0, :, 0, 0].tolist() == [*LEFT]


def test_scale_mean_and_deviation_follow_the_channel_order() -> None:
    found = values(scale=0.1, mean=[1, 2, 3], std=[1, 2, 4])
    assert found[0, 0, 3] == pytest.approx([10.0, 5.0, 2.5])
    assert values(channels="BGR", scale=0.1, mean=[1, 2, 3], std=[1, 2, 4])[
        0, 0, 3
    ] == pytest.approx([12.0, 5.0, 2.0])


def test_fine_stripes_become_grey_when_a_picture_is_reduced() -> None:
    stripes = np.zeros((90, 90, 3), np.uint8)
    stripes[:, ::2] = 255
    found = values(stripes, width=9, height=9)
    assert found.min() > 100 and found.max() < 155
