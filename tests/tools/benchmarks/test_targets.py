"""Ratios, targets and the report, from races that were made up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tools.benchmarks.comparisons import GOT, OVERLOAD, SIZES, race
from tools.benchmarks.serving.figures import Overload
from tools.benchmarks.serving.report import line, page
from tools.benchmarks.serving.results import Limit, Measured, Race, saved
from tools.benchmarks.serving.servers import BENTOML, GUIDE, KEYLIKE, LITSERVE
from tools.benchmarks.serving.targets import targets


def missed(run: Race) -> set[str]:
    """Names of the targets that are."""
    return {one.name for one in targets(run) if not one.met}


def changed(run: Race, name: str, size: str, **figures: float | None) -> Race:
    """The same with other figures of a contender, in every round."""
    rows = [
        replace(row, got=replace(row.got, **figures))  # type: ignore[arg-type]
        if (row.name, row.size) == (name, size)
        else row
        for row in run.measured
    ]
    return replace(run, measured=rows)


def test_all_met() -> None:
    assert missed(race()) == set()
    assert len(targets(race())) == 14


@pytest.mark.parametrize(
    ("name", "size", "figures", "expected"),
    [
        (KEYLIKE, "640x480", {"cpu_ms": 23.2}, {"cpu_ratio_captures"}),
        (KEYLIKE, "12 MP", {"cpu_ms": 22.2}, {"cpu_ratio_12mp"}),
        (KEYLIKE, "12 MP", {"cpu_ms": None}, {"cpu_ratio_12mp"}),
        (LITSERVE, "640x480", {"per_s": 51.0}, {"speed_captures"}),
        (BENTOML, "12 MP", {"per_s": 51.0}, {"speed_12mp"}),
        (GUIDE, "12 MP", {"per_s": 28.0}, {"speed_guide_12mp"}),
        (GUIDE, "640x480", {"per_s": 51.0}, {"speed_captures"}),
        (LITSERVE, "640x480", {"memory_mb": 199.0}, {"memory_litserve_captures"}),
        (BENTOML, "12 MP", {"memory_mb": 199.0}, {"memory_bentoml_12mp"}),
    ],
)
def test_missed_by_a_measurement(
    name: str, size: str, figures: dict[str, float | None], expected: set[str]
) -> None:
    assert missed(changed(race(), name, size, **figures)) == expected


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (replace(OVERLOAD, accepted_per_s=53.9), "overload_share_of_peak"),
        (replace(OVERLOAD, accepted_p99_ms=30_001.0), "overload_accepted_p99_ms"),
        (replace(OVERLOAD, refused_p95_ms=51.0), "overload_refused_p95_ms"),
        (replace(OVERLOAD, refused_p95_ms=None), "overload_refused_p95_ms"),
        (replace(OVERLOAD, failures={"0": 1}), "overload_failures"),
    ],
)
def test_missed_by_the_overload(run: Overload, expected: str) -> None:
    assert missed(replace(race(), overloads={KEYLIKE: run})) == {expected}


def test_missed_by_one_caller() -> None:
    alone = replace(race().alone, http_ms=[30.0, 35.1, 36.0])
    assert alone.added_ms == pytest.approx(4.1)
    assert missed(replace(race(), alone=alone)) == {"http_adds_ms"}


def test_ratios_are_taken_within_a_round() -> None:
    """The machine is half as fast in the second round, for everybody: no ratio changes."""
    later = [row for row in race().measured if row.round == 1]
    slow = [
        replace(row, got=replace(row.got, per_s=row.got.per_s / 2, cpu_ms=44.0)) for row in later
    ]
    run = replace(
        race(),
        measured=[row for row in race().measured if not row.round] + slow,
        limits=[
            Limit(limit.round, limit.size, limit.per_s, limit.cpu_ms * (1 + limit.round))
            for limit in race().limits
        ],
    )
    assert run.cpu_ratio("12 MP", 16) == pytest.approx(1.1)
    assert run.speed_ratio("12 MP", 16, [GUIDE]) == pytest.approx(2.0)
    assert run.median(KEYLIKE, "12 MP", 16, lambda got: got.per_s) == pytest.approx(37.5)


def test_most_memory_is_of_any_number_of_callers() -> None:
    more = Measured(1, KEYLIKE, "12 MP", replace(GOT, callers=64, memory_mb=170.0))
    run = replace(race(), measured=[*race().measured, more])
    assert missed(run) == {"memory_litserve_12mp", "memory_bentoml_12mp"}


def test_kept_and_read_again(tmp_path: Path) -> None:
    race().save(tmp_path / "race.json")
    assert saved(tmp_path / "race.json") == race()


def test_the_page_says_what_was_missed_and_what_went_wrong() -> None:
    run = changed(race(), BENTOML, "12 MP", memory_mb=100.0, p50_ms=None)
    run = replace(
        run,
        measured=[*run.measured, Measured(0, BENTOML, "12 MP", replace(GOT, errors={"503": 3}))],
    )
    written = page(run, SIZES, ["cpu.svg"])
    assert "| 12 MP: most memory, by that of BentoML | 1.00 | at most 0.5 | **missed** |" in written
    assert written.count("**missed**") == 1
    assert "3 x 503" in written
    assert "![cpu](cpu.svg)" in written
    assert "HTTP adds 2.0 ms" in written


def test_the_last_line() -> None:
    told = json.loads(line(changed(race(), LITSERVE, "640x480", memory_mb=150.0), SIZES))
    assert told["targets"]["memory_litserve_captures"] == {
        "value": 0.667,
        "at_most": 0.5,
        "met": False,
    }
    assert told["targets"]["speed_guide_12mp"] == {"value": 2.0, "at_least": 1.8, "met": True}
    assert told["figures"]["12 MP"][LITSERVE]["16"]["per_s"] == 45.0
    assert told["no_server"]["12 MP"] == {"per_s": 55.0, "cpu_ms": 20.0}
    assert told["one_caller"] == {"http_p50_ms": 33.0, "loop_p50_ms": 31.0}
    assert told["overload"][KEYLIKE]["refused"] == 2400


def test_plots_are_small_and_always_the_same(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need matplotlib: make bench installs it")
    from tools.benchmarks.serving.plots import draw

    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        assert draw(race(), list(SIZES), folder) == [
            "throughput.svg",
            "p95.svg",
            "cpu.svg",
            "memory.svg",
            "overload.svg",
        ]
    for path in first.iterdir():
        assert path.stat().st_size < 150_000
        assert path.read_bytes() == (second / path.name).read_bytes()
