"""The notebook in a kernel of its own, cell by cell, with what each of them shows."""

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


def read(address: str, token: str | None) -> str:
    """The code of the sample as a server reads it, or the word with which it refuses."""
    with Client(address, token, patience_s=0) as keylike:
        try:
            return keylike.read(ROOT / "samples" / SAMPLE["file"]).bitting
        except KeylikeError as failure:
            return failure.code


def picture(data: bytes) -> NDArray[np.uint8]:
    """HxWx3 RGB."""
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB), np.uint8)


def opened() -> Any:
    """The notebook as it is committed."""
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]


class Executed:
    """A run of the notebook that has come to some cell."""

    def __init__(self, notebook: Any, client: Any) -> None:
        self._notebook, self._client = notebook, client

    def run(self, *names: str) -> str:
        """Executes cells, or all of them, in their order; what they print. Raises CellExecutionError."""
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
        """The picture that a cell shows, None where there is none."""
        for data in (output.get("data", {}) for output in self._cell(name).outputs):
            for kind in ("image/png", "image/jpeg"):
                if kind in data:
                    return picture(base64.b64decode(data[kind]))
        return None

    def saved(self, *but: str) -> str:
        """The notebook as it would be saved now, without the cells named."""
        return json.dumps(
            {
                **self._notebook,
                "cells": [cell for cell in self._notebook.cells if cell.id not in but],
            }
        )

    def address(self) -> str:
        """The server's own, as the notebook shows it."""
        found = re.search(r"serves on (http://127\.0\.0\.1:\d+)", self.saved())
        assert found
        return found[1]

    def kernel(self) -> int:
        """The number of its process."""
        return int(self._client.km.provisioner.pid)

    def _cell(self, name: str) -> Any:
        return next(cell for cell in self._notebook.cells if cell.id == name)


@contextmanager
def notebook(home: Path, **environment: str) -> Iterator[Executed]:
    """A fresh kernel for it, before which nobody sits who could type; `home` is the user's."""
    book = opened()
    client = NotebookClient(
        book,
        timeout=_CELL_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(NOTEBOOK.parent)}},
    )
    # Sockets have short names only, and temporary folders of tests long ones.
    with tempfile.TemporaryDirectory(prefix="nb") as sockets:
        folders = {
            "HOME": str(home),
            "IPYTHONDIR": str(home / "ipython"),
            "KEYLIKE_LOGS": str(home / "logs"),
        }
        # What runs the tests has everything; if not, nothing is fetched.
        folders |= {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
        manager = client.create_kernel_manager()
        manager.transport, manager.connection_file = "ipc", f"{sockets}/k.json"
        with client.setup_kernel(env={**os.environ, **folders, **environment}):
            yield Executed(book, client)
