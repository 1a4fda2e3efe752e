"""Runs the notebook cell by cell in a kernel of its own, with access to the output."""

from __future__ import annotations

import base64
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import nbformat
import numpy as np
from nbclient import NotebookClient
from numpy.typing import NDArray

from keylike_client import Client, KeylikeError

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "keylike_colab.ipynb"
SAMPLE = json.loads((ROOT / "samples" / "labels.jsonl").read_text().partition("\n")[0])
BITTING = ",".join(map(str, SAMPLE["bitting"]))
_CELL_S = 120


def read_sample(address: str, token: str | None) -> str:
    """Let the server read the sample photo, and return the bitting or the error code."""
    with Client(address, token, patience_s=0) as keylike:
        try:
            return keylike.read(ROOT / "samples" / SAMPLE["file"]).bitting
        except KeylikeError as error:
            return error.code


def decode_picture(data: bytes) -> NDArray[np.uint8]:
    """Decode a picture into an RGB array of shape (height, width, 3)."""
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB), np.uint8)


def committed_notebook() -> Any:
    """Return the notebook of the repository."""
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]


class NotebookRun:
    """A notebook that runs in a kernel."""

    def __init__(self, notebook: Any, client: Any) -> None:
        self._notebook = notebook
        self._client = client

    def run(self, *names: str) -> str:
        """Execute the named cells, or all of them, in order, and return their printed output.

        Raises:
            CellExecutionError: A cell failed.
        """
        cells = [
            (at, cell)
            for at, cell in enumerate(self._notebook.cells)
            if not names or cell.id in names
        ]
        for at, cell in cells:
            self._client.execute_cell(cell, at)
        return "".join(
            output.get("text", "") for _, cell in cells for output in cell.get("outputs", [])
        )

    def picture(self, name: str) -> NDArray[np.uint8] | None:
        """Return the picture in the output of a cell, or None."""
        for data in (output.get("data", {}) for output in self._cell(name).outputs):
            for kind in ("image/png", "image/jpeg"):
                if kind in data:
                    return decode_picture(base64.b64decode(data[kind]))
        return None

    def saved(self, *excluded: str) -> str:
        """Return the JSON of the notebook as it would be saved now, without the named cells."""
        return json.dumps(
            {
                **self._notebook,
                "cells": [cell for cell in self._notebook.cells if cell.id not in excluded],
            }
        )

    def address(self) -> str:
        """Return the local address of the server, which the notebook shows."""
        found = re.search(r"serves on (http://127\.0\.0\.1:\d+)", self.saved())
        assert found
        return found[1]

    def kernel(self) -> int:
        """Return the process id of the kernel."""
        return int(self._client.km.provisioner.pid)

    def _cell(self, name: str) -> Any:
        return next(cell for cell in self._notebook.cells if cell.id == name)


@contextmanager
def notebook(home: Path, **environment: str) -> Iterator[NotebookRun]:
    """Start a kernel for the notebook, without input prompts, with `home` as the home folder."""
    content = committed_notebook()
    client = NotebookClient(
        content,
        timeout=_CELL_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(NOTEBOOK.parent)}},
    )
    # The paths of Unix sockets must be short, and those in the folders of pytest are too long.
    with tempfile.TemporaryDirectory(prefix="nb") as sockets:
        folders = {
            "HOME": str(home),
            "IPYTHONDIR": str(home / "ipython"),
            "KEYLIKE_LOGS": str(home / "logs"),
        }
        # The Python that runs the tests should have all packages. If it does not, pip must not
        # download them.
        folders |= {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
        manager = client.create_kernel_manager()
        manager.transport, manager.connection_file = "ipc", f"{sockets}/k.json"
        with client.setup_kernel(env={**os.environ, **folders, **environment}):
            yield NotebookRun(content, client)
