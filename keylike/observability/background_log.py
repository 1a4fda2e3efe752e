"""Write the log in a background thread, so that a slow disk or terminal cannot block the server."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from logging import LogRecord
from logging.handlers import QueueHandler

# Largest number of waiting lines: about 4 MB, or several seconds of log under load.
_MAX_LINES = 10_000
# Seconds. When the log is closed, an output that accepts no line for so long is abandoned.
_PATIENCE_S = 2.0


class BackgroundHandler(QueueHandler):
    """A log handler that formats each record immediately, and writes it to `target` in a thread.

    While the target is stuck, up to `max_lines` lines wait. Further lines are dropped and counted.
    When the target works again, it gets one line with their number. Python's QueueListener is not
    used, because its `stop` waits for a stuck target, and fails if the queue is full.

    Args:
        target: handler that writes the lines. It is closed together with this handler.
        report: returns the log record about a number of dropped lines; None to write no record.
        max_lines: largest number of waiting lines.
        patience_s: seconds without progress after which `flush` and `close` give up.
    """

    queue: queue.Queue[LogRecord | None]

    def __init__(
        self,
        target: logging.Handler,
        report: Callable[[int], LogRecord] | None = None,
        *,
        max_lines: int = _MAX_LINES,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        super().__init__(queue.Queue(max_lines))
        self._overflow = 0
        self._overflow_lock = threading.Lock()
        self._target = target
        self._report = report
        self._patience_s = patience_s
        self._reported = 0
        self._written = 0
        self._ended = False
        self._thread = threading.Thread(target=self._write_all, name="log", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Return the number of lines that were dropped by this handler or by the target."""
        return self._overflow + int(getattr(self._target, "dropped", 0))

    def enqueue(self, record: LogRecord) -> None:
        """Queue a formatted record, or count it as dropped."""
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            with self._overflow_lock:
                self._overflow += 1

    def handleError(self, record: LogRecord) -> None:
        """Let the target report a record that cannot be formatted."""
        self._target.handleError(record)

    def flush(self) -> None:
        """Wait until all lines are written, or until the target makes no progress."""
        written, until = self._written, time.monotonic() + self._patience_s
        with self.queue.all_tasks_done:
            while self.queue.unfinished_tasks and time.monotonic() < until:
                self.queue.all_tasks_done.wait(0.05)
                if self._written != written:
                    written, until = self._written, time.monotonic() + self._patience_s

    def close(self) -> None:
        """Write the waiting lines and close the target, or abandon it if it is stuck."""
        if self._ended:
            return
        self._ended = True
        self.flush()
        if not self.queue.unfinished_tasks:
            self.queue.put(None)
            self._thread.join()
            self._target.close()
        super().close()

    def _write_all(self) -> None:
        while (record := self.queue.get()) is not None:
            self._write(record)
            self.queue.task_done()

    def _write(self, record: LogRecord) -> None:
        # Not `handle`: it holds a lock, for which the exit of the process would wait if this call
        # is stuck.
        self._target.emit(record)
        self._written += 1
        overflow = self._overflow
        if self._report and overflow > self._reported:
            self._target.emit(self.prepare(self._report(overflow - self._reported)))
            self._reported = overflow
