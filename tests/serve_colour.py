"""`keylike serve` as its own process, with the colour reader in place of every model.

The name of the folder in MODEL_PATH selects the load. "held" waits for a line on stdin, in a thread
pool, as libraries do. "broken" fails with a library's own error. "patient" loads at once and reads only
after a line on stdin.
"""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from keylike.cli import main
from keylike.observability import core_dumps
from keylike.readers import loading as model_loader
from keylike.readers.contract import Reader
from tests.fakes import colour_reader
from tests.running import PatientReader


def load(folder: Path, choices: model_loader.Choices = model_loader.DEFAULTS) -> Reader:
    """Return the colour reader, or fail, as the folder's name says."""
    if folder.name == "held":
        ThreadPoolExecutor(1).submit(sys.stdin.readline).result()
    if folder.name == "broken":
        raise RuntimeError("canary in /secret/place")
    return patient_reader() if folder.name == "patient" else colour_reader()


def patient_reader() -> Reader:
    """Return a reader that starts to read after a line on stdin."""
    reader = PatientReader()

    def listen() -> None:
        # Not sys.stdin: Python aborts at exit if a thread holds its lock.
        os.read(0, 1)
        reader.allowed.set()

    threading.Thread(target=listen, daemon=True).start()
    return reader


if __name__ == "__main__":
    if os.geteuid():
        # Otherwise only root could see the open files and the memory of this process.
        core_dumps.forbid_core_dumps = lambda: None
    model_loader.load = load
    main()
