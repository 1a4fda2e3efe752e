"""The three ONNX networks and their answers as named values. Trained by training/, described in models/caliper/manifest.toml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from keylike.readers.caliper.frames import ALIGN, FINDER_SIDE, READ, Array, to_input
from keylike.readers.sessions import open_network

NETWORKS = ("finder", "aligner", "measurer")
KINDS = ("SC1", "SC4", "KW1", "other", "blank", "none")
# Which of the measurer's eleven depths belong to a keyway: six cuts on Schlage's spacing, then five on Kwikset's.
CUTS_OF = {"SC1": slice(0, 5), "SC4": slice(0, 6), "KW1": slice(6, 11)}


@dataclass(frozen=True, slots=True)
class Found:
    """The finder's answer: midline and tip (8, 2) in pixels of its square, their variance (8,) in pixels squared, presence logit."""

    points: Array
    variance: Array
    presence: float


@dataclass(frozen=True, slots=True)
class Aligned:
    """The aligner's answer: offsets (4, 2) of the slot's corners in mm (x right, y down), and the logit of cuts on the lower side."""

    corners_mm: Array
    side: float


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurer's answer on one strip.

    `edges` (2, 96): upper and lower edge, mm from the strip's top · `depths` and `log_spread` (11,) mm and log of tenths of mm ·
    `kinds` (6,) logits in the order of KINDS · `fit` logit of the strip lying as it should · `corners_mm` (4, 2) residual offsets.
    """

    edges: Array
    depths: Array
    log_spread: Array
    kinds: Array
    fit: float
    corners_mm: Array


def files_of(folder: Path) -> dict[str, bytes]:
    """The networks of a folder that has no manifest yet, unchecked."""
    return {f"{name}.onnx": (folder / f"{name}.onnx").read_bytes() for name in NETWORKS}


class Networks:
    """The three sessions; safe to call from many threads. One thread each: photos run beside each other, not inside."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """`files`: each network's ONNX file. Raises KeyError where one is missing, and whatever onnxruntime does."""
        cv2.setNumThreads(1)
        self._sessions: dict[str, Any] = {
            name: open_network(files[f"{name}.onnx"]) for name in NETWORKS
        }

    def warm(self) -> None:
        """Runs each network once on grey, so that the first photo does not pay for what they set up."""
        self.find(np.full((FINDER_SIDE, FINDER_SIDE, 3), 128, np.uint8))
        self.align(np.full((ALIGN.height, ALIGN.width, 3), 128, np.uint8))
        self.measure(np.full((READ.height, READ.width, 3), 128, np.uint8))

    def find(self, square: Array) -> Found:
        """Looks for the blade on a square of FINDER_SIDE pixels."""
        points, variance, presence = self._run("finder", square)
        return Found(points[0], variance[0], float(presence[0]))

    def align(self, strip: Array) -> Aligned:
        """Looks for the slot's corners on a rough strip."""
        corners, side = self._run("aligner", strip)
        return Aligned(corners[0].reshape(4, 2), float(side[0]))

    def measure(self, strip: Array) -> Measured:
        """Measures a straightened strip."""
        edges, depths, spread, kinds, fit, corners = self._run("measurer", strip)
        return Measured(
            edges[0], depths[0], spread[0], kinds[0], float(fit[0]), corners[0].reshape(4, 2)
        )

    def _run(self, name: str, picture: Array) -> list[Array]:
        answers: list[Array] = self._sessions[name].run(None, {"picture": to_input([picture])})
        return answers
