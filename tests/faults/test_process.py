"""Tests of a server process that runs out of memory, is frozen, or loses its model files."""

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


def test_photo_is_refused_with_503_if_memory_is_short(serve: Serve) -> None:
    """Limit the address space with RLIMIT_AS, as `ulimit -v` does, so that 20 MB are free."""
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


def test_photo_is_refused_with_503_without_free_file_descriptors(serve: Serve) -> None:
    """Send the first photo. Pillow opens files then, because it loads its decoder modules."""
    server = serve()
    files = len([*Path(f"/proc/{server.process.pid}/fd").iterdir()])
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (files + 1, 4096))
    status, retry_after, body = server.ask("POST", "/", plain())
    assert (status, body["code"], retry_after) == (503, "overloaded", "5")
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (4096, 4096))
    assert server.ask("POST", "/", plain())[0] == 200


def test_process_responds_to_waiting_requests_after_it_was_frozen(serve: Serve) -> None:
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
def test_loaded_model_still_reads_after_its_files_disappear(
    serve: Serve, tmp_path: Path, how: str
) -> None:
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
def test_process_that_is_stopped_while_loading_exits_with_status_0(
    serve: Serve, number: int
) -> None:
    # Stop the server as soon as it listens. The embedded model is still loading then, or has just
    # been loaded.
    status, _, err = serve(REAL).stop(number)
    assert (status, err) == (0, "")
