"""Tests of drawn photos of keys and of their labels."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from keylike.keys.bitting import Bitting
from keylike.keys.keyways import keyway
from keylike.readers.caliper.frames import project
from tools.training.render import NONE, READABLE, Scene, label, photos, write_folder
from tools.training.shapes import BLANK, DOUBLE, NIB, NO_STOP, OTHER, SHOULDER, plan_blade


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(7, grounds=6)


def test_same_seed_draws_the_same_photo() -> None:
    first, again = (Scene(3, grounds=2).whole(320, 240) for _ in range(2))
    assert np.array_equal(first.picture, again.picture)
    assert label(first, "a") == label(again, "a")


@pytest.mark.parametrize("kind", READABLE)
def test_outline_of_a_drawn_blade_has_the_depth_of_every_cut(kind: str) -> None:
    rng, way = np.random.default_rng(5), keyway(kind)
    for _ in range(60):
        blade = plan_blade(rng, way, kind)
        five = way if len(blade.codes) == way.cuts else keyway("SC1")
        assert Bitting(five, blade.codes).valid
        at_cuts = np.interp(blade.centres, blade.u, blade.upper)
        true = np.array(
            [
                *(way.depths_mm[code] for code in blade.codes),
                *[blade.height] * (way.cuts - len(blade.codes)),
            ]
        )
        assert np.abs(blade.depths - true).max() < 0.25
        # At a cut the blade may be lower, because of wear or the flank of a deeper neighbour, but
        # never higher.
        assert (at_cuts <= blade.depths + 0.12).all()
        assert np.abs(at_cuts - true).mean() < 0.2


def test_some_drawn_six_pin_blanks_have_only_five_cuts() -> None:
    rng, way = np.random.default_rng(6), keyway("SC4")
    blades = [plan_blade(rng, way, "SC4") for _ in range(80)]
    five = [blade for blade in blades if len(blade.codes) == 5]
    assert 0.05 < len(five) / len(blades) < 0.3
    for blade in five:
        sixth = way.first_cut_mm + 5 * way.spacing_mm
        if blade.codes[-1] <= 5:  # the flank of a deeper fifth cut would reach the sixth position
            assert np.interp(sixth, blade.u, blade.upper) > max(way.depths_mm.values()) - 0.05
        assert blade.length == pytest.approx(way.blade_length_mm, abs=0.9)


def test_drawn_foreign_keys_vary_in_cut_sides_and_in_the_kind_of_stop() -> None:
    rng = np.random.default_rng(8)
    blades = [
        plan_blade(rng, keyway(name), OTHER) for name in ("M1", "A2", "WR5") for _ in range(30)
    ]
    double = [blade for blade in blades if blade.family == DOUBLE]
    assert 0.05 < len(double) / len(blades) < 0.3
    for blade in double:
        middle = (blade.u > 3) & (blade.u < blade.length - 5)
        assert np.ptp(blade.lower[middle]) > 0.3
        assert (blade.lower <= blade.upper).all()
    assert {blade.family for blade in blades if blade.stop == NO_STOP} <= {"A2", DOUBLE}
    assert {blade.stop for blade in blades} == {NO_STOP, NIB, SHOULDER}


def test_label_of_a_drawn_photo_names_lock_and_family() -> None:
    scene = Scene(11, grounds=2)
    lines = [label(scene.whole(240, 180, kind="SC4"), "a.jpg") for _ in range(25)]
    assert {(line["keyway"], str(line["bitting"]).count(",") + 1) for line in lines} == {
        ("SC1", 5),
        ("SC4", 6),
    }
    assert {line["family"] for line in lines} == {"SC4"}


def test_drawn_blank_has_no_cuts() -> None:
    blade = plan_blade(np.random.default_rng(1), keyway("SC1"), BLANK)
    assert blade.codes == ()
    assert np.ptp(blade.upper[(blade.u > 1) & (blade.u < 20)]) < 0.01


@pytest.mark.parametrize("tier", ["easy", "normal", "hard"])
def test_drawn_blade_is_inside_the_photo(scene: Scene, tier: str) -> None:
    for _ in range(5):
        sample = scene.whole(480, 360, kind="SC1", tier=tier)
        ends = project(sample.to_pixels, np.array([[0.0, 4.0], [26.0, 4.0]]))
        assert (ends > -2).all()
        assert (ends < [482, 362]).all()


def test_drawn_key_is_at_the_position_of_its_label(scene: Scene) -> None:
    """Check on easy photos that the picture mostly changes at the edge of the labelled blade."""
    hits = 0
    for _ in range(12):
        sample = scene.whole(640, 480, kind="KW1", tier="easy")
        blade = sample.blade
        assert blade is not None
        grey = cv2.GaussianBlur(
            cv2.cvtColor(sample.picture, cv2.COLOR_RGB2GRAY), (0, 0), 1.0
        ).astype(np.float32)
        u = np.linspace(8, 20, 40)
        away = [
            project(sample.to_pixels, np.stack([u, np.full_like(u, v)], 1))
            for v in (-0.8, 0.0, 0.8)
        ]
        outside, _, inside = (
            np.array([grey[int(np.clip(y, 0, 479)), int(np.clip(x, 0, 639))] for x, y in line])
            for line in away
        )
        hits += abs(float(np.median(outside)) - float(np.median(inside))) > 8
    assert hits >= 8


def test_label_of_a_photo_without_a_readable_key_has_no_code(scene: Scene) -> None:
    for kind in (OTHER, BLANK, NONE):
        line = label(scene.whole(320, 240, kind=kind), "x.jpg")
        assert line["bitting"] is None
        assert line["keyway"] == kind


def test_write_folder_writes_a_label_for_every_photo(tmp_path: Path) -> None:
    samples = itertools.islice(photos(Scene(11, grounds=3), 3, (320, 240)), 3)
    assert write_folder(tmp_path, samples) == 3
    lines = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    assert [line["keyway"] for line in lines] == list(READABLE)
    assert all((tmp_path / "images" / line["file"]).stat().st_size > 1000 for line in lines)
