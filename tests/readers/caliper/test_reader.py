"""Tests of the embedded model: readings, refusals and confidences."""

from __future__ import annotations

import io
import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keylike.errors import ModelError
from keylike.images.photo import Photo, open_photo
from keylike.keys.bitting import Bitting
from keylike.keys.keyways import keyway
from keylike.readers.caliper.frames import MIDLINE_V, project
from keylike.readers.caliper.locate import PoseFit, Rough, look
from keylike.readers.caliper.manifest import Thresholds
from keylike.readers.caliper.networks import Measured, Networks, files_of
from keylike.readers.caliper.overlay import draw_overlay
from keylike.readers.caliper.quality import Evidence
from keylike.readers.caliper.reader import Analysis, CaliperReader, no_code
from keylike.readers.caliper.second_key import second_key
from keylike.readers.contract import Quality, Reader, Reading, Reason, Unreadable
from keylike.readers.loading import load
from tools.training.looks import PLAIN
from tools.training.render import Scene, Wanted

ROOT = Path(__file__).resolve().parents[3]
MODEL, SAMPLES = ROOT / "models" / "caliper", ROOT / "samples"
LIMITS = Thresholds(presence=-1.0, fit=4.0, other=0.24, evidence=-3.4, confidence=0.1, several=0.0)
LABELS = [json.loads(line) for line in (SAMPLES / "labels.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def reader() -> Reader:
    return load(MODEL)


def photo_of(picture: Image.Image) -> Photo:
    """Return a picture as the server would decode it from a PNG."""
    data = io.BytesIO()
    picture.save(data, "PNG")
    return open_photo(data.getvalue())


def read(reader: Reader, file: str) -> Reading | Unreadable:
    return reader.read([open_photo((SAMPLES / file).read_bytes())])[0]


@pytest.mark.parametrize("label", LABELS, ids=lambda label: str(label["file"]))
def test_sample_photo_is_read_correctly(reader: Reader, label: dict[str, object]) -> None:
    result = read(reader, str(label["file"]))
    assert isinstance(result, Reading)
    assert result.keyway == label["keyway"]
    assert list(result.codes) == label["bitting"]


def test_probabilities_and_heights_of_a_reading_are_consistent(reader: Reader) -> None:
    result = read(reader, "sc1_01.jpg")
    assert isinstance(result, Reading)
    way = keyway(result.keyway)
    assert result.calibrated
    assert result.candidates[0].codes == result.codes
    assert result.candidates[0].probability == result.confidence
    chances = [candidate.probability for candidate in result.candidates]
    assert chances == sorted(chances, reverse=True)
    assert 0 < sum(chances) <= 1 + 1e-9
    assert all(Bitting(way, candidate.codes).valid for candidate in result.candidates)
    for cut in result.cuts:
        assert result.confidence <= cut.probability <= 1
        assert abs(cut.depth_mm - way.depths_mm[cut.depth]) < way.increment_mm
    assert result.drawing is not None
    assert len(result.drawing.cut_lines) == len(result.codes)


@pytest.mark.parametrize(
    "files", [("kw1_01", "kw1_02"), ("sc1_01", "sc1_02"), ("sc4_01", "kw1_03")]
)
def test_two_keys_in_one_photo_are_refused_as_several(
    reader: Reader, files: tuple[str, str]
) -> None:
    pictures = [open_photo((SAMPLES / f"{file}.jpg").read_bytes()).pixels for file in files]
    result = reader.read([photo_of(Image.fromarray(np.concatenate(pictures)))])[0]
    assert isinstance(result, Unreadable)
    assert result.reason == Reason.SEVERAL_KEYS


@pytest.mark.parametrize("file", ["kw1_01", "sc1_01", "sc1_06"])
def test_no_second_key_is_found_beside_a_single_one(file: str) -> None:
    networks = Networks(files_of(MODEL))
    picture = open_photo((SAMPLES / f"{file}.jpg").read_bytes()).pixels
    rough = look(networks, picture)
    assert rough is not None
    assert not second_key(networks, picture, rough.pose)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_rotated_photo_gets_the_same_code(reader: Reader, turn: int) -> None:
    """Rotate the pixels of the photo, without EXIF data about it."""
    upright = read(reader, "sc1_01.jpg")
    turned = reader.read([photo_of(Image.open(SAMPLES / "sc1_01.jpg").rotate(turn, expand=True))])[
        0
    ]
    assert isinstance(upright, Reading)
    assert isinstance(turned, Reading)
    assert turned.codes == upright.codes


def test_bad_photo_in_a_batch_does_not_affect_others(reader: Reader) -> None:
    good = open_photo((SAMPLES / "sc1_01.jpg").read_bytes())
    bad = Photo(np.full((3, 5, 3), 200, np.uint8), (5, 3), "PNG", 1.0)
    results = reader.read([bad, good, bad])
    assert [type(result) for result in results] == [Unreadable, Reading, Unreadable]


@pytest.mark.parametrize(
    "size",
    [(1, 1), (5, 3), (2000, 1), (1, 2000), (30, 2000), (2000, 30), (23, 23), (24, 24), (64, 64)],
)
def test_pictures_of_unusual_sizes_are_refused(reader: Reader, size: tuple[int, int]) -> None:
    width, height = size
    noise = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert isinstance(reader.read([photo_of(Image.fromarray(noise))])[0], Unreadable)


def test_part_of_a_key_gets_no_confident_wrong_code(reader: Reader) -> None:
    """Read 25 random parts of a photo. None may crash the reader or get a confident wrong code."""
    whole, label = Image.open(SAMPLES / "sc1_04.jpg").convert("RGB"), LABELS[6]
    assert label["file"] == "sc1_04.jpg"
    rng = np.random.default_rng(8)
    for _ in range(25):
        left, top = (int(rng.integers(0, side - 60)) for side in whole.size)
        right, bottom = (
            int(rng.integers(left + 50, whole.width + 1)),
            int(rng.integers(top + 50, whole.height + 1)),
        )
        result = reader.read([photo_of(whole.crop((left, top, right, bottom)))])[0]
        if isinstance(result, Reading) and list(result.codes) != label["bitting"]:
            assert result.confidence < 0.9


def test_picture_without_a_key_is_refused(reader: Reader) -> None:
    rng, scene = np.random.default_rng(4), Scene(31, grounds=12)
    pictures = [np.full((480, 640, 3), grey, np.uint8) for grey in (0, 128, 255)]
    pictures.append(rng.integers(0, 256, (480, 640, 3), dtype=np.uint8))
    pictures += [scene.whole(800, 600, kind="none").picture for _ in range(12)]
    results = [reader.read([photo_of(Image.fromarray(picture))])[0] for picture in pictures]
    assert all(isinstance(result, Unreadable) for result in results)
    first = results[0]
    assert isinstance(first, Unreadable)
    assert first.reason == Reason.NOT_A_KEY
    assert first.advice


def test_key_of_a_few_pixels_is_refused(reader: Reader) -> None:
    small = Image.open(SAMPLES / "sc1_01.jpg").resize((56, 42), Image.Resampling.BOX)
    result = reader.read([photo_of(small)])[0]
    assert isinstance(result, Unreadable)
    assert result.reason in (Reason.TOO_SMALL, Reason.LOW_CONFIDENCE, Reason.NOT_A_KEY)


def test_key_with_one_pixel_per_depth_step_is_refused(reader: Reader) -> None:
    """Read photos with 3 pixels per mm, where one depth step of an SC1 has only 1.1 pixels."""
    scene = Scene(35, grounds=4)
    for kind in ("SC1", "SC4"):
        wanted = Wanted(kind=kind, tier="easy", look=PLAIN, px_per_mm=3.0)
        picture = scene.whole(480, 360, wanted=wanted).picture
        result = reader.read([photo_of(Image.fromarray(picture))])[0]
        assert isinstance(result, Unreadable)
        assert result.reason in (Reason.TOO_SMALL, Reason.NOT_A_KEY)


def analysis_of(kinds: list[float], several: float = -9.0) -> Analysis:
    """Return the analysis of a key with the heights of an SC1.

    Args:
        kinds: Logits of the kinds of keys.
        several: Logit that the photo shows several keys.
    """
    measured = Measured(
        edges=np.tile(np.array([[3.2], [10.4]]), 96),
        depths=np.array([7.37, 6.6, 8.13, 5.84, 6.99, 8.5, 0, 0, 0, 0, 0]),
        log_spread=np.full(11, -1.0),
        kinds=np.array(kinds),
        fit=6.0,
        corners_mm=np.zeros((4, 2)),
    )
    strip = np.zeros((144, 384, 3), np.uint8)
    fit = PoseFit(np.eye(3), strip, measured, Rough(np.eye(3), 5.0, several))
    analysis = CaliperReader.load(MODEL).refine([fit], [])
    assert analysis is not None
    return analysis


EVIDENCE = Evidence(px_per_mm=10.0, tilt_deg=5.0, contrast=0.3, edge_mm=0.1, glare=0.0, outside=0.0)
SURE_SC1, SC1_OR_OTHER = [9.0, 0, 0, 0, 0, 0], [4.0, 0, 0, 3.5, 0, 0]


@pytest.mark.parametrize(
    ("kinds", "several", "evidence", "reason"),
    [
        (SURE_SC1, -9.0, EVIDENCE, None),
        (SURE_SC1, 9.0, EVIDENCE, Reason.SEVERAL_KEYS),
        (SURE_SC1, -9.0, replace(EVIDENCE, px_per_mm=3.0), Reason.TOO_SMALL),
        (SC1_OR_OTHER, -9.0, EVIDENCE, Reason.UNSUPPORTED_KEYWAY),
        (SC1_OR_OTHER, -9.0, replace(EVIDENCE, tilt_deg=25.0), Reason.TOO_TILTED),
        ([0, 0, 0, 9.0, 0, 0], 9.0, EVIDENCE, Reason.SEVERAL_KEYS),
        ([0, 0, 0, 9.0, 0, 0], -9.0, EVIDENCE, Reason.UNSUPPORTED_KEYWAY),
        ([0, 0, 0, 0, 9.0, 0], -9.0, EVIDENCE, Reason.NO_CUTS),
        ([0, 0, 0, 0, 0, 9.0], 9.0, EVIDENCE, Reason.NOT_A_KEY),
    ],
)
def test_each_cause_of_a_refusal_has_its_own_reason(
    kinds: list[float], several: float, evidence: Evidence, reason: Reason | None
) -> None:
    refusal = no_code(analysis_of(kinds, several), evidence, Quality(), LIMITS)
    assert (refusal.reason if refusal else None) == reason
    assert refusal is None or refusal.advice


def test_blanks_and_foreign_keys_rarely_get_a_code(reader: Reader) -> None:
    """Read keys of other families and blanks.

    Some families differ from SC1 by only 0.1 mm (LW4), so a few of their keys may get a code.
    """
    scene, read_as_ours = Scene(32, grounds=12), {"blank": 0, "other": 0}
    for kind, _ in itertools.product(read_as_ours, range(12)):
        sample = scene.whole(1000, 750, kind=kind, tier="easy")
        result = reader.read([photo_of(Image.fromarray(sample.picture))])[0]
        read_as_ours[kind] += isinstance(result, Reading)
    assert read_as_ours["blank"] == 0
    assert read_as_ours["other"] <= 3


@pytest.mark.parametrize(
    ("sixth_mm", "keyway_name", "cuts"), [(8.71, "SC1", 5), (8.5, "SC4", 6), (6.2, "SC4", 6)]
)
def test_six_pin_blank_with_five_cuts_is_read_as_a_five_pin_key(
    sixth_mm: float, keyway_name: str, cuts: int
) -> None:
    """Decide between five and six cuts for a given measurement, without running a network."""
    measured = Measured(
        edges=np.zeros((2, 96)),
        depths=np.array([7.37, 6.6, 8.13, 5.84, 6.99, sixth_mm, 0, 0, 0, 0, 0]),
        log_spread=np.full(11, -1.0),
        kinds=np.array([0.0, 6.0, 0.0, 0.0, 0.0, 0.0]),
        fit=6.0,
        corners_mm=np.zeros((4, 2)),
    )
    fit = PoseFit(np.eye(3), np.zeros((144, 384, 3), np.uint8), measured, Rough(np.eye(3), 5.0))
    analysis = CaliperReader.load(MODEL).refine([fit], [])
    assert analysis is not None
    assert (analysis.kind, analysis.keyway.name, len(analysis.decoding.ranked[0][0])) == (
        "SC4",
        keyway_name,
        cuts,
    )
    assert analysis.decoding.ranked[0][0][:5] == (3, 5, 1, 7, 4)
    # The sixth position may be uncut or cut to depth 0. `five_or_six` says that both are possible.
    assert analysis.five_or_six == (sixth_mm > 8)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_blade_is_found_at_the_same_position_in_a_rotated_photo(
    quarters: int,
) -> None:
    networks, picture = (
        Networks(files_of(MODEL)),
        open_photo((SAMPLES / "sc1_01.jpg").read_bytes()).pixels,
    )
    straight, turned = look(networks, picture), look(networks, picture, quarters)
    assert straight is not None
    assert turned is not None
    ends = np.array([[0.0, MIDLINE_V], [26.0, MIDLINE_V]])
    px_per_mm = float(np.linalg.norm(np.diff(project(straight.pose, ends), axis=0))) / 26
    assert np.abs(project(turned.pose, ends) - project(straight.pose, ends)).max() < 3 * px_per_mm


def test_overlay_is_drawn_on_the_blade(reader: Reader) -> None:
    photo = open_photo((SAMPLES / "sc1_01.jpg").read_bytes())
    result = reader.read([photo])[0]
    assert isinstance(result, Reading)
    assert result.drawing is not None
    drawn = np.asarray(draw_overlay(photo, result)).astype(int)
    changed = np.abs(drawn - photo.pixels).sum(2) > 30
    outline = np.array(result.drawing.outline)
    low, high = outline.min(0).astype(int), outline.max(0).astype(int)
    assert changed[low[1] : high[1], low[0] : high[0]].any()
    assert changed.mean() < 0.1


def test_damaged_caliper_raises_model_error(tmp_path: Path) -> None:
    folder = tmp_path / "caliper"
    shutil.copytree(MODEL, folder)
    data = bytearray((folder / "finder.onnx").read_bytes())
    data[1000] ^= 1
    (folder / "finder.onnx").write_bytes(data)
    with pytest.raises(ModelError, match="SHA-256"):
        load(folder)


def test_caliper_manifest_without_calibration_raises_model_error(tmp_path: Path) -> None:
    folder = tmp_path / "caliper"
    shutil.copytree(MODEL, folder)
    manifest = folder / "manifest.toml"
    manifest.write_text(manifest.read_text().replace("[calibration]", "[something_else]"))
    with pytest.raises(ModelError, match="calibration"):
        load(folder)
