"""Tests of the log handler that writes in a background thread."""

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
        """Wait until the test releases the handler, then keep the line."""
        self.reached.set()
        assert self.released.wait(20)
        self.lines.append(record.getMessage())


def record(text: str) -> logging.LogRecord:
    """Return a log record."""
    return logging.LogRecord("keylike", logging.INFO, __file__, 1, text, None, None)


@pytest.fixture
def target() -> Iterator[StuckTarget]:
    """Return a handler that blocks. It is released after the test."""
    stuck = StuckTarget()
    yield stuck
    stuck.released.set()


def test_lines_for_a_blocked_handler_are_dropped_and_reported_once(
    target: StuckTarget,
) -> None:
    handler = BackgroundHandler(target, lambda lines: record(f"dropped {lines}"), max_lines=2)
    handler.handle(record("1"))
    # The thread has taken the first line from the queue, so the queue is empty again.
    assert target.reached.wait(20)
    for number in range(2, 8):
        handler.handle(record(str(number)))
    assert handler.dropped == 4
    target.released.set()
    handler.close()
    assert sorted(target.lines) == ["1", "2", "3", "dropped 4"]
    assert handler.dropped == 4


def test_all_lines_are_written_in_order_when_the_handler_is_closed(target: StuckTarget) -> None:
    target.released.set()
    handler = BackgroundHandler(target)
    expected = [str(number) for number in range(1000)]
    for text in expected:
        handler.handle(record(text))
    handler.close()
    assert (target.lines, handler.dropped) == (expected, 0)


def test_lines_are_formatted_before_they_are_queued(target: StuckTarget) -> None:
    handler = BackgroundHandler(target)
    values = ["before"]
    handler.handle(logging.LogRecord("keylike", logging.INFO, __file__, 1, "%s", (values,), None))
    values[0] = "after"
    target.released.set()
    handler.close()
    assert target.lines == ["['before']"]


def test_closing_does_not_wait_for_a_blocked_handler(target: StuckTarget) -> None:
    handler = BackgroundHandler(target, patience_s=0.0)
    handler.handle(record("stuck"))
    assert target.reached.wait(20)
    handler.close()
    handler.close()
    assert target.lines == []


def test_dropped_lines_counts_the_lines_missing_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "api.log").symlink_to("/dev/full")
    log = make_logger(tmp_path)
    log.info("request", status=200)
    until(lambda: dropped_lines()["file"] == 1)
    assert dropped_lines() == {"file": 1, "terminal": 0}
    close_logger()
