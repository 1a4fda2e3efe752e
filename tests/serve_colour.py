"""`keylike serve` as a process of its own, with the colour reader in place of every model.

What MODEL_PATH names says how the load goes: "held" waits for a line on stdin, in a pool as libraries have them; "broken" is no model
error but a library's own. "patient" loads at once and reads only once there was a line on stdin.
"""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from keylike.cli import main
from keylike.readers import loading as model_loader
from keylike.readers.contract import Reader
from tests.fakes import colour_reader
from tests.running import PatientReader


def load(folder: Path, choices: model_loader.Choices = model_loader.DEFAULTS) -> Reader:
    """The colour reader, sooner or later or not at all."""
    if folder.name == "held":
        ThreadPoolExecutor(1).submit(sys.stdin.readline).result()
    if folder.name == "broken":
        raise RuntimeError("canary in /secret/place")
    return patient_reader() if folder.name == "patient" else colour_reader()


def patient_reader() -> Reader:
    """One that is allowed to read by a line on stdin."""
    reader = PatientReader()

    def listen() -> None:
        os.read(
            0, 1
        )  # sys.stdin would be held by this thread when the process ends, and Python then aborts
        reader.allowed.set()

    threading.Thread(target=listen, daemon=True).start()
    return reader


if __name__ == "__main__":
    model_loader.load = load
    main()
