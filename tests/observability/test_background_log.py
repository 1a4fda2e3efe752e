"""Tests of log output that is written in the background."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from keylike.observability.background_log import BackgroundHandler
from keylike.observability.logs import close_logger, dropped_lines, make_logger
from tests.running import until


class StuckTarget(logging.Handler):
    """A handler that blocks until `released` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.reached, self.released = threading.Event(), threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Wait, then keep the line."""
        self.reached.set()
        assert self.released.wait(20)
        self.lines.append(record.getMessage())


def record(text: str) -> logging.LogRecord:
    """Return a log record."""
    return logging.LogRecord("keylike", logging.INFO, __file__, 1, text, None, None)


@pytest.fixture
def target() -> Iterator[StuckTarget]:
    """Return a stuck target, which is released after the test."""
    stuck = StuckTarget()
    yield stuck
    stuck.released.set()


def test_background_handler_with_a_stuck_target_drops_and_reports_once(
    target: StuckTarget,
) -> None:
    handler = BackgroundHandler(target, lambda lines: record(f"dropped {lines}"), max_lines=2)
    handler.handle(record("1"))
    # The first line has left the queue.
    assert target.reached.wait(20)
    for number in range(2, 8):
        handler.handle(record(str(number)))
    assert handler.dropped == 4
    target.released.set()
    handler.close()
    assert sorted(target.lines) == ["1", "2", "3", "dropped 4"]
    assert handler.dropped == 4


def test_background_handler_writes_all_lines_in_order_at_close(target: StuckTarget) -> None:
    target.released.set()
    handler = BackgroundHandler(target)
    expected = [str(number) for number in range(1000)]
    for text in expected:
        handler.handle(record(text))
    handler.close()
    assert (target.lines, handler.dropped) == (expected, 0)


def test_background_handler_formats_before_it_queues(target: StuckTarget) -> None:
    handler = BackgroundHandler(target)
    values = ["before"]
    handler.handle(logging.LogRecord("keylike", logging.INFO, __file__, 1, "%s", (values,), None))
    values[0] = "after"
    target.released.set()
    handler.close()
    assert target.lines == ["['before']"]


def test_background_handler_abandons_a_stuck_target_at_close(target: StuckTarget) -> None:
    handler = BackgroundHandler(target, patience_s=0.0)
    handler.handle(record("stuck"))
    assert target.reached.wait(20)
    handler.close()
    handler.close()
    assert target.lines == []


def test_dropped_lines_counts_what_the_file_lacks(tmp_path: Path) -> None:
    (tmp_path / "api.log").symlink_to("/dev/full")
    log = make_logger(tmp_path)
    log.info("request", status=200)
    until(lambda: dropped_lines()["file"] == 1)
    assert dropped_lines() == {"file": 1, "terminal": 0}
    close_logger()
