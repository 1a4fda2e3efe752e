"""Tests of the evaluation with a reader whose results are known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from keylike.keys.keyways import keyway
from keylike.readers.contract import Candidate, Cut, Quality, Reading, Reason, Unreadable
from keylike.readers.evaluation import (
    Report,
    Score,
    Shot,
    Verdict,
    calibration_error,
    clustered,
    confusions,
    coverage_curve,
    errors,
    judge,
    measured,
    percentile,
    point_at_coverage,
    reliability,
    shots,
    wilson,
)
from tests.fakes import colour_reader


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with labelled photos in the colours that the colour reader distinguishes."""
    rows: list[dict[str, object]] = [
        {
            "file": "a.png",
            "colour": "red",
            "keyway": "SC1",
            "bitting": [2, 5, 4, 7, 3],
            "tier": "easy",
        },
        {
            "file": "b.png",
            "colour": "red",
            "keyway": "SC1",
            "bitting": [2, 5, 4, 6, 3],
            "tier": "hard",
        },
        {
            "file": "c.png",
            "colour": "blue",
            "keyway": "SC1",
            "bitting": [1, 1, 1, 1, 1],
            "tier": "hard",
        },
        {"file": "d.png", "colour": "blue", "keyway": "none", "bitting": None, "tier": "negative"},
        {
            "file": "e.png",
            "colour": "red",
            "keyway": "other:Best",
            "bitting": [1, 2, 3, 4, 5, 6, 7],
            "tier": "normal",
        },
    ]
    (tmp_path / "images").mkdir()
    for row in rows:
        Image.new("RGB", (64, 48), str(row["colour"])).save(tmp_path / "images" / str(row["file"]))
    (tmp_path / "labels.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return tmp_path


def ticks() -> Iterator[float]:
    """Yield the times, in seconds, of a clock that advances by 10 ms with each call."""
    now = 0.0
    while True:
        yield now
        now += 0.010


def reading(
    codes: tuple[int, ...], confidence: float = 0.8, *, name: str = "SC1", off_mm: float = 0.0
) -> Reading:
    """Return a reading whose cuts are `off_mm` higher than the maker's heights."""
    heights = keyway(name).depths_mm
    cuts = tuple(
        Cut(position, code, confidence, heights[code] + off_mm)
        for position, code in enumerate(codes, 1)
    )
    return Reading(name, codes, confidence, True, cuts, (Candidate(codes, confidence),), Quality())


def verdict(
    codes: tuple[int, ...] | None,
    result: Reading | Unreadable,
    *,
    name: str = "SC1",
    tier: str = "easy",
    file: str = "x",
) -> Verdict:
    """Return the verdict on a result for a key with this true code."""
    return Verdict(Shot(Path(file), name, codes, tier), result, 1.0)


REFUSED = Unreadable(Reason.TOO_SMALL, "Too small.", "Move closer.")


def test_judge_scores_the_readings_of_labelled_photos(folder: Path) -> None:
    seen: list[Verdict] = []
    clock = ticks()
    report = judge(colour_reader(), shots(folder), seen.append, lambda: next(clock)).to_dict()
    readable = report["readable"]
    assert isinstance(readable, dict)
    assert {name: group["photos"] for name, group in readable.items()} == {
        "all": 3,
        "easy": 1,
        "SC1": 3,
        "hard": 2,
    }
    assert readable["all"]["whole"] == pytest.approx(1 / 3, abs=1e-4)
    assert readable["all"]["top3"] == pytest.approx(2 / 3, abs=1e-4)
    assert readable["all"]["cut"] == pytest.approx(9 / 15, abs=1e-4)
    assert readable["all"]["keyway"] == pytest.approx(2 / 3, abs=1e-4)
    assert readable["all"]["keyway_95"] == [pytest.approx(end, abs=1e-4) for end in wilson(2, 3)]
    assert readable["all"]["refused"] == pytest.approx(1 / 3, abs=1e-4)
    assert readable["easy"]["whole"] == 1
    assert report["not_readable"] == {
        "none": {"photos": 1, "refused": 1},
        "other": {"photos": 1, "read_as_SC1": 1},
    }
    assert report["refusals"] == {"not_a_key": 2}
    assert report["refusals_readable"] == {"not_a_key": 1}
    assert report["confusion"] == {"SC1": {"cuts": 10, "wrong": {"6>7": 1}}}
    assert report["ms_p50"] == pytest.approx(10.0)
    assert len(seen) == 5
    json.dumps(report)


def test_keyway_in_brackets_of_a_label_is_the_family(tmp_path: Path) -> None:
    (tmp_path / "labels.jsonl").write_text(
        '{"file": "x.jpg", "keyway": "other:Schlage-6pin-C(SC4)", "bitting": [3], "tier": '
        '"normal"}\n'
    )
    assert shots(tmp_path)[0].keyway == "SC4"


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "[]",
        "nonsense",
        '{"file": "x", "keyway": "SC1", "bitting": ["q"], "tier": "easy"}',
        '{"file": "x", "keyway": 5, "bitting": [1], "tier": "easy"}',
        '{"file": "x", "keyway": "SC1", "bitting": [1], "tier": ["easy"]}',
    ],
)
def test_error_about_an_invalid_label_names_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "labels.jsonl").write_text(f"\n{line}\n")
    with pytest.raises(ValueError, match="line 2"):
        shots(tmp_path)


