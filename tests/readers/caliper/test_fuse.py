"""Tests of combining the evidence from several poses of one key."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from keylike.keys.keyways import keyway
from keylike.readers.caliper.decode import Noise, decode
from keylike.readers.caliper.fuse import PoseEvidence, fuse
from keylike.readers.caliper.networks import CUTS_OF, KINDS, Measured

NOISE = Noise(1.0, 0.05, 0.05)
CODES = {"SC1": (3, 5, 1, 7, 4), "KW1": (2, 5, 4, 3, 1)}


def evidence(
    kind: str, off_mm: float = 0.0, fit: float = 8.0, share: float = 0.9, ragged_mm: float = 0.0
) -> PoseEvidence:
    """Return the evidence from one pose of a key with the code in CODES.

    Args:
        kind: Keyway of the key.
        off_mm: Error of all measured heights.
        fit: Logit that the pose is right.
        share: Probability of the keyway.
        ragged_mm: Additional error of the heights, with alternating sign.
    """
    way, cuts = keyway(kind), CUTS_OF[kind]
    depths = np.zeros(11)
    depths[cuts] = (
        np.array([way.depths_mm[code] for code in CODES[kind]])
        + off_mm
        + ragged_mm * np.array([1, -1, 1, -1, 1])
    )
    kinds = {name: (1 - share) / (len(KINDS) - 1) for name in KINDS} | {kind: share}
    measured = Measured(
        np.zeros((2, 96)), depths, np.full(11, -1.0), np.zeros(6), fit, np.zeros((4, 2))
    )
    return PoseEvidence(
        kinds, kind, way, measured, decode(way, depths[cuts], measured.log_spread[cuts], NOISE)
    )


def test_fusing_a_single_pose_keeps_its_evidence() -> None:
    one = evidence("SC1")
    fused = fuse([one])
    assert fused.main == 0
    assert fused.kinds == pytest.approx(one.kinds)
    assert [code for code, _ in fused.decoding.ranked] == [code for code, _ in one.decoding.ranked]
    assert [chance for _, chance in fused.decoding.ranked] == pytest.approx(
        [chance for _, chance in one.decoding.ranked]
    )
    assert fused.decoding.cuts == pytest.approx(one.decoding.cuts)


def test_pose_whose_heights_match_no_depths_gets_little_weight() -> None:
    astray, right = evidence("SC1", ragged_mm=0.19), evidence("SC1")
    assert astray.decoding.evidence < right.decoding.evidence - 0.3
    fused = fuse([astray, right])
    assert fused.main == 1
    assert fused.decoding.ranked[0][0] == CODES["SC1"]


def test_poses_with_different_codes_lower_the_probability() -> None:
    right, shifted = evidence("SC1"), evidence("SC1", off_mm=0.381)
    fused = fuse([right, shifted])
    assert fused.decoding.ranked[0][1] < right.decoding.ranked[0][1]
    assert {code for code, _ in fused.decoding.ranked[:2]} == {
        CODES["SC1"],
        tuple(code - 1 for code in CODES["SC1"]),
    }
    assert sum(chance for _, chance in fused.decoding.ranked) <= 1 + 1e-9
    assert fused.decoding.cuts.sum(1) == pytest.approx(np.ones(5))


@pytest.mark.parametrize("order", [1, -1])
def test_poses_of_different_keyways_are_never_mixed(order: int) -> None:
    likely, unlikely = evidence("KW1"), evidence("SC1", fit=1.0, share=0.3)
    fused = fuse([likely, unlikely][::order])
    assert fused.main == (0 if order == 1 else 1)
    assert fused.decoding.ranked[0][0] == CODES["KW1"]
    assert fused.decoding.cuts.shape == (5, 7)
    assert fused.kinds["KW1"] > 0.5


def test_pose_that_is_probably_wrong_is_ignored() -> None:
    right, wrong = evidence("SC1", fit=8.0), evidence("SC1", off_mm=0.381, fit=-6.0)
    assert fuse([wrong, right]).decoding.ranked[0][0] == CODES["SC1"]
    assert (
        fuse([replace(wrong, measured=replace(wrong.measured, fit=30.0)), right]).decoding.ranked[
            0
        ][1]
        < 0.7
    )
