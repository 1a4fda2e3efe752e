"""Tests of updating the model card: only the figures between the markers change."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from keylike.readers.contract import Candidate, Cut, Quality, Reading, Reason, Unreadable
from keylike.readers.evaluation import Report, Shot, Verdict
from keylike.terminal.card import BEGIN, END, main, with_figures

CARD = Path(__file__).resolve().parents[2] / "docs" / "evaluation" / "model-card.md"
MANIFEST = {"measured": {"photos": 296, "whole_code": 0.7432, "calibration_error": 0.0224}}


def run() -> dict[str, object]:
    """Return the JSON of an `evaluate` run with five photos.

    Three keys are read correctly, one is refused, and one of another family is read as SC1.
    """
    codes = (2, 5, 4, 7, 3)
    cuts = tuple(
        Cut(position, code, 0.9, 8.6 - 0.381 * code) for position, code in enumerate(codes, 1)
    )
    right = Reading("SC1", codes, 0.9, True, cuts, (Candidate(codes, 0.9),), Quality())
    refused = Unreadable(Reason.GLARE, "", "")
    report = Report(
        ("SC1",),
        [
            Verdict(Shot(Path("x"), "SC1", codes, "easy"), result, 1.0)
            for result in (right, right, right, refused)
        ],
    )
    report.add(Verdict(Shot(Path("y"), "other", None, "easy"), right, 1.0))
    return {"model": "caliper-9.9.9", **report.to_dict()}


def test_only_the_text_between_the_markers_of_a_card_is_replaced() -> None:
    updated = with_figures(f"before\n{BEGIN}\nold\n{END}\nafter\n", run(), MANIFEST, "2027-01-15")
    assert updated.startswith(f"before\n{BEGIN}\ncaliper-9.9.9 on 2027-01-15.")
    assert updated.endswith(f"\n{END}\nafter\n")
    assert "old" not in updated
    assert "| easy | 4 | 75.0 % (30 to 95) |" in updated
    assert "0 of 1 refused; 1 read as SC1" in updated
    assert "296 other held-back drawings: 74.3 %" in updated
    assert with_figures(updated, run(), MANIFEST, "2027-01-15") == updated


def test_card_without_markers_raises_value_error() -> None:
    for card in ("nothing", BEGIN, f"{END}{BEGIN}"):
        with pytest.raises(ValueError, match="must hold"):
            with_figures(card, run(), MANIFEST, "2027-01-15")


def test_card_command_reads_the_last_line_of_evaluate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, manifest = tmp_path / "card.md", tmp_path / "manifest.toml"
    card.write_text(CARD.read_text(encoding="utf-8"), encoding="utf-8")
    manifest.write_text("[measured]\nphotos = 12\nwhole_code = 0.5\ncalibration_error = 0.1\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"a table\n{json.dumps(run())}\n"))
    monkeypatch.setattr(sys, "argv", ["card", str(card), str(manifest)])
    main()
    assert "caliper-9.9.9" in card.read_text(encoding="utf-8")
    assert "on 12 other held-back drawings" in card.read_text(encoding="utf-8")