def test_calibration_error_is_confidence_minus_accuracy() -> None:
    assert calibration_error([]) is None
    assert calibration_error([(0.95, True)] * 19 + [(0.95, False)]) == pytest.approx(0.0, abs=1e-4)
    assert calibration_error([(0.9, False)] * 4) == pytest.approx(0.9)


def test_reliability_has_no_empty_bins_and_includes_confidence_one() -> None:
    low, high = reliability([(0.32, False), (0.38, True), (1.0, True)])
    assert (low.low, low.high, low.readings, low.right) == (0.3, 0.4, 2, 1)
    assert low.confidence == pytest.approx(0.35)
    assert (high.low, high.high, high.accuracy) == (0.9, 1.0, 1.0)


def test_wilson_interval_matches_published_values() -> None:
    low, high = wilson(8, 10)  # Brown, Cai and DasGupta (2001): 0.490 to 0.943
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 10)[0] == 0.0


def test_interval_of_correlated_cuts_is_as_wide_as_that_of_photos() -> None:
    bunched = clustered([(5, 5)] * 20 + [(0, 5)] * 20)
    assert bunched == pytest.approx(wilson(20, 40), abs=0.01)
    assert clustered([(4, 5), (3, 5)] * 20) == pytest.approx(
        wilson(140, 200)
    )  # the photos vary less than by chance, so the interval is that of 200 independent cuts
    assert clustered([(5, 5)] * 20) == wilson(20, 20)
    assert clustered([]) == (0.0, 1.0)


def test_percentile_returns_an_element_of_the_sorted_values() -> None:
    assert percentile([], 0.5) == 0.0
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(100)], 0.95) == 95.0
    assert percentile([7.0], 1.0) == 7.0


def test_coverage_curve_counts_refusals_and_joins_equal_confidences() -> None:
    curve = coverage_curve([(0.5, False), (0.9, True), (0.9, True), (0.7, True)], 5)
    assert [(point.given, point.right, point.confidence) for point in curve] == [
        (2, 2, 0.9),
        (3, 3, 0.7),
        (4, 3, 0.5),
    ]
    assert point_at_coverage(curve, 0.2) == curve[0]
    last = point_at_coverage(curve, 0.8)
    assert last is not None
    assert (last.coverage, last.accuracy) == (0.8, 0.75)
    assert point_at_coverage(curve, 0.9) is None
    assert coverage_curve([], 5) == []


