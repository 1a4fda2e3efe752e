"""`keylike serve` as a process of its own, with the colour reader in place of every model.

What MODEL_PATH names says how the load goes: "held" waits for a line on stdin, in a pool as libraries have them; "broken" is no model
error but a library's own.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import model_loader
from cli import main
from readers.contract import Reader
from tests.fakes import colour_reader


def load(folder: Path, choices: model_loader.Choices = model_loader.DEFAULTS) -> Reader:
    """The colour reader, sooner or later or not at all."""
    if folder.name == "held":
        ThreadPoolExecutor(1).submit(sys.stdin.readline).result()
    if folder.name == "broken":
        raise RuntimeError("canary in /secret/place")
    return colour_reader()


if __name__ == "__main__":
    model_loader.load = load
    main()
