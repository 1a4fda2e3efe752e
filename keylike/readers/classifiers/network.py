"""An ONNX network as a classifier, from a folder with a manifest of kind onnx-classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keylike.errors import ModelError
from keylike.images.photo import Photo
from keylike.readers.classifiers.contract import Classification, ClassifierInfo
from keylike.readers.classifiers.manifest import ClassifierManifest, classifier_manifest
from keylike.readers.classifiers.picture import to_numbers
from keylike.readers.model_files import called, read_files, read_manifest
from keylike.readers.sessions import open_network, run_within

# A slow processor and a large network take a tenth of it for a photo.
LONGEST_RUN_S = 10.0
# How far from 1 the sum of what a network calls probabilities may lie: half precision and eight bits round.
_ROUNDING = 0.02


class NetworkClassifier:
    """One session; safe to call from many threads. It computes in the caller's thread: photos run beside each other, not inside."""

    def __init__(
        self, session: Any, manifest: ClassifierManifest, timeout_s: float = LONGEST_RUN_S
    ) -> None:
        self._session, self._manifest, self._longest_s = session, manifest, timeout_s
        self._input = _named("input", manifest.input, session.get_inputs())
        self._output = _named("output", manifest.output, session.get_outputs())
        if self._input.type != "tensor(float)":
            raise ModelError(
                f"{manifest.network} takes {self._input.type}, and tensor(float) is given"
            )

    @classmethod
    def load(cls, folder: Path, timeout_s: float = LONGEST_RUN_S) -> NetworkClassifier:
        """Opens a folder, its files as the manifest's hashes say. A network that computes for longer than `longest_s` seconds is stopped.
        Raises ModelError."""
        table = read_manifest(folder)
        manifest = classifier_manifest(table)
        data = read_files(folder, table)[manifest.network]
        try:
            return cls(open_network(data, bounded=True), manifest, timeout_s)
        except ModelError:
            raise
        except Exception as wrong:  # onnxruntime raises its own kinds
            path = called(folder / manifest.network)
            raise ModelError(
                f"{path} cannot be opened: it must be one ONNX file that holds all its weights"
            ) from wrong

    @property
    def info(self) -> ClassifierInfo:
        """Name, version and labels."""
        return ClassifierInfo(self._manifest.name, self._manifest.version, self._manifest.labels)

    def warm(self) -> None:
        """Runs once on grey."""
        self._classify(np.full((64, 64, 3), 128, np.uint8))

    def classify(self, photo: Photo) -> Classification:
        """A probability for every label."""
        return self._classify(photo.pixels)

    def _classify(self, pixels: NDArray[Any]) -> Classification:
        numbers = to_numbers(pixels, self._manifest.preprocessing)
        try:
            (answer,) = run_within(
                self._session, self._longest_s, [self._output.name], {self._input.name: numbers}
            )
            values = np.asarray(answer, np.float64).reshape(-1)
        except TimeoutError:
            raise ModelError(
                f"{self._manifest.network} was not done after {self._longest_s:g} s"
            ) from None
        except Exception as wrong:  # onnxruntime raises its own kinds
            raise ModelError(
                f"{self._manifest.network} does not take {numbers.shape} numbers, or gives none"
            ) from wrong
        if len(values) != len(self._manifest.labels):
            raise ModelError(
                f"{self._manifest.network} gives {len(values)} numbers for "
                f"{len(self._manifest.labels)} labels"
            )
        try:
            return Classification.of(self._manifest.labels, self._shares(values))
        except ValueError:
            raise ModelError(
                f"what {self._manifest.network} gives are no {self._manifest.gives}"
            ) from None

    def _shares(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Raises ValueError for probabilities that do not sum to 1: then they are logits, or the labels exclude each other not."""
        if self._manifest.gives == "logits":
            if not np.isfinite(values).all():
                raise ValueError("not numbers")
            raised = np.exp(values - values.max())
            return np.asarray(raised / raised.sum())
        if not abs(values.sum() - 1) <= _ROUNDING:
            raise ValueError("their sum is not 1")
        return values


def _named(what: str, name: str | None, offered: Any) -> Any:
    """The input or output of this name; the only one where none is given."""
    found = [one for one in offered if name in (None, one.name)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(one.name for one in offered)
    raise ModelError(f"manifest.toml: {what} must name one of {names}")
