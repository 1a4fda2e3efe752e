"""The three ONNX networks and their answers. tools/training/ trains them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from keylike.readers.caliper.frames import ALIGN, FINDER_SIDE, READ, Array, pose_features, to_input
from keylike.readers.sessions import open_network

NETWORKS = ("finder", "aligner", "measurer")
KINDS = ("SC1", "SC4", "KW1", "other", "blank", "none")
# Slices of the measurer's eleven depths: six cuts on Schlage's spacing, then five on Kwikset's.
CUTS_OF = {"SC1": slice(0, 5), "SC4": slice(0, 6), "KW1": slice(6, 11)}


@dataclass(frozen=True, slots=True)
class Found:
    """The finder's answer.

    Attributes:
        points: Midline and tip in pixels of the square, shape (8, 2).
        variance: Their variance in square pixels, shape (8,).
        presence: Logit that there is a key.
        several: Logit that there are further whole keys.
    """

    points: Array
    variance: Array
    presence: float
    several: float = -math.inf


@dataclass(frozen=True, slots=True)
class Aligned:
    """The aligner's answer.

    Attributes:
        corners_mm: Offsets of the slot's corners in mm, x right, y down, shape (4, 2).
        side: Logit that the cuts are on the lower side.
    """

    corners_mm: Array
    side: float


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurer's answer on one strip.

    Attributes:
        edges: Upper and lower edge, mm from the strip's top, shape (2, 96).
        depths: Blade heights in mm, shape (11,).
        log_spread: Log of their spreads in tenths of a millimetre, shape (11,).
        kinds: Logits in the order of KINDS, shape (6,).
        fit: Logit that the strip shows a blade in its place.
        corners_mm: Remaining offsets of the slot's corners in mm, shape (4, 2).
    """

    edges: Array
    depths: Array
    log_spread: Array
    kinds: Array
    fit: float
    corners_mm: Array


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the unchecked network files of a folder that has no manifest yet."""
    return {f"{name}.onnx": (folder / f"{name}.onnx").read_bytes() for name in NETWORKS}


class Networks:
    """The three sessions, safe to call from many threads.

    Each session uses one thread: photos run in parallel, the work on one photo does not.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """Open the networks.

        Args:
            files: The ONNX file of each network by file name.

        Raises:
            KeyError: A file is missing. Errors of onnxruntime pass through.
        """
        cv2.setNumThreads(1)
        self._sessions: dict[str, Any] = {
            name: open_network(files[f"{name}.onnx"]) for name in NETWORKS
        }
        self._takes_pose = (
            len(self._sessions["measurer"].get_inputs()) > 1
        )  # models before 1.3.0 do not

    def warm(self) -> None:
        """Run each network once on grey, so that the first photo does not pay for the set-up."""
        self.find(np.full((FINDER_SIDE, FINDER_SIDE, 3), 128, np.uint8))
        self.align(np.full((ALIGN.height, ALIGN.width, 3), 128, np.uint8))
        self.measure(
            np.full((READ.height, READ.width, 3), 128, np.uint8), np.linalg.inv(READ.matrix)
        )

    def find(self, square: Array) -> Found:
        """Find the blade on a square of FINDER_SIDE pixels."""
        points, variance, *logits = self._run("finder", square)
        return Found(points[0], variance[0], *(float(logit[0]) for logit in logits))

    def align(self, strip: Array) -> Aligned:
        """Find the slot's corners on a rough strip."""
        corners, side = self._run("aligner", strip)
        return Aligned(corners[0].reshape(4, 2), float(side[0]))

    def measure(self, strip: Array, pose: Array) -> Measured:
        """Measure a strip that was straightened under this pose."""
        edges, depths, spread, kinds, fit, corners = self._run(
            "measurer", strip, pose_features(pose)
        )
        return Measured(
            edges[0], depths[0], spread[0], kinds[0], float(fit[0]), corners[0].reshape(4, 2)
        )

    def _run(self, name: str, picture: Array, pose: Array | None = None) -> list[Array]:
        given = {"picture": to_input([picture])}
        if pose is not None and self._takes_pose:
            given["pose"] = pose[None]
        return self._answer(name, given)

    def _answer(self, name: str, inputs: dict[str, Array]) -> list[Array]:
        answers: list[Array] = self._sessions[name].run(None, inputs)
        return answers
