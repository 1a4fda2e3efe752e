"""Turns stored pictures into network inputs with random errors.

Each pose gets an error like those of the earlier stages, so that a network learns to correct it.
The colours, contrast and noise change as they do between cameras. A plate is a stored, straightened
blade with wide margins. A strip is cut out of it, as the server cuts it out of a photo. The slot is
the fixed rectangle to which every blade is aligned (`frames.SLOT`).
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from keylike.keys.keyways import keyway
from keylike.readers.caliper.frames import (
    ALIGN,
    FINDER_SIDE,
    MIDLINE,
    READ,
    SLOT,
    TURN_OVER,
    TURN_ROUND,
    Array,
    Strip,
    fit_similarity,
    pose_features,
    project,
)
from keylike.readers.caliper.networks import CUTS_OF, KINDS
from tools.training.dataset import PLATE, PROFILE_U, WHOLE_SIDE, Labels
from tools.training.draw import chance, span
from tools.training.nets import DEPTHS, STRIDE, TILTS

_CENTRE = SLOT.mean(0)


def recolour(rng: np.random.Generator, picture: Array) -> Array:
    """Return the picture (float32) with random colours, contrast, blur and noise."""
    picture = picture.astype(np.float32)
    if chance(rng, 0.25):
        picture = np.repeat(picture.mean(2, keepdims=True), 3, 2)
    elif chance(rng, 0.2):
        picture = picture[..., rng.permutation(3)]
    if chance(rng, 0.7):
        picture = (picture - 128) * math.exp(rng.normal(0, 0.3)) + 128 + rng.normal(0, 22)
    if chance(rng, 0.15):
        picture = cv2.GaussianBlur(np.ascontiguousarray(picture), (0, 0), span(rng, 0.4, 1.5))
    if chance(rng, 0.2):
        picture = picture + rng.standard_normal((*picture.shape[:2], 1), dtype=np.float32) * span(
            rng, 1, 8
        )
    return np.clip(picture, 0, 255)


def _nudged(rng: np.random.Generator, strength: float) -> Array:
    """Return a small random error of rotation, scale, shift and perspective.

    The result is a homography from mm to mm. `strength` multiplies every part of the error.
    """
    turn, scale = rng.normal(0, 0.021) * strength, 1 + rng.normal(0, 0.03) * strength
    up, shear = 1 + rng.normal(0, 0.025) * strength, rng.normal(0, 0.03) * strength
    turned = np.array(
        [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    ) @ np.array([[scale, shear], [0, scale * up]])
    moved = (
        (SLOT - _CENTRE) @ turned.T
        + _CENTRE
        + rng.normal(0, 1, 2) * np.array([0.5, 0.3]) * strength
        + rng.normal(0, 0.12, (4, 2)) * strength
    )
    return np.asarray(
        cv2.getPerspectiveTransform(SLOT.astype(np.float32), moved.astype(np.float32)), float
    )


def found_pose_error(rng: np.random.Generator) -> Array:
    """Return an error like the finder's, as a homography from mm to mm.

    The finder's pose has no tilt, and is fitted to noisy midline points of a key that may be
    tilted. This function does the same with a random tilt and random noise.
    """
    axis, tilt, away = (
        span(rng, 0, 2 * math.pi),
        math.radians(span(rng, 0, 36) if chance(rng, 0.6) else span(rng, 0, 8)),
        span(rng, 70, 300),
    )
    turn = cv2.Rodrigues(np.array([math.cos(axis), math.sin(axis), 0]) * tilt)[0]
    camera = np.stack(
        [turn[:, 0], turn[:, 1], turn @ np.array([-_CENTRE[0], -_CENTRE[1], 0]) + [0, 0, away]], 1
    )
    camera = np.diag([away, -away, 1.0]) @ camera  # y down, as in a photo
    noise = abs(rng.normal(0, 1.0)) if chance(rng, 0.8) else span(rng, 1, 2.5)
    points = (
        project(camera, MIDLINE)
        + rng.normal(0, 0.5 * noise, (len(MIDLINE), 2))
        + rng.normal(0, 1, 2) * noise * np.array([1.0, 0.7])
    )
    return np.linalg.inv(fit_similarity(points, np.ones(len(MIDLINE)))) @ camera


def _cut(plate: Array, wrong: Array, strip: Strip) -> tuple[Array, Array]:
    """Return the blade straightened with an incorrect pose, and the map from true mm to pixels.

    Args:
        plate: Stored picture of the blade.
        wrong: Error of the pose, a homography from true mm to wrong mm.
        strip: Size and scale of the straightened picture.
    """
    to_strip = strip.matrix @ wrong
    picture = cv2.warpPerspective(
        plate,
        to_strip @ np.linalg.inv(PLATE.matrix),
        (strip.width, strip.height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return picture, to_strip


def finder_sample(
    rng: np.random.Generator, pictures: Array, labels: Labels, row: int
) -> tuple[Array, dict[str, Array]]:
    """Return one training sample of the finder: its square picture, and the targets.

    The stored photo is rotated, sometimes mirrored, scaled and shifted into the square.

    Targets:
        points: Midline points and tip in pixels of the square, (8, 2).
        key: 1 if there is a key, else 0.
        several: 1 if there are further whole keys, else 0.
    """
    pose = labels.pose[row].astype(float)
    key = KINDS[int(labels.kind[row])] != "none"
    tip = [[labels.length[row], labels.tip_v[row]]] if key else [[26.0, 4.0]]
    points = project(pose, np.concatenate([MIDLINE, tip]))
    turn = float(rng.choice([0, 90, 180, 270])) + rng.normal(0, 8) * chance(rng, 0.6)
    scale = FINDER_SIDE / WHOLE_SIDE * math.exp(rng.normal(0.08, 0.22))
    matrix: Array = cv2.getRotationMatrix2D((WHOLE_SIDE / 2, WHOLE_SIDE / 2), turn, scale)
    matrix[:, 2] += (FINDER_SIDE - WHOLE_SIDE) / 2
    if chance(rng, 0.5):
        matrix = matrix @ np.array([[-1, 0, WHOLE_SIDE - 1], [0, 1, 0], [0, 0, 1.0]])
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    low, high = moved.min(0), moved.max(0)
    for axis in (0, 1):
        room = high[axis] - low[axis] < FINDER_SIDE - 6
        left, right = min(0.0, 3 - low[axis]), max(0.0, FINDER_SIDE - 3 - high[axis])
        matrix[axis, 2] += (
            span(rng, left, right) * 0.7 if room else (FINDER_SIDE - high[axis] - low[axis]) / 2
        )
    picture = cv2.GaussianBlur(pictures, (3, 3), 0.45 / scale * 0.62) if scale < 0.8 else pictures
    border = cv2.BORDER_REPLICATE if chance(rng, 0.6) else cv2.BORDER_CONSTANT
    picture = cv2.warpAffine(
        picture,
        matrix,
        (FINDER_SIDE, FINDER_SIDE),
        flags=cv2.INTER_LINEAR,
        borderMode=border,
        borderValue=(120, 120, 120),
    )
    targets = {
        "points": points @ matrix[:, :2].T + matrix[:, 2],
        "key": np.array(float(key)),
        "several": np.array(float(_several(labels, row, matrix))),
    }
    return recolour(rng, picture), targets


def _several(labels: Labels, row: int, matrix: Array) -> bool:
    """Return True if a second blade is completely inside the finder's square."""
    if labels.others is None:
        return False
    ends = labels.others[row] @ matrix[:, :2].T + matrix[:, 2]
    return bool(((ends > 0) & (ends < FINDER_SIDE)).all((1, 2)).any())


