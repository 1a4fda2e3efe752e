"""Scoring: a reader whose answers are known gets the score they deserve."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from readers.evaluation import Report, Shot, Verdict, calibration_error, judge, shots, wilson
from tests.fakes import colour_reader


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Red reads 25473, green 11111, blue is refused (see tests/fakes.py)."""
    rows: list[dict[str, object]] = [
        {"file": "a.png", "colour": "red", "keyway": "SC1", "bitting": [2, 5, 4, 7, 3], "tier": "easy"},
        {"file": "b.png", "colour": "red", "keyway": "SC1", "bitting": [2, 5, 4, 6, 3], "tier": "hard"},
        {"file": "c.png", "colour": "blue", "keyway": "SC1", "bitting": [1, 1, 1, 1, 1], "tier": "hard"},
        {"file": "d.png", "colour": "blue", "keyway": "none", "bitting": None, "tier": "negative"},
        {"file": "e.png", "colour": "red", "keyway": "other:Best", "bitting": [1, 2, 3, 4, 5, 6, 7], "tier": "normal"},
    ]
    (tmp_path / "images").mkdir()
    for row in rows:
        Image.new("RGB", (64, 48), str(row["colour"])).save(tmp_path / "images" / str(row["file"]))
    (tmp_path / "labels.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return tmp_path


def ticking() -> Iterator[float]:
    """A clock that stands 10 ms later at every look."""
    now = 0.0
    while True:
        yield now
        now += 0.010


def test_the_scores_are_those_of_the_answers(folder: Path) -> None:
    seen: list[Verdict] = []
    clock = ticking()
    report = judge(colour_reader(), shots(folder), seen.append, lambda: next(clock)).to_dict()
    readable = report["readable"]
    assert isinstance(readable, dict)
    assert {name: group["photos"] for name, group in readable.items()} == {"all": 3, "easy": 1, "SC1": 3, "hard": 2}
    assert readable["all"]["whole"] == pytest.approx(1 / 3, abs=1e-4)
    assert readable["all"]["top3"] == pytest.approx(2 / 3, abs=1e-4)
    assert readable["all"]["cut"] == pytest.approx(9 / 15, abs=1e-4)
    assert readable["all"]["refused"] == pytest.approx(1 / 3, abs=1e-4)
    assert readable["easy"]["whole"] == 1
    assert report["not_readable"] == {"none": {"photos": 1, "refused": 1}, "other": {"photos": 1, "read_as_SC1": 1}}
    assert report["refusals"] == {"not_a_key": 2}
    assert report["ms_p50"] == pytest.approx(10.0)
    assert len(seen) == 5


def test_a_family_in_brackets_is_that_family(tmp_path: Path) -> None:
    (tmp_path / "labels.jsonl").write_text('{"file": "x.jpg", "keyway": "other:Schlage-6pin-C(SC4)", "bitting": [3], "tier": "normal"}\n')
    assert shots(tmp_path)[0].keyway == "SC4"


@pytest.mark.parametrize("line", ["{}", "nonsense", '{"file": "x", "keyway": "SC1", "bitting": ["q"], "tier": "easy"}'])
def test_a_broken_label_names_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "labels.jsonl").write_text(f"\n{line}\n")
    with pytest.raises(ValueError, match="line 2"):
        shots(tmp_path)


def test_calibration_error_is_the_gap_between_promise_and_truth() -> None:
    assert calibration_error([]) is None
    assert calibration_error([(0.95, True)] * 19 + [(0.95, False)]) == pytest.approx(0.0, abs=1e-4)
    assert calibration_error([(0.9, False)] * 4) == pytest.approx(0.9)


def test_wilson_agrees_with_a_known_interval() -> None:
    low, high = wilson(8, 10)  # Wilson's interval for 8 of 10: 0.490 to 0.943 (Brown, Cai and DasGupta, 2001)
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)
    assert wilson(0, 0) == (0.0, 1.0)


def test_an_empty_report_has_no_figures() -> None:
    assert Report().to_dict()["readable"] == {}
    assert Shot(Path("x"), "SC1", None, "easy").codes is None
