"""Tests of starting and stopping the compared servers, and of a comparison of stub servers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psutil
import pytest

pytest.importorskip("aiohttp", reason="the load needs aiohttp: make bench installs it")

from tests.tools.benchmarks.fake_comparison import SIZES, stub_spec
from tools.benchmarks.serving.comparison import CONCURRENCY, Comparison, machine
from tools.benchmarks.serving.photos import photos
from tools.benchmarks.serving.report import json_line, page
from tools.benchmarks.serving.server_process import run_server
from tools.benchmarks.serving.servers import BENTOML, GUIDE, KEYLIKE, LITSERVE, server_specs


def test_run_server_stops_all_processes_of_the_server_on_exit(tmp_path: Path) -> None:
    """Run the stub server, which has a child process that ignores SIGTERM."""
    with run_server(stub_spec(), lambda: b"photo", tmp_path) as server:
        child = int((tmp_path / KEYLIKE / "output.txt").read_text())
        processes = [psutil.Process(server.pid), psutil.Process(child)]
        assert all(process.is_running() for process in processes)
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert alive == []


def test_run_server_reports_the_output_of_a_server_that_does_not_start(tmp_path: Path) -> None:
    broken = replace(stub_spec(), command=("-m", "tests.tools.benchmarks.stub_server", "no port"))
    with (
        pytest.raises(RuntimeError, match=r"Keylike does not answer(?s:.*)invalid literal"),
        run_server(broken, lambda: b"photo", tmp_path),
    ):
        pytest.fail("the server must not start")


def test_settings_of_the_environment_are_not_passed_to_compared_servers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KEYLIKE_THREADS", "1")
    monkeypatch.setenv("MODEL_PATH", "elsewhere")
    keylike = server_specs(Path("python"), Path("envs"))[0]
    variables = keylike.variables(8000, tmp_path)
    assert {
        name: value
        for name, value in variables.items()
        if name.startswith("KEYLIKE_") or name == "MODEL_PATH"
    } == {
        "KEYLIKE_PORT": "8000",
        "KEYLIKE_LOGS": str(tmp_path),
    }


def test_every_compared_server_uses_the_given_port(tmp_path: Path) -> None:
    for process in server_specs(Path("python"), Path("envs")):
        arguments_and_values = [
            *process.arguments(8123, tmp_path),
            *process.variables(8123, tmp_path).values(),
        ]
        assert "8123" in arguments_and_values, process.name


def test_machine_description_has_processor_and_memory() -> None:
    assert "of Some Processor, 24 GiB" in machine(
        "processor: 0\nmodel name\t: Some Processor\nmodel name\t: other\n", 24 * 2**30
    )


def test_comparison_of_stub_servers_has_all_measurements(tmp_path: Path) -> None:
    samples = dict.fromkeys(SIZES, photos("640x480")[:1])
    messages: list[str] = []
    specs = [stub_spec(name) for name in (KEYLIKE, GUIDE, LITSERVE, BENTOML)]
    results = Comparison(specs, samples, 0.02, 2, tmp_path, messages.append).run("a test command")
    assert len(results.measurements) == 2 * len(specs) * len(SIZES) * len(CONCURRENCY)
    assert all(
        row.figures.errors == {} and row.figures.answered >= row.figures.clients
        for row in results.measurements
    )
    first_of_second_round = next(row.name for row in results.measurements if row.round == 1)
    assert first_of_second_round == LITSERVE
    assert {(baseline.round, baseline.size) for baseline in results.baselines} == {
        (number, size) for number in range(2) for size in SIZES
    }
    assert KEYLIKE in results.overloads and len(results.overloads) == 2
    assert len(results.single_client.http_ms) == len(results.single_client.baseline_ms) > 0
    assert any("overload: Keylike" in message for message in messages)
    assert "## Targets" in page(results, SIZES, [])
    assert '"benchmark": "serving"' in json_line(results, SIZES)
