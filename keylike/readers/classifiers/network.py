"""A classifier that runs the ONNX network of a model folder of kind onnx-classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keylike.errors import ModelError
from keylike.images.photo import Photo
from keylike.readers.classifiers.contract import Classification, ClassifierInfo
from keylike.readers.classifiers.manifest import ClassifierManifest, classifier_manifest
from keylike.readers.classifiers.picture import preprocess
from keylike.readers.model_files import display_name, read_files, read_manifest
from keylike.readers.sessions import open_network, run_within

# Seconds after which a run is stopped. Even a large network on a slow processor needs only a tenth
# of this per photo.
TIMEOUT_S = 10.0
# Largest difference between 1 and the sum of the probabilities. It allows for the rounding of
# half-precision and 8-bit outputs.
_SUM_TOLERANCE = 0.02


class NetworkClassifier:
    """A thread-safe classifier with one ONNX session.

    It computes in the calling thread. Several photos can be processed in parallel, but one photo
    uses one core only.
    """

    def __init__(
        self, session: Any, manifest: ClassifierManifest, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._session = session
        self._manifest = manifest
        self._timeout_s = timeout_s
        self._input = _find("input", manifest.input, session.get_inputs())
        self._output = _find("output", manifest.output, session.get_outputs())
        if self._input.type != "tensor(float)":
            raise ModelError(
                f"{manifest.network} takes {self._input.type}, but only tensor(float) is supported"
            )

    @classmethod
    def load(cls, folder: Path, timeout_s: float = TIMEOUT_S) -> NetworkClassifier:
        """Check the files of a folder against their hashes, and open its network.

        Runs that take longer than `timeout_s` seconds are stopped.

        Raises:
            ModelError: The folder is invalid.
        """
        table = read_manifest(folder)
        manifest = classifier_manifest(table)
        data = read_files(folder, table)[manifest.network]
        try:
            return cls(open_network(data, bounded=True), manifest, timeout_s)
        except ModelError:
            raise
        except Exception as error:  # onnxruntime raises its own exception types
            path = display_name(folder / manifest.network)
            raise ModelError(
                f"{path} cannot be opened: it must be one ONNX file that holds all its weights"
            ) from error

    @property
    def info(self) -> ClassifierInfo:
        """Return name, version and labels."""
        return ClassifierInfo(self._manifest.name, self._manifest.version, self._manifest.labels)

    def warm(self) -> None:
        """Classify a grey picture once."""
        self._classify(np.full((64, 64, 3), 128, np.uint8))

    def classify(self, photo: Photo) -> Classification:
        """Return a probability for every label."""
        return self._classify(photo.pixels)

    def _classify(self, pixels: NDArray[Any]) -> Classification:
        array = preprocess(pixels, self._manifest.preprocessing)
        try:
            (output,) = run_within(
                self._session, self._timeout_s, [self._output.name], {self._input.name: array}
            )
            values = np.asarray(output, np.float64).reshape(-1)
        except TimeoutError:
            raise ModelError(
                f"{self._manifest.network} did not finish within {self._timeout_s:g} s"
            ) from None
        except Exception as error:  # onnxruntime raises its own exception types
            raise ModelError(
                f"{self._manifest.network} does not accept input of shape {array.shape}, "
                "or returns no numbers"
            ) from error
        if len(values) != len(self._manifest.labels):
            raise ModelError(
                f"{self._manifest.network} returns {len(values)} numbers for "
                f"{len(self._manifest.labels)} labels"
            )
        try:
            return Classification.of(self._manifest.labels, self._shares(values))
        except ValueError:
            raise ModelError(
                f"the output of {self._manifest.network} is not {self._manifest.gives}"
            ) from None

    def _shares(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert the output to probabilities.

        Raises:
            ValueError: A value is not finite, or the probabilities do not sum to 1. In the second
                case they are probably logits, or the labels do not exclude each other.
        """
        if self._manifest.gives == "logits":
            if not np.isfinite(values).all():
                raise ValueError("they are not finite")
            powers = np.exp(values - values.max())
            return np.asarray(powers / powers.sum())
        if not abs(values.sum() - 1) <= _SUM_TOLERANCE:
            raise ValueError("they do not sum to 1")
        return values


def _find(kind: str, name: str | None, available: Any) -> Any:
    """Return the input or output with this name; without a name, the only one.

    Raises:
        ModelError: There is none with this name, or there are several and no name is given.
    """
    found = [item for item in available if name in (None, item.name)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(item.name for item in available)
    raise ModelError(f"manifest.toml: {kind} must name one of {names}")