def aligner_sample(
    rng: np.random.Generator, pictures: Array, labels: Labels, row: int
) -> tuple[Array, dict[str, Array]]:
    """Return one training sample of the aligner: a strip with a rough pose, and the targets.

    In half of the samples the strip is upside down, with the cuts on the lower side.

    Targets:
        edges: Upper and lower edge of the blade as the strip shows it, mm, (2, 80).
        edge_weight: 1 for columns on the blade, else 0, (2, 80).
        corners: Offsets of the slot's corners in mm, (8,).
        over: 1 if the strip is upside down.
        key: 1 if there is a key.
        sided: 1 if the key has cuts, so that `over` can be learnt.
    """
    over, kind = chance(rng, 0.5), KINDS[int(labels.kind[row])]
    wrong = found_pose_error(rng) if chance(rng, 0.6) else _nudged(rng, span(rng, 0.3, 2.0))
    wrong = wrong @ (TURN_OVER if over else np.eye(3))
    picture, to_strip = _cut(pictures, wrong, ALIGN)
    slot = project(TURN_OVER, SLOT) if over else SLOT
    offsets = (project(to_strip, slot) - project(ALIGN.matrix, SLOT)) / ALIGN.px_per_mm
    edges, weight = _edge_targets(labels, row, to_strip, ALIGN)
    targets = {
        "edges": edges[::-1] if over else edges,
        "edge_weight": weight * (kind != "none"),
        "corners": offsets.ravel(),
        "over": np.array(float(over)),
        "key": np.array(float(kind != "none")),
        # A blank has no cuts, so nothing shows which way up it is.
        "sided": np.array(float(kind not in ("none", "blank"))),
    }
    return recolour(rng, picture), targets


