"""Straightening and fitting: what goes in as millimetres comes out where it should."""

from __future__ import annotations

import cv2
import numpy as np

from readers.caliper.frames import MIDLINE, READ, SLOT, TURN_OVER, TURN_ROUND, fit_similarity, local_scale, project, straighten

POSE = np.array([[11.0, -3.0, 300.0], [3.0, 11.0, 200.0], [1e-4, -2e-4, 1.0]])


def test_a_dot_drawn_at_a_place_in_mm_appears_there_in_the_strip() -> None:
    picture = np.zeros((600, 900, 3), np.uint8)
    place = np.array([[10.0, 5.0]])
    at = project(POSE, place)[0]
    cv2.circle(picture, (round(at[0] * 16), round(at[1] * 16)), 4 * 16, (255, 255, 255), -1, cv2.LINE_AA, 4)
    strip = straighten(picture, POSE, READ)[..., 0].astype(float)
    rows, columns = np.mgrid[: READ.height, : READ.width]
    seen = np.array([(columns * strip).sum(), (rows * strip).sum()]) / strip.sum()
    assert np.abs(seen - project(READ.matrix, place)[0]).max() < 0.3


def test_a_similarity_is_found_again_from_its_midline() -> None:
    pose = np.array([[9.0, 4.0, 120.0], [4.0, -9.0, 80.0], [0, 0, 1.0]])
    found = fit_similarity(project(pose, MIDLINE), np.ones(len(MIDLINE)))
    assert np.allclose(project(found, SLOT), project(pose, SLOT), atol=1e-6)


def test_turning_over_and_round_twice_changes_nothing() -> None:
    for turn in (TURN_OVER, TURN_ROUND):
        assert np.allclose(turn @ turn, np.eye(3))
        assert {tuple(p) for p in np.round(project(turn, SLOT), 6)} == {tuple(p) for p in SLOT}


def test_scale_is_pixels_a_millimetre() -> None:
    assert local_scale(np.diag([12.0, 12.0, 1.0])) == 12.0
