"""Runs `keylike serve` with the colour reader instead of a model.

The name of the folder in MODEL_PATH selects how the reader is loaded:
- "held": when a line arrives on stdin. It waits in a thread pool, as libraries do.
- "broken": not at all; loading raises an error as a library would.
- "patient": at once, but it reads photos only after a line on stdin.
- any other name: at once.
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
    """Return the colour reader, or fail, as the name of the folder selects."""
    if folder.name == "held":
        ThreadPoolExecutor(1).submit(sys.stdin.readline).result()
    if folder.name == "broken":
        raise RuntimeError("canary in /secret/place")
    return patient_reader() if folder.name == "patient" else colour_reader()


def patient_reader() -> Reader:
    """Return a reader that starts to read after a line on stdin."""
    reader = PatientReader()

    def listen() -> None:
        # Do not use sys.stdin, because Python aborts at exit if a thread holds its lock.
        os.read(0, 1)
        reader.allowed.set()

    threading.Thread(target=listen, daemon=True).start()
    return reader


if __name__ == "__main__":
    if os.geteuid():
        # Allow core dumps. Otherwise only root could see this process's open files and memory.
        core_dumps.forbid_core_dumps = lambda: None
    model_loader.load = load
    main()