def measurer_sample(
    rng: np.random.Generator, pictures: Array, labels: Labels, row: int
) -> tuple[Array, dict[str, Array]]:
    """Return one training sample of the measurer: a strip with a nearly correct pose, and targets.

    In one of twelve samples the strip is misaligned on purpose. Only the target `fit` is used then.
    Foreign keys (of families that the reader does not support) are often stretched or compressed
    until their cuts fit a supported family. The network must learn to detect that.

    Targets:
        edges, edge_weight: As for the aligner, (2, 96).
        depths: Blade height at each cut in mm, (11,).
        visible: 1 where the outline really has that height, (11,).
        kind: Index in KINDS.
        fit: 1 if the strip is aligned with a blade.
        corners: Remaining offsets of the slot's corners in mm, (8,).
        known: 1 if `kind` may be learnt, 0 for a misaligned strip.
        pose: Pose features (`frames.pose_features`), which are an input of the network.
        tilt: The first of the pose features of the key itself, (4,).
    """
    kind, misfit = KINDS[int(labels.kind[row])], chance(rng, 1 / 12)
    wrong = _nudged(rng, float(rng.choice([1.0, 0.5, 0.25])))
    if misfit:
        wrong = wrong @ _misfit(rng)
    elif labels.row[row][1] and chance(rng, 0.55 if kind == "other" else 0.12):
        wrong = wrong @ _taken_for(rng, labels.row[row])
    picture, to_strip = _cut(pictures, wrong, READ)
    fits = kind != "none" and not misfit
    edges, weight = _edge_targets(labels, row, to_strip, READ)
    weight *= fits
    depths, visible = np.zeros(DEPTHS), np.zeros(DEPTHS)
    if fits and kind in CUTS_OF:
        cuts = CUTS_OF[kind]
        count = cuts.stop - cuts.start
        depths[cuts] = labels.depths[row][:count]
        visible[cuts] = labels.visible[row][:count]
    corners = (project(to_strip, SLOT) - project(READ.matrix, SLOT)) / READ.px_per_mm
    targets = {
        "edges": edges, "edge_weight": weight, "depths": depths, "visible": visible, "kind": np.array(float(KINDS.index(kind))),
        "fit": np.array(float(fits)), "corners": corners.ravel(), "known": np.array(float(not misfit)),
        "pose": pose_features(labels.pose[row].astype(float) @ np.linalg.inv(wrong)),
        "tilt": pose_features(labels.pose[row].astype(float))[:TILTS],
    }  # fmt: skip
    return recolour(rng, picture), targets


def _taken_for(rng: np.random.Generator, row: Array) -> Array:
    """Return the homography (mm to mm) that moves a blade's cuts to those of a supported family.

    A wrong code for a foreign key arises in this way: the pose search explains the difference in
    proportions as tilt. In two of eight cases the cuts are also shifted by one spacing.

    Args:
        rng: Random source.
        row: Position of the first cut and spacing of the cuts, in mm.
    """
    way = keyway(("SC1", "KW1")[int(rng.integers(2))])
    along = way.spacing_mm / float(row[1])
    shift = (
        way.first_cut_mm
        - along * float(row[0])
        + way.spacing_mm * int(rng.choice([0, 0, 0, 0, 0, 0, 1, -1]))
    )
    if abs(math.log(along)) > 0.3 or abs(shift) > 6:
        return np.eye(3)
    across = along if chance(rng, 0.25) else 1.0 + rng.normal(0, 0.015)
    return np.array([[along, 0, shift], [0, across, 0], [0, 0, 1.0]])


def _misfit(rng: np.random.Generator) -> Array:
    """Return a large error of the pose, mm to mm: flipped, reversed, both, or shifted far off."""
    choice = int(rng.integers(0, 4))
    if choice == 3:
        far = np.eye(3)
        far[:2, 2] = rng.choice([-1, 1], 2) * np.array([span(rng, 2.5, 8), span(rng, 0, 3)])
        return far
    return (TURN_OVER, TURN_ROUND, TURN_OVER @ TURN_ROUND)[choice]


def _edge_targets(labels: Labels, row: int, to_strip: Array, strip: Strip) -> tuple[Array, Array]:
    """Return the edges (2, width / 4) and their weights.

    Edges are in mm from the top of the strip. The edge with the cuts is the first one. Columns on
    the blade have weight 1, the others 0.
    """
    columns = (np.arange(strip.width // STRIDE) + 0.5) * STRIDE - 0.5
    length = float(labels.length[row])
    on_blade = length + 0.3 > PROFILE_U
    edges = np.zeros((2, len(columns)))
    for side in (0, 1):
        pixels = project(
            to_strip, np.stack([PROFILE_U[on_blade], labels.profile[row][side][on_blade]], 1)
        )
        order = np.argsort(pixels[:, 0])
        edges[side] = np.interp(columns, pixels[order, 0], pixels[order, 1])
    ends = project(to_strip, np.array([[0.4, 4.0], [length - 0.4, 4.0]]))[:, 0]
    inside = (ends[0] < columns) & (ends[1] > columns)
    return (edges + 0.5) / strip.px_per_mm, np.repeat(inside[None].astype(float), 2, 0)


SAMPLERS = {"finder": finder_sample, "aligner": aligner_sample, "measurer": measurer_sample}
