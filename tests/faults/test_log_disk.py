"""Tests of the log on a full disk, in a deleted folder and without a terminal."""

from __future__ import annotations

import http.client
import json
import logging
import os
import re
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keylike.observability.log_file import LogFile
from tests.running import until
from tests.test_cli_serve import Served
from tools.plain_pictures import plain

Serve = Callable[..., Served]


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a log file after checking that the last line is complete."""
    text = path.read_text()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def dropped(server: Served) -> int:
    """Return the number of lines that are missing in the log file, from the server's metrics."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found = re.search(r'^keylike_log_lines_dropped_total\{output="file"\} (\d+)', text, re.M)
    assert found, text
    return int(found[1])


def limit_file_size(server: Served, size: int) -> None:
    """Limit the size of every file of the server process to `size` bytes."""
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.mark.parametrize("free_bytes", [0, 40], ids=["full", "space for a part of a line"])
def test_full_disk_loses_log_lines_but_no_requests(
    serve: Serve, tmp_path: Path, free_bytes: int
) -> None:
    server, log = serve(KEYLIKE_LOG_LEVEL="DEBUG"), tmp_path / "logs" / "api.log"
    assert server.ask("GET", "/health/live")[0] == 200
    until(lambda: log.read_text().endswith("\n"))
    limit_file_size(server, log.stat().st_size + free_bytes)
    assert [server.ask("POST", "/", plain(size=(size, 40)))[0] for size in (50, 51, 52)] == [
        200
    ] * 3
    until(lambda: dropped(server) >= 3)
    assert len(lines(log)) == 1
    limit_file_size(server, resource.RLIM_INFINITY)
    assert server.ask("POST", "/", plain())[0] == 200
    status, _, err = server.stop()
    assert [line["route"] for line in lines(log) if line["route"] != "/metrics"] == [
        "/health/live",
        "/",
    ], "the log must continue without the lines that could not be written"
    messages = [line for line in err.splitlines() if line.startswith("keylike:")]
    kind = "ENOSPC" if free_bytes else "EFBIG"
    assert (status, messages[0]) == (
        0,
        f"keylike: cannot write the log ({kind}); the server continues without it",
    )
    # The dropped lines are those of three photos and of the requests for the metrics.
    assert re.fullmatch(
        r"keylike: writing the log again; lines dropped: ([3-9]|\d\d+)", messages[1]
    )
    assert len(messages) == 2
    assert not any(word in err for word in ("Traceback", "Error", "2,5,4,7,3", "127.0.0.1"))


@pytest.mark.parametrize("how", ["folder deleted", "file moved away"])
def test_log_file_that_disappears_is_created_again(serve: Serve, tmp_path: Path, how: str) -> None:
    server, log = serve(KEYLIKE_LOG_LEVEL="DEBUG"), tmp_path / "logs" / "api.log"
    assert server.ask("GET", "/health/live")[0] == 200
    if how == "folder deleted":
        shutil.rmtree(log.parent)
    else:
        log.rename(tmp_path / "kept.log")
    assert server.ask("POST", "/", plain())[0] == 200
    until(lambda: log.exists() and log.read_text().endswith("\n"))
    assert lines(log)[-1]["route"] == "/"
    assert "keylike:" not in server.stop()[2]


def test_log_is_written_again_when_its_folder_can_be_created(serve: Serve, tmp_path: Path) -> None:
    server, log = serve(KEYLIKE_LOG_LEVEL="DEBUG"), tmp_path / "logs" / "api.log"
    shutil.rmtree(log.parent)
    log.parent.write_text("a file instead of the folder")
    assert [server.ask("POST", "/", plain())[0] for _ in range(2)] == [200] * 2
    until(lambda: dropped(server) >= 2)
    log.parent.unlink()
    assert server.ask("GET", "/health/live")[0] == 200
    messages = [line for line in server.stop()[2].splitlines() if line.startswith("keylike:")]
    assert lines(log)[-1]["route"] == "/health/live"
    assert len(messages) == 2 and "lines dropped: " in messages[1]


def test_log_file_is_written_after_stderr_was_closed(serve: Serve, tmp_path: Path) -> None:
    # Close the pipe of stderr, as if the terminal had been closed.
    server = serve(KEYLIKE_LOG_LEVEL="DEBUG")
    assert server.process.stderr is not None
    server.process.stderr.close()
    server.process.stderr = None
    assert [server.ask("POST", "/", plain())[0] for _ in range(2)] == [200] * 2
    assert server.stop()[0] == 0
    assert len(lines(tmp_path / "logs" / "api.log")) == 2


def record(text: str) -> logging.LogRecord:
    """Return a log record."""
    return logging.LogRecord("keylike", logging.INFO, __file__, 1, text, None, None)


@pytest.fixture
def small(tmp_path: Path) -> Any:
    """Return a log file that is rotated at 50 bytes, with one older file kept."""
    file = LogFile(tmp_path / "api.log", max_bytes=50, backups=1)
    yield file
    file.close()


def test_log_file_rotates_between_lines(small: LogFile, tmp_path: Path) -> None:
    for number in range(12):
        small.emit(record(f"{number} {'x' * 17}"))
    assert [(tmp_path / name).read_text().splitlines() for name in ("api.log.1", "api.log")] == [
        [f"{number} {'x' * 17}" for number in numbers] for numbers in ((8, 9), (10, 11))
    ]


def test_log_file_that_cannot_rotate_keeps_growing(
    small: LogFile, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "api.log.1").mkdir()
    for _ in range(4):
        small.emit(record("x" * 19))
    assert len((tmp_path / "api.log").read_text().splitlines()) == 4
    assert (
        capfd.readouterr().err == "keylike: cannot rotate the log; writing to the same file\n" * 2
    )
    (tmp_path / "api.log.1").rmdir()
    small.emit(record("x" * 19))
    assert [
        len((tmp_path / name).read_text().splitlines()) for name in ("api.log.1", "api.log")
    ] == [4, 1]


def test_lost_lines_of_a_log_file_on_a_full_device_are_counted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "api.log").symlink_to("/dev/full")
    file = LogFile(tmp_path / "api.log")
    for _ in range(3):
        file.emit(record("canary"))
    os.unlink(tmp_path / "api.log")
    file.emit(record("plain"))
    file.close()
    assert (tmp_path / "api.log").read_text() == "plain\n"
    assert capfd.readouterr().err.splitlines() == [
        "keylike: cannot write the log (ENOSPC); the server continues without it",
        "keylike: writing the log again; lines dropped: 3",
    ]
