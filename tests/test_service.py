"""Tests of the lifecycle of a service: build, load, listen and close."""

from __future__ import annotations

import http.client
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from keylike.configuration import shared_secret
from keylike.engines.process_engine import ProcessEngine
from keylike.engines.thread_engine import ThreadEngine
from keylike.errors import ModelError, ModelLoading
from keylike.inference import Options
from keylike.observability.logs import make_logger
from keylike.readers.contract import Reader
from keylike.service import Service, create_app
from keylike.settings import Settings
from tests.fakes import colour_reader
from tests.log_text import log_text
from tests.running import until
from tools.plain_pictures import RED, plain

CYCLES = 20


def running() -> tuple[int, int, int]:
    """Return the number of threads, child processes and open files of this process."""
    children = [
        child
        for child in psutil.Process().children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE
    ]
    return threading.active_count(), len(children), len(os.listdir("/proc/self/fd"))


def serve_one_photo(settings: Settings, load: Callable[[], Reader] | None) -> None:
    """Start a service on a socket, read one photo over HTTP, and close it."""
    with Service(settings, load=load) as service:
        service.load()
        server = service.listen()
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
            connection.request("POST", "/predict", plain(RED), {"Content-Type": "image/jpeg"})
            assert connection.getresponse().status in (200, 422)
            connection.close()
        finally:
            server.stop()
            thread.join(20)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc lists open files on Linux only")
@pytest.mark.parametrize("processes", [0, 2], ids=["threads", "processes"])
def test_repeated_runs_leave_no_thread_process_or_open_file(
    settings: Settings, processes: int
) -> None:
    chosen = settings.model_copy(update={"port": 0, "threads": 2, "processes": processes})
    load = None if processes else colour_reader
    # Child processes of other tests may still run.
    children = running()[1]
    # The first run fills caches of imported libraries, so measure after it.
    serve_one_photo(chosen, load)
    until(lambda: running()[1] == children)
    before = running()
    for _ in range(CYCLES if not processes else 3):
        serve_one_photo(chosen, load)
    until(lambda: all(now <= then for now, then in zip(running(), before, strict=True)))


def test_service_can_be_closed_twice_and_then_refuses_photos(settings: Settings) -> None:
    service = Service(settings, load=colour_reader)
    service.load()
    assert service.inference.answer(plain(RED), Options()).bitting.format() == "2,5,4,7,3"
    assert service.close()
    assert service.close()
    with pytest.raises(ModelLoading):
        service.inference.answer(plain(RED), Options())


def test_service_can_be_closed_without_a_model_or_socket(settings: Settings) -> None:
    with Service(settings, load=colour_reader):
        pass


def test_create_app_closes_its_service_if_the_reader_cannot_be_loaded(settings: Settings) -> None:
    def fail() -> Reader:
        raise ModelError("weights.onnx does not match its SHA-256")

    threads = threading.active_count()
    with pytest.raises(ModelError):
        create_app(settings, load=fail)
    assert threading.active_count() == threads


def test_application_refers_to_its_service(settings: Settings) -> None:
    app = create_app(settings, load=colour_reader)
    service = app.extensions["keylike"]
    assert isinstance(service, Service) and service.app is app
    service.close()


def test_listening_on_a_port_in_use_raises_oserror(settings: Settings) -> None:
    with Service(settings.model_copy(update={"port": 0}), load=colour_reader) as first:
        port = first.listen().port
        with (
            Service(settings.model_copy(update={"port": port}), load=colour_reader) as second,
            pytest.raises(OSError),
        ):
            second.listen()


def test_services_without_a_configured_secret_share_one_in_a_file(
    settings: Settings, tmp_path: Path
) -> None:
    log = make_logger(tmp_path / "logs")
    first, second = (shared_secret(settings, log) for _ in range(2))
    path = settings.tokens.parent / "secret"
    assert first == second == path.read_bytes() and len(first) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.glob(".secret-*")] == []


def test_configured_secret_or_token_is_used_as_shared_secret(
    settings: Settings, tmp_path: Path
) -> None:
    log = make_logger(tmp_path / "logs")
    token = SecretStr("one-token-for-everything")
    assert (
        shared_secret(settings.model_copy(update={"api_key": token}), log)
        == b"one-token-for-everything"
    )
    both = settings.model_copy(update={"api_key": token, "secret": SecretStr("another-secret-1")})
    assert shared_secret(both, log) == b"another-secret-1"
    assert not (settings.tokens.parent / "secret").exists()


def test_secret_file_that_cannot_be_used_is_logged(settings: Settings, tmp_path: Path) -> None:
    log = make_logger(tmp_path / "logs")
    (settings.tokens.parent / "secret").write_bytes(b"short")
    assert len(shared_secret(settings, log)) == 32
    unwritable = settings.model_copy(update={"tokens": Path("/proc/nowhere/tokens.sqlite3")})
    assert len(shared_secret(unwritable, log)) == 32
    logged = log_text(tmp_path / "logs")
    assert logged.count("secret_not_shared") == 2


def test_setting_of_processes_selects_the_engine(settings: Settings, tmp_path: Path) -> None:
    for processes, kind in ((0, ThreadEngine), (1, ProcessEngine)):
        with Service(settings.model_copy(update={"processes": processes})) as service:
            service.load()
            assert isinstance(service.engines.engine(), kind)
            assert service.engines.name and service.engines.name.startswith("caliper-")


def test_missing_model_is_replaced_by_the_embedded_one_with_workers(
    settings: Settings, tmp_path: Path
) -> None:
    chosen = settings.model_copy(update={"processes": 1, "model_path": tmp_path / "gemma"})
    with Service(chosen) as service:
        service.load()
        assert isinstance(service.engines.engine(), ProcessEngine)
        assert service.engines.reason is not None
