"""Tests of ratios, targets and the report of the benchmarks, with invented results."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tools.benchmarks.fake_comparison import FIGURES, OVERLOAD_FIGURES, SIZES, fake_results
from tools.benchmarks.serving.figures import OverloadFigures
from tools.benchmarks.serving.report import json_line, page
from tools.benchmarks.serving.results import (
    BaselineResult,
    ComparisonResults,
    Measurement,
    load_results,
)
from tools.benchmarks.serving.servers import BENTOML, GUIDE, KEYLIKE, LITSERVE
from tools.benchmarks.serving.targets import targets


def missed(results: ComparisonResults) -> set[str]:
    """Return the names of the missed targets."""
    return {target.name for target in targets(results) if not target.met}


def changed(
    results: ComparisonResults, name: str, size: str, **figures: float | None
) -> ComparisonResults:
    """Return the results with other figures for one server and one photo size in every round."""
    rows = [
        replace(row, figures=replace(row.figures, **figures))  # type: ignore[arg-type]
        if (row.name, row.size) == (name, size)
        else row
        for row in results.measurements
    ]
    return replace(results, measurements=rows)


def test_good_results_meet_all_targets() -> None:
    assert missed(fake_results()) == set()
    assert len(targets(fake_results())) == 14


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
def test_bad_measurement_misses_one_target(
    name: str, size: str, figures: dict[str, float | None], expected: set[str]
) -> None:
    assert missed(changed(fake_results(), name, size, **figures)) == expected


@pytest.mark.parametrize(
    ("overload", "expected"),
    [
        (replace(OVERLOAD_FIGURES, accepted_per_s=53.9), "overload_share_of_peak"),
        (replace(OVERLOAD_FIGURES, accepted_p99_ms=30_001.0), "overload_accepted_p99_ms"),
        (replace(OVERLOAD_FIGURES, refused_p95_ms=51.0), "overload_refused_p95_ms"),
        (replace(OVERLOAD_FIGURES, refused_p95_ms=None), "overload_refused_p95_ms"),
        (replace(OVERLOAD_FIGURES, failures={"0": 1}), "overload_failures"),
    ],
)
def test_bad_overload_figure_misses_one_target(overload: OverloadFigures, expected: str) -> None:
    assert missed(replace(fake_results(), overloads={KEYLIKE: overload})) == {expected}


def test_slow_response_to_a_single_client_misses_one_target() -> None:
    single_client = replace(fake_results().single_client, http_ms=[30.0, 35.1, 36.0])
    assert single_client.added_ms == pytest.approx(4.1)
    assert missed(replace(fake_results(), single_client=single_client)) == {"http_adds_ms"}


def test_ratios_compare_servers_within_the_same_round() -> None:
    """Make all servers half as fast in the second round, so that the ratios stay the same."""
    later = [row for row in fake_results().measurements if row.round == 1]
    slow = [
        replace(row, figures=replace(row.figures, per_s=row.figures.per_s / 2, cpu_ms=44.0))
        for row in later
    ]
    results = replace(
        fake_results(),
        measurements=[row for row in fake_results().measurements if not row.round] + slow,
        baselines=[
            BaselineResult(
                baseline.round,
                baseline.size,
                baseline.per_s,
                baseline.cpu_ms * (1 + baseline.round),
            )
            for baseline in fake_results().baselines
        ],
    )
    assert results.cpu_ratio("12 MP", 16) == pytest.approx(1.1)
    assert results.speed_ratio("12 MP", 16, [GUIDE]) == pytest.approx(2.0)
    assert results.median(KEYLIKE, "12 MP", 16, lambda figures: figures.per_s) == pytest.approx(
        37.5
    )


def test_peak_memory_is_the_highest_for_any_number_of_clients() -> None:
    more = Measurement(1, KEYLIKE, "12 MP", replace(FIGURES, clients=64, memory_mb=170.0))
    results = replace(fake_results(), measurements=[*fake_results().measurements, more])
    assert missed(results) == {"memory_litserve_12mp", "memory_bentoml_12mp"}


def test_saved_results_can_be_loaded_again(tmp_path: Path) -> None:
    fake_results().save(tmp_path / "comparison.json")
    assert load_results(tmp_path / "comparison.json") == fake_results()


def test_benchmark_page_shows_missed_targets_and_errors() -> None:
    results = changed(fake_results(), BENTOML, "12 MP", memory_mb=100.0, p50_ms=None)
    results = replace(
        results,
        measurements=[
            *results.measurements,
            Measurement(0, BENTOML, "12 MP", replace(FIGURES, errors={"503": 3})),
        ],
    )
    written = page(results, SIZES, ["cpu.svg"])
    assert "| 12 MP: peak memory relative to BentoML | 1.00 | at most 0.5 | **missed** |" in written
    assert written.count("**missed**") == 1
    assert "3 x 503" in written
    assert "![cpu](cpu.svg)" in written
    assert "HTTP adds 2.0 ms" in written


def test_benchmark_json_contains_targets_and_figures() -> None:
    output = json.loads(
        json_line(changed(fake_results(), LITSERVE, "640x480", memory_mb=150.0), SIZES)
    )
    assert output["targets"]["memory_litserve_captures"] == {
        "value": 0.667,
        "at_most": 0.5,
        "met": False,
    }
    assert output["targets"]["speed_guide_12mp"] == {"value": 2.0, "at_least": 1.8, "met": True}
    assert output["figures"]["12 MP"][LITSERVE]["16"]["per_s"] == 45.0
    assert output["no_server"]["12 MP"] == {"per_s": 55.0, "cpu_ms": 20.0}
    assert output["single_client"] == {"http_p50_ms": 33.0, "baseline_p50_ms": 31.0}
    assert output["overload"][KEYLIKE]["refused"] == 2400


def test_benchmark_plots_are_small_and_reproducible(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need matplotlib: make bench installs it")
    from tools.benchmarks.serving.plots import draw

    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        assert draw(fake_results(), list(SIZES), folder) == [
            "throughput.svg",
            "p95.svg",
            "cpu.svg",
            "memory.svg",
            "overload.svg",
        ]
    for path in first.iterdir():
        assert path.stat().st_size < 150_000
        assert path.read_bytes() == (second / path.name).read_bytes()