def test_depths_are_compared_only_for_readings_of_the_right_keyway() -> None:
    verdicts = [
        verdict((2, 5, 4, 7, 3), reading((2, 5, 4, 6, 3), off_mm=0.1)),
        verdict((2, 5, 4, 7, 3), reading((2, 5, 4, 7, 3), off_mm=-0.1)),
        verdict((2, 5, 4, 7, 3), reading((2, 5, 4, 6, 3), name="KW1")),
        verdict((2, 5, 4, 7, 3), reading((2, 5, 4, 7))),
        verdict((2, 5, 4, 7, 3), REFUSED),
    ]
    (depths,) = confusions(verdicts)
    assert (depths.keyway, depths.cuts, depths.of(7), depths.mistakes()) == (
        "SC1",
        10,
        2,
        {"7>6": 1},
    )
    assert depths.depths == tuple(range(10))
    (depth_errors,) = errors(verdicts)
    assert (len(depth_errors.by_cut), depth_errors.all.cuts) == (5, 10)
    # Cut 4 of the first reading is one depth step (0.381 mm) and 0.1 mm too shallow. Cut 4 of the
    # second reading is 0.1 mm too deep.
    assert depth_errors.by_cut[3].signed == pytest.approx(0.381 / 2)
    assert depth_errors.by_cut[3].absolute == pytest.approx((0.481 + 0.1) / 2)
    assert depth_errors.all.signed == pytest.approx(0.0381)
    assert depth_errors.all.median == pytest.approx(0.1)
    assert measured(verdicts)
    assert not measured([verdict((2, 5, 4, 7, 3), reading((2, 5, 4, 6, 3)))])


def test_depths_include_labels_that_the_keyway_does_not_have() -> None:
    (depths,) = confusions([verdict((2, 12, 4, 7, 3), reading((2, 5, 4, 7, 3)))])
    assert depths.depths == (*range(10), 12)
    assert depths.mistakes() == {"12>5": 1}
    (depth_errors,) = errors([verdict((2, 12, 4, 7, 3), reading((2, 5, 4, 7, 3)))])
    assert depth_errors.all.cuts == 4


def test_code_among_the_top_three_counts_only_with_the_right_keyway() -> None:
    other = reading((1, 2, 3, 4, 5), name="KW1")
    assert Score.of([verdict((1, 2, 3, 4, 5), other)]).three == 0
    assert Score.of([verdict((1, 2, 3, 4, 5), other, name="KW1")]).three == 1


def test_worst_results_are_confident_wrong_codes_then_refusals() -> None:
    report = Report(("SC1",))
    for number in range(30):
        report.add(
            verdict((1, 1, 1, 1, 1), reading((1, 1, 1, 1, 2), number / 30), file=f"wrong{number}")
        )
        report.add(verdict((1, 1, 1, 1, 1), REFUSED, file=f"refused{number}"))
        report.add(verdict((1, 1, 1, 1, 1), reading((1, 1, 1, 1, 1)), file="right"))
        report.add(verdict(None, REFUSED, name="none", file="refused correctly"))
    report.add(verdict(None, reading((1, 1, 1, 1, 2), 0.99), name="none", file="no key"))
    names = [item.shot.path.name for item in report.worst()]
    assert names == [
        "no key",
        *(f"wrong{n}" for n in range(29, 12, -1)),
        *(f"refused{n}" for n in range(6)),
    ]
    assert (len(report.wrong), len(report.refused)) == (31, 30)
    few = Report(("SC1",), [verdict((1, 1, 1, 1, 1), REFUSED, file="one")])
    assert [item.shot.path.name for item in few.worst()] == ["one"]


def test_evaluation_without_photos_has_no_metrics() -> None:
    assert Report().to_dict()["readable"] == {}
    assert Report().to_dict()["coverage"] == []
    assert Shot(Path("x"), "SC1", None, "easy").codes is None
