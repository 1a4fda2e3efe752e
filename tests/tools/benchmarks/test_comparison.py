"""Contenders while they serve, and a short race of little servers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psutil
import pytest

pytest.importorskip("aiohttp", reason="the load needs aiohttp: make bench installs it")

from tests.tools.benchmarks.comparisons import SIZES, contender
from tools.benchmarks.serving.comparison import CONCURRENCY, Course, machine
from tools.benchmarks.serving.photos import photos
from tools.benchmarks.serving.report import line, page
from tools.benchmarks.serving.running import running
from tools.benchmarks.serving.servers import BENTOML, GUIDE, KEYLIKE, LITSERVE, contenders


def test_nothing_of_a_contender_is_left(tmp_path: Path) -> None:
    """Its child takes no notice of being asked to end."""
    with running(contender(), lambda: b"photo", tmp_path) as server:
        child = int((tmp_path / KEYLIKE / "said.txt").read_text())
        family = [psutil.Process(server.pid), psutil.Process(child)]
        assert all(one.is_running() for one in family)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []


def test_one_that_ends_at_once_says_why(tmp_path: Path) -> None:
    broken = replace(contender(), command=("-m", "tests.tools.benchmarks.little_server", "no port"))
    with (
        pytest.raises(RuntimeError, match=r"Keylike does not answer(?s:.*)invalid literal"),
        running(broken, lambda: b"photo", tmp_path),
    ):
        pytest.fail("it never served")


def test_settings_of_whoever_runs_it_stay_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KEYLIKE_THREADS", "1")
    monkeypatch.setenv("MODEL_PATH", "elsewhere")
    keylike = contenders(Path("python"), Path("envs"))[0]
    variables = keylike.variables(8000, tmp_path)
    assert {
        name: value
        for name, value in variables.items()
        if name.startswith("KEYLIKE_") or name == "MODEL_PATH"
    } == {
        "KEYLIKE_PORT": "8000",
        "KEYLIKE_LOGS": str(tmp_path),
    }


def test_everyone_has_a_port_of_its_own_choosing(tmp_path: Path) -> None:
    for one in contenders(Path("python"), Path("envs")):
        told = [*one.arguments(8123, tmp_path), *one.variables(8123, tmp_path).values()]
        assert "8123" in told, one.name


def test_a_machine_in_words() -> None:
    assert "of Some Processor, 24 GiB" in machine(
        "processor: 0\nmodel name\t: Some Processor\nmodel name\t: other\n", 24 * 2**30
    )


def test_a_short_race(tmp_path: Path) -> None:
    made = dict.fromkeys(SIZES, photos("640x480")[:1])
    said: list[str] = []
    racers = [contender(name) for name in (KEYLIKE, GUIDE, LITSERVE, BENTOML)]
    race = Course(racers, made, 0.02, 2, tmp_path, said.append).run("a test")
    assert len(race.measured) == 2 * len(racers) * len(SIZES) * len(CONCURRENCY)
    assert all(
        row.got.errors == {} and row.got.answered >= row.got.callers for row in race.measured
    )
    first_of_second_round = next(row.name for row in race.measured if row.round == 1)
    assert first_of_second_round == LITSERVE
    assert {(limit.round, limit.size) for limit in race.limits} == {
        (number, size) for number in range(2) for size in SIZES
    }
    assert KEYLIKE in race.overloads and len(race.overloads) == 2
    assert len(race.alone.http_ms) == len(race.alone.loop_ms) > 0
    assert any("overload: Keylike" in words for words in said)
    assert "## What it is to show" in page(race, SIZES, [])
    assert '"benchmark": "serving"' in line(race, SIZES)
