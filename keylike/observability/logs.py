"""The server's logger: JSON lines to a rotating file, and text to the terminal.

The log must never contain the code of a key, a picture, a token, a client's address or a query
string. Two things ensure this. Code that logs passes only values such as numbers and fixed words.
Of an exception it passes the type and the code locations, because the message may contain
secrets. Then `redaction` filters every line.

Separate threads write to the file and to the terminal, so that neither can block a request.
"""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path
from typing import cast

import structlog
from structlog.stdlib import BoundLogger, ProcessorFormatter
from structlog.typing import EventDict, Processor, ProcessorReturnValue, WrappedLogger

from keylike.observability.background_log import BackgroundHandler
from keylike.observability.log_file import LogFile, Terminal
from keylike.observability.redaction import redact

# Python's handler for libraries without one, to restore it when the logger is closed.
_PYTHONS_LAST_RESORT = logging.lastResort
# The handlers of the current logger, by name. They are global because Python's loggers are.
_outputs: dict[str, BackgroundHandler] = {}
_TIME_STAMPER = structlog.processors.TimeStamper(fmt="iso", utc=True)
_SHARED: list[Processor] = [structlog.stdlib.add_log_level, _TIME_STAMPER]


def make_logger(folder: Path, level: str = "INFO") -> BoundLogger:
    """Return the server's logger, which writes to api.log in `folder` and to stderr.

    Raises:
        OSError: The file cannot be opened.
    """
    terminal = BackgroundHandler(Terminal(), _dropped_record)
    try:
        log_file = LogFile(folder / "api.log", say=lambda line: terminal.enqueue(_plain(line)))
    except OSError:
        terminal.close()
        raise
    file = BackgroundHandler(log_file, _dropped_record)
    file.setFormatter(_formatter(structlog.processors.JSONRenderer()))
    terminal.setFormatter(
        _formatter(
            _TerminalRenderer(
                structlog.dev.ConsoleRenderer(
                    colors=sys.stderr is not None and sys.stderr.isatty(),
                    pad_event_to=0,
                    sort_keys=False,
                )
            )
        )
    )
    close_logger()
    _outputs.update(file=file, terminal=terminal)
    logger = _add_handlers("keylike", level, [file, terminal])
    for library in ("waitress", "opentelemetry"):
        _add_handlers(library, "ERROR", [file, terminal])
    # Warnings of libraries go to the log too, where only their location is kept. Their text may
    # contain data of a client.
    logging.captureWarnings(True)
    _add_handlers("py.warnings", "WARNING", [file, terminal])
    logging.lastResort = _LastResort([file, terminal])
    wrapped = structlog.wrap_logger(
        logger,
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=BoundLogger,
        cache_logger_on_first_use=True,
    )
    return cast(BoundLogger, wrapped)


def flush_logger() -> None:
    """Wait until all lines are written. Give up if an output is stuck."""
    for output in _outputs.values():
        output.flush()


def dropped_lines() -> dict[str, int]:
    """Return the number of lines that could not be written, by output ("file", "terminal")."""
    return {name: output.dropped for name, output in _outputs.items()}


def close_logger() -> None:
    """Write the waiting lines and close the handlers that `make_logger` has attached."""
    for name in ("keylike", "waitress", "opentelemetry", "py.warnings"):
        _remove_handlers(name)
    logging.captureWarnings(False)
    logging.lastResort = _PYTHONS_LAST_RESORT


def _dropped_record(lines: int) -> logging.LogRecord:
    """Return a log record about dropped lines, in the format of the server's other lines."""
    record = _plain("")
    record.msg = _TIME_STAMPER(None, "warning", {"event": "log lines dropped", "lines": lines})
    record.msg["level"] = "warning"
    record.__dict__.update(_logger=None, _name="warning")
    return record


def _plain(line: str) -> logging.LogRecord:
    """Return a log record for a line that needs no formatting."""
    return logging.LogRecord("keylike", logging.WARNING, __file__, 0, line, None, None)


class _LastResort(logging.Handler):
    """A handler for warnings of libraries that have no log handler.

    Without it, Python would write these warnings to stderr without a filter.
    """

    def __init__(self, handlers: list[logging.Handler]) -> None:
        super().__init__(logging.WARNING)
        self._handlers = handlers

    def emit(self, record: logging.LogRecord) -> None:
        """Pass the record to the other handlers."""
        for each in self._handlers:
            each.handle(record)


def places(error: BaseException) -> list[str]:
    """Return the code locations of an exception as "module.py:line function", innermost last.

    The message of the exception is not included. If it was raised in a worker process, the
    locations in that process follow.
    """
    own = [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    return [*own, *getattr(error, "places", ())]


class _TerminalRenderer:
    """A renderer of log lines that shows a request as `POST / 200 207 ms`.

    For a failure it adds the failure code and the request id, by which the details can be found in
    api.log.

    Args:
        other: Renders lines that are not about a request.
    """

    def __init__(self, other: Processor) -> None:
        self._other = other

    def __call__(self, logger: WrappedLogger, name: str, line: EventDict) -> ProcessorReturnValue:
        """Return the text of a line."""
        ms = line.get("ms")
        if line.get("event") != "request" or not isinstance(ms, int | float):
            return self._other(logger, name, line)
        route = line.get("route") or "(unknown path)"
        text = f"{line.get('method')} {route} {line.get('status')} {ms:.0f} ms"
        failure = line.get("failure")
        return f"{text}  {failure}, request {line.get('request_id')}" if failure else text


def _formatter(renderer: Processor) -> ProcessorFormatter:
    chain = [_library_event, *_SHARED]
    last: list[Processor] = [ProcessorFormatter.remove_processors_meta, redact, renderer]
    return ProcessorFormatter(processors=last, foreign_pre_chain=chain, use_get_message=False)


def _library_event(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    """Reduce a library's log record to its location and the type of the exception.

    The text of the record may contain a client's address or a path.
    """
    record = line["_record"]
    place = {
        "event": "library",
        "place": f"{record.filename}:{record.lineno}",
        "_record": record,
        "_from_structlog": False,
    }
    error = sys.exception()
    return place | {"error": type(error).__name__, "places": places(error)} if error else place


def _add_handlers(name: str, level: str, handlers: list[logging.Handler]) -> logging.Logger:
    logger = _remove_handlers(name)
    for handler in handlers:
        logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    return logger


def _remove_handlers(name: str) -> logging.Logger:
    logger = logging.getLogger(name)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    return logger
