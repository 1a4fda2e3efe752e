"""Access to the text of the log file of this process."""

from __future__ import annotations

from pathlib import Path

from keylike.observability.logs import flush_logger


def log_text(folder: Path) -> str:
    """Return the content of api.log once all lines have been written."""
    flush_logger()
    return (folder / "api.log").read_text()
