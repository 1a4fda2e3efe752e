"""Tests of the process without memory, frozen, without its model files and stopped early."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.running import until
from tests.test_cli_serve import FIRST, REAL, ROOT, Served
from tools.plain_pictures import plain

Serve = Callable[..., Served]
SAMPLE, CODE = ROOT / "samples" / FIRST["file"], ",".join(map(str, FIRST["bitting"]))


def address_space(server: Served) -> int:
    """Return the size of the address space of the process in bytes."""
    return (
        int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[0])
        * resource.getpagesize()
    )


def test_photo_without_memory_is_503_with_retry_after(serve: Serve) -> None:
    """RLIMIT_AS leaves 20 MB, like `ulimit -v`."""
    server = serve(REAL)
    server.line_with("Ready")
    large = plain(kind="PNG", size=(6000, 6000))
    assert server.ask("POST", "/", SAMPLE.read_bytes())[0] == 200
    resource.prlimit(
        server.process.pid,
        resource.RLIMIT_AS,
        (address_space(server) + 20_000_000, resource.RLIM_INFINITY),
    )
    for _ in range(3):
        status, retry_after, body = server.ask("POST", "/", large)
        assert (status, body["code"], retry_after) == (503, "overloaded", "5")
    assert server.ask("GET", "/health/live")[0] == 200
    resource.prlimit(
        server.process.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    )
    assert server.ask("POST", "/", large)[2]["code"] == "unreadable"
    status, _, err = server.stop()
    assert (status, "Traceback" in err) == (0, False)


def test_photo_without_file_descriptors_is_503_with_retry_after(serve: Serve) -> None:
    """Pillow loads its decoder modules from files when it opens the first picture."""
    server = serve()
    files = len([*Path(f"/proc/{server.process.pid}/fd").iterdir()])
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (files + 1, 4096))
    status, retry_after, body = server.ask("POST", "/", plain())
    assert (status, body["code"], retry_after) == (503, "overloaded", "5")
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (4096, 4096))
    assert server.ask("POST", "/", plain())[0] == 200


def test_process_after_a_freeze_answers_pending_requests(serve: Serve) -> None:
    server = serve()
    os.kill(server.process.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(4) as clients:
        posted = [
            clients.submit(server.ask, "POST", "/", plain(size=(size, 40)))
            for size in (50, 51, 52, 53)
        ]
        state = Path(f"/proc/{server.process.pid}/stat")
        until(lambda: state.read_text().rpartition(")")[2].split()[0] == "T")
        os.kill(server.process.pid, signal.SIGCONT)
        assert [one.result(20)[0] for one in posted] == [200] * 4


@pytest.mark.parametrize("how", ["deleted", "truncated"])
def test_model_whose_files_disappear_keeps_reading(serve: Serve, tmp_path: Path, how: str) -> None:
    shutil.copytree(ROOT / "models" / "caliper", tmp_path / "models" / "caliper")
    server = serve(REAL, KEYLIKE_MODELS=str(tmp_path / "models"))
    server.line_with("Ready")
    if how == "deleted":
        shutil.rmtree(tmp_path / "models")
    else:
        for file in (tmp_path / "models" / "caliper").iterdir():
            os.truncate(file, 10)
    status, _, body = server.ask("POST", "/", SAMPLE.read_bytes())
    assert (status, body["bitting"]) == (200, CODE)
    assert server.ask("POST", "/classify/image", SAMPLE.read_bytes())[0] == 200
    assert server.ask("GET", "/health")[2]["status"] == "healthy"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process_stopped_while_loading_exits_cleanly(serve: Serve, number: int) -> None:
    # The real model is still loading, or has just been loaded.
    status, _, err = serve(REAL).stop(number)
    assert (status, err) == (0, "")
