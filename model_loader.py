"""From a folder under models/ to a checked, warmed reader, and the one place that says whether it is ready.

A model folder holds `manifest.toml`; its table `[files]` gives each file's SHA-256, and nothing is opened before all of them agree.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from readers.contract import Reader
from utils.errors import ModelError, ModelLoading
from utils.model_files import check_files, read_manifest

RETRY_AFTER_S = 5


class ModelSlot:
    """Holds the reader once it is loaded and warmed; until then whoever asks for it gets ModelLoading."""

    def __init__(self, load: Callable[[], Reader]) -> None:
        self._load = load
        self._reader: Reader | None = None

    def load(self) -> None:
        """Loads and warms the reader, then shows it to all threads at once. Raises ModelError."""
        reader = self._load()
        reader.warm()
        self._reader = reader

    @property
    def ready(self) -> bool:
        """Whether the reader may be asked."""
        return self._reader is not None

    def reader(self) -> Reader:
        """The reader. Raises ModelLoading until it is ready."""
        if self._reader is None:
            raise ModelLoading("The model is still being loaded.", retry_after_s=RETRY_AFTER_S)
        return self._reader

    @property
    def name(self) -> str | None:
        """Name and version of what is loaded, such as "caliper-1.0.0"; None before that."""
        return model_name(self._reader) if self._reader else None


def model_name(reader: Reader) -> str:
    """How a reader is called in answers and logs."""
    return f"{reader.info.name}-{reader.info.version}"


def load_reader(folder: Path) -> Reader:
    """Checks a model folder and loads the reader of its kind. Raises ModelError with a line that says what is wrong."""
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    kind = manifest.get("kind")
    if kind == "caliper":
        # Here, so that starting the command line does not wait for the network's runtime.
        from readers.caliper.reader import CaliperReader

        return CaliperReader.load(folder)
    raise ModelError(f"{folder}: models of kind {kind!r} are not supported; this version reads kind 'caliper'")
