"""Tests of the coordinates of the caliper: between pixels of the photo and mm of the key."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from keylike.readers.caliper.frames import (
    MIDLINE,
    PADDING,
    READ,
    SLOT,
    TURN_OVER,
    TURN_ROUND,
    cut_square,
    fit_similarity,
    local_scale,
    perspective,
    pose_features,
    project,
    straighten,
    tilt_deg,
    to_input,
)

POSE = np.array([[11.0, -3.0, 300.0], [3.0, 11.0, 200.0], [1e-4, -2e-4, 1.0]])


def dotted(width: int, height: int, at: np.ndarray, radius: int) -> np.ndarray:
    """Return a black picture with a white dot at the pixel position `at`."""
    picture = np.zeros((height, width, 3), np.uint8)
    cv2.circle(
        picture,
        (round(at[0] * 16), round(at[1] * 16)),
        radius * 16,
        (255, 255, 255),
        -1,
        cv2.LINE_AA,
        4,
    )
    return picture


def centre(picture: np.ndarray) -> np.ndarray:
    """Return the centre (x, y) of the bright pixels."""
    light = picture[..., 0].astype(float)
    rows, columns = np.mgrid[: light.shape[0], : light.shape[1]]
    return np.asarray([(columns * light).sum(), (rows * light).sum()] / light.sum())


@pytest.mark.parametrize("finer", [1, 2, 3.3, 5])
def test_straightened_picture_has_a_dot_at_its_position_in_mm(finer: float) -> None:
    pose, place = np.diag([finer, finer, 1.0]) @ POSE, np.array([[10.0, 5.0]])
    picture = dotted(
        round(901 * finer), round(601 * finer), project(pose, place)[0], round(4 * finer)
    )
    assert (
        np.abs(centre(straighten(picture, pose, READ)) - project(READ.matrix, place)[0]).max() < 0.3
    )


@pytest.mark.parametrize("scale", [0.9, 0.6, 0.45, 0.3, 0.13, 0.08])
@pytest.mark.parametrize("middle", [(900.0, 700.0), (200.0, 1400.0)])
def test_square_cut_from_a_photo_has_a_dot_at_the_right_position(
    scale: float, middle: tuple[float, float]
) -> None:
    to_square = np.array(
        [[scale, 0, 80 - scale * middle[0]], [0, scale, 80 - scale * middle[1]], [0, 0, 1.0]]
    )
    place = np.array(middle) + np.array([30, -20]) / scale
    square = cut_square(dotted(2015, 1511, place, round(5 / scale)), to_square, 160)
    inside = np.where(square > PADDING + 5, square, 0) if (square == PADDING).any() else square
    assert np.abs(centre(inside) - (110, 60)).max() < 0.4


def test_fit_similarity_finds_the_pose_of_a_midline() -> None:
    pose = np.array([[9.0, 4.0, 120.0], [4.0, -9.0, 80.0], [0, 0, 1.0]])
    found = fit_similarity(project(pose, MIDLINE), np.ones(len(MIDLINE)))
    assert np.allclose(project(found, SLOT), project(pose, SLOT), atol=1e-6)


def test_turning_a_key_twice_changes_nothing() -> None:
    for turn in (TURN_OVER, TURN_ROUND):
        assert np.allclose(turn @ turn, np.eye(3))
        assert {tuple(p) for p in np.round(project(turn, SLOT), 6)} == {tuple(p) for p in SLOT}


def test_local_scale_is_pixels_per_millimetre() -> None:
    assert local_scale(np.diag([12.0, 12.0, 1.0])) == 12.0


def test_network_input_is_the_same_for_integer_and_float_pixels() -> None:
    """Compare the two ways to prepare network input.

    For integer pixels, as in the server, a table is used. For floats, as in training, the values
    are computed.
    """
    pictures = [
        np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        for seed in range(2)
    ]
    looked_up, worked_out = (
        to_input(pictures),
        to_input([picture.astype(np.float32) for picture in pictures]),
    )
    assert looked_up.dtype == worked_out.dtype == np.float32
    assert looked_up.shape == (2, 3, 48, 64)
    assert np.array_equal(looked_up, worked_out)
    assert looked_up[1, 2, 5, 7] == np.float32((int(pictures[1][5, 7, 2]) - 120) / 60)


def test_project_returns_the_same_as_opencv() -> None:
    points = np.array([[0.0, 0.0], [27.0, 8.6], [13.0, 4.3]])
    assert np.allclose(
        project(POSE, points), cv2.perspectiveTransform(points.reshape(1, -1, 2), POSE)[0]
    )


def test_pose_features_measure_only_foreshortening() -> None:
    """Check that rotating and mirroring the photo change no feature, but foreshortening does."""
    flat = np.diag([10.0, -10.0, 1.0])
    turned = np.array([[0.0, -1, 5], [1, 0, 7], [0, 0, 1]]) @ flat @ np.diag([1.0, 1.0, 1.0])
    assert pose_features(flat)[:4] == pytest.approx(np.zeros(4), abs=1e-6)
    assert pose_features(turned) == pytest.approx(pose_features(flat), abs=1e-5)
    assert pose_features(np.diag([-1.0, 1, 1]) @ flat) == pytest.approx(
        pose_features(flat), abs=1e-5
    )
    squeezed = pose_features(flat @ np.diag([np.cos(np.radians(25)), 1.0, 1.0]))
    assert squeezed[0] == pytest.approx(8 * np.log(np.cos(np.radians(25))), abs=1e-4)
    nearer = np.array([[1.0, 0, 0], [0, 1, 0], [0.002, 0, 1]])
    assert abs(pose_features(flat @ nearer)[2]) > 0.2
    assert np.isfinite(pose_features(np.eye(3))).all()


def test_perspective_is_zero_unless_the_scale_changes_along_the_blade() -> None:
    """Compare the pose of a tilted camera with that of a blade that is only foreshortened.

    Only with the camera does the scale change along the blade.
    """
    tilt, distance = np.radians(25.0), 200.0
    turn = cv2.Rodrigues(np.array([0.0, tilt, 0.0]))[0]
    middle = turn @ np.array([-13.0, -4.3, 0.0]) + [0, 0, distance]
    camera = np.diag([2000.0, 2000.0, 1.0]) @ np.stack([turn[:, 0], turn[:, 1], middle], 1)
    assert tilt_deg(camera) == pytest.approx(25, abs=0.5)
    assert perspective(camera) == pytest.approx(np.sin(tilt) / distance, rel=0.02)
    squeezed = np.diag([10.0, -10.0, 1.0]) @ np.diag([np.cos(tilt), 1.0, 1.0])
    assert tilt_deg(squeezed) == pytest.approx(25, abs=0.5)
    assert perspective(squeezed) == pytest.approx(0, abs=1e-9)
