"""Tests of a server with worker processes: crashes, hanging workers, signals and the end."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from keylike.settings import Settings, SettingsError, load_settings
from tests.running import until
from tests.test_cli_serve import FIRST, REAL, ROOT, Served
from tests.workers.risky import CRASHES, GATE, HANGS, WAITS
from tests.workers.test_pool import ended
from tools.plain_pictures import RED, plain

RISKY = ["-m", "tests.workers.risky"]
Start = Callable[..., Served]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Yield a function that starts a server with two workers. Kill it after the test."""
    started: list[Served] = []

    def serve(command: list[str] = RISKY, **environment: str) -> Served:
        environment = {
            "KEYLIKE_PROCESSES": "2",
            "KEYLIKE_MODELS": str(ROOT / "models"),
            **environment,
        }
        started.append(Served(command, tmp_path / "logs", **environment))
        started[-1].line_with("Ready")
        return started[-1]

    yield serve
    for each in started:
        with each.process as process:
            process.kill()


def below(server: Served) -> list[psutil.Process]:
    """Return all processes that the server process has started."""
    return [*psutil.Process(server.process.pid).children(recursive=True)]


def over(processes: list[psutil.Process]) -> bool:
    """Return True if all these processes have ended."""
    return all(map(ended, processes))


def post(
    server: Served, colour: tuple[int, int, int] = RED, width: int = 40
) -> tuple[int, dict[str, Any]]:
    """Post a photo and return the status and the body."""
    status, _, body = server.ask("POST", "/predict", plain(colour, size=(width, 40)))
    return status, body


def test_crash_of_a_worker_fails_only_its_photo_and_is_logged(start: Start, tmp_path: Path) -> None:
    server = start()
    assert len(below(server)) == 3
    with ThreadPoolExecutor(6) as threads:
        colours = [CRASHES, RED, RED, CRASHES, RED, RED]
        answers = list(
            threads.map(lambda each: post(server, *each), zip(colours, range(40, 46), strict=True))
        )
    assert [status for status, _ in answers] == [500, 200, 200, 500, 200, 200]
    assert answers[0][1]["code"] == "internal"
    assert post(server)[1]["bitting"] == "2,5,4,7,3"
    log = tmp_path / "logs" / "api.log"
    until(lambda: log.read_text().count('"event": "request"') == 7)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["error"] for line in lines if line["event"] == "crash"] == ["WorkerFailed"] * 2
    status, _, health = server.ask("GET", "/health/detailed")
    assert status == 200
    alone = psutil.Process(server.process.pid).memory_info().rss / 1e6
    assert health["memory"]["rss_mb"] > alone + 20


def test_photo_that_hangs_a_worker_gets_504_and_the_next_is_read(start: Start) -> None:
    server = start(KEYLIKE_PROCESSES="1", KEYLIKE_DEADLINE_S="0.5")
    status, body = post(server, HANGS)
    assert (status, body["code"]) == (504, "deadline_exceeded")
    assert post(server)[0] == 200


def test_stages_are_also_measured_with_worker_processes(start: Start) -> None:
    server = start()
    assert post(server)[0] == 200
    stages = server.ask("GET", "/debug/performance")[2]["stages_ms"]
    assert all(stages[stage]["count"] == 1 for stage in ("queue", "decode", "model", "whole"))
    assert stages["decode"]["p50"] + stages["model"]["p50"] <= stages["whole"]["p50"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_photos_are_finished_after_a_signal_to_all_processes(
    start: Start, tmp_path: Path, number: int
) -> None:
    gate = tmp_path / "gate"
    server = start(**{GATE: str(gate)})
    with ThreadPoolExecutor(6) as threads:
        asked = [threads.submit(post, server, WAITS, width) for width in range(40, 46)]
        until(lambda: server.inside() == 6)
        processes = below(server)
        for process in [*processes, psutil.Process(server.process.pid)]:
            process.send_signal(number)
        until(lambda: not server.listens())
        gate.touch()
        assert [one.result(20)[0] for one in asked] == [200] * 6
    out, err = server.process.communicate(timeout=20)
    assert (server.process.returncode, out.splitlines()[-1], "Traceback" in err) == (
        0,
        "Stopped.",
        False,
    )
    assert over(processes)


@pytest.mark.parametrize("colour", [WAITS, HANGS], ids=["waits", "hangs"])
def test_all_workers_end_when_the_server_is_killed(
    start: Start, tmp_path: Path, colour: tuple[int, int, int]
) -> None:
    server = start(**{GATE: str(tmp_path / "never")})
    processes = below(server)
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(post, server, colour)
        until(lambda: server.inside() == 1)
        server.process.kill()
        assert isinstance(asked.exception(20), ConnectionError)
    until(lambda: over(processes))


def test_embedded_model_reads_and_classifies_in_workers(start: Start) -> None:
    server = start(REAL)
    assert len(below(server)) == 3
    photo = (ROOT / "samples" / FIRST["file"]).read_bytes()
    assert server.ask("POST", "/predict", photo)[2]["keyway"] == "SC1"
    assert server.ask("POST", "/classify/image", photo)[2]["predicted_class"] == "SC1"
    assert server.ask("GET", "/health")[2]["model_loaded"]


def test_missing_model_is_replaced_by_the_caliper_in_workers(start: Start, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    environment = {
        "KEYLIKE_PROCESSES": "1",
        "MODEL_PATH": str(tmp_path / "none"),
        "KEYLIKE_MODELS": str(ROOT / "models"),
    }
    server = Served(REAL, tmp_path / "logs", **environment)
    with server.process:
        assert server.line_with("Degraded").startswith("Degraded: only caliper")
        assert len(below(server)) == 2
        server.process.kill()


def test_workers_are_refused_outside_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert Settings(processes=0).processes == 0
    monkeypatch.setenv("KEYLIKE_PROCESSES", "2")
    with pytest.raises(SettingsError, match=r"KEYLIKE_PROCESSES: .*Linux"):
        load_settings()
