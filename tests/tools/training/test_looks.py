"""Tests of the looks of drawn photos, and of the sets of drawings that test robustness."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from keylike.keys.keyways import keyway
from keylike.readers.caliper.frames import SLOT, project
from keylike.readers.contract import Candidate, Quality, Reading, Reason, Unreadable
from keylike.readers.evaluation import Shot, Verdict, shots
from tools.training.looks import NAMED, PLAIN, distorted, worked_over
from tools.training.render import SEVERAL, Scene, Wanted, label
from tools.training.robustness import draw, recipes, summary
from tools.training.shapes import OTHER, Cutter, foreign_keyway, plan_blade


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(9, grounds=3)


@pytest.mark.parametrize("name", NAMED)
def test_every_look_can_be_drawn_with_a_label(scene: Scene, name: str) -> None:
    wanted = Wanted(kind="SC1", tier="easy", look=NAMED[name])
    sample = scene.whole(240, 180, wanted=wanted)
    assert sample.picture.shape == (180, 240, 3)
    assert float(sample.picture.std()) > 1
    assert label(sample, "a.jpg")["bitting"]


def test_grey_look_has_no_colour(scene: Scene) -> None:
    picture = scene.whole(160, 120, wanted=Wanted(kind="KW1", look=NAMED["grey"])).picture
    assert (picture[..., 0] == picture[..., 1]).all()
    assert (picture[..., 1] == picture[..., 2]).all()


def test_plain_look_changes_nothing_on_a_photo() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(worked_over(np.random.default_rng(0), photo, PLAIN), photo)


def test_pose_of_a_distorted_photo_fits_the_picture() -> None:
    """Distort a photo with a dot: the dot must be where the new pose of the blade has it."""
    pose = np.array([[8.0, 0, 300], [0, -8, 400], [0, 0, 1]])
    photo = np.zeros((480, 640, 3), np.uint8)
    x, y = project(pose, SLOT.mean(0, keepdims=True))[0]
    photo[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3] = 255
    bent, moved = distorted(photo, pose, -0.08)
    rows, columns = np.nonzero(bent[..., 0] > 128)
    seen = np.array([columns.mean(), rows.mean()])
    assert np.linalg.norm(seen - [x, y]) > 2
    assert np.linalg.norm(seen - project(moved, SLOT.mean(0, keepdims=True))[0]) < 1.5


@pytest.mark.parametrize("times", [1.5, 2.0])
def test_wide_cutting_wheel_makes_wide_flats(times: float) -> None:
    rng, way = np.random.default_rng(2), keyway("SC1")
    flat = (way.cut_flat_mm or 0) * times
    for _ in range(20):
        blade = plan_blade(rng, way, "SC1", Cutter(flat_times=times))
        deepest = int(np.argmin(blade.depths))
        on_flat = np.abs(blade.u - blade.centres[deepest]) < 0.3 * flat
        assert np.abs(blade.upper[on_flat] - blade.depths[deepest]).max() < 0.25


def test_random_foreign_keyway_differs_from_the_readable_ones() -> None:
    rng = np.random.default_rng(4)
    for _ in range(60):
        way = foreign_keyway(rng)
        blade = plan_blade(rng, way, OTHER)
        assert 20 <= blade.length <= 36
        assert blade.row == (way.first_cut_mm, way.spacing_mm)
        for name in ("SC1", "KW1"):
            near = abs(way.first_cut_mm - keyway(name).first_cut_mm) < 0.2
            near &= abs(way.spacing_mm - keyway(name).spacing_mm) < 0.03
            height = keyway(name).blade_height_mm or 0
            assert not (near and abs((way.blade_height_mm or 0) / height - 1) < 0.015)


def test_label_of_several_keys_has_no_code(scene: Scene) -> None:
    samples = [scene.whole(480, 360, wanted=Wanted(kind="SC1", several=3)) for _ in range(4)]
    several = [sample for sample in samples if sample.several]
    assert several
    for sample in several:
        assert label(sample, "a.jpg")["keyway"] == SEVERAL
        assert label(sample, "a.jpg")["bitting"] is None
        ends = np.concatenate(sample.others)
        assert ((ends > -40) & (ends < [520, 400])).all()


def test_drawing_a_set_twice_keeps_its_photos(tmp_path: Path) -> None:
    draw(tmp_path, 0.02, ("flats x 1.5", "several"))
    assert {folder.name for folder in tmp_path.iterdir()} == {"flats-x-1.5", "several"}
    before = (tmp_path / "several" / "labels.jsonl").stat().st_mtime_ns
    draw(tmp_path, 0.02, ("several",))
    assert (tmp_path / "several" / "labels.jsonl").stat().st_mtime_ns == before
    assert {shot.keyway for shot in shots(tmp_path / "flats-x-1.5")} <= {"SC1", "SC4"}


def test_recipes_contain_foreign_keys_several_keys_and_all_looks() -> None:
    sets = recipes()
    assert sets["foreign"].count == 300
    assert all(sets[f"looks {tier}"].count == 100 for tier in ("easy", "normal", "hard"))
    assert sets["foreign a"].wanted[0].family is not None
    assert sets["foreign b"].wanted[0].family is not None
    assert sets["several"].wanted[0].several


def test_summary_counts_wrong_codes_by_confidence() -> None:
    shot = Shot(Path("a.jpg"), "SC1", (1, 2, 3, 4, 5), "easy")
    reading = Reading(
        "SC1", (1, 2, 3, 4, 5), 0.9, True, (), (Candidate((1, 2, 3, 4, 5), 0.9),), Quality()
    )
    wrong = replace(reading, codes=(1, 2, 3, 4, 6), confidence=0.6)
    refused = Unreadable(Reason.TOO_SMALL, "small", "closer")
    counted = summary([Verdict(shot, each, 0.0) for each in (reading, wrong, refused)])
    assert (counted["n"], counted["right"], counted["given"]) == (3, 1, 2)
    assert (counted["false"], counted["false_50"], counted["false_75"]) == (1, 1, 0)
    assert counted["reasons"] == '{"too_small": 1}'
