"""Draws backgrounds and objects around the key: coins, rings, screws, rulers, combs and others."""

from __future__ import annotations

import math

import cv2
import numpy as np

from tools.training.draw import Array, chance, soft_blur, span, superellipse, value_noise
from tools.training.light import METALS

SIDE = 640  # side of a square background in pixels


def surface(rng: np.random.Generator, plain: bool = False) -> Array:
    """Return one random background, (640, 640, 3) uint8. `plain` allows no pattern but noise."""
    makers = (
        (_plain,)
        if plain
        else (_plain, _plain, _wood, _stone, _cloth, _print, _specks, _tiles, _gravel, _grid)
    )
    pattern, dark, bright = makers[int(rng.integers(len(makers)))](rng)
    colour = dark + (bright - dark) * pattern
    colour += rng.normal(0, span(rng, 0, 7), (SIDE, SIDE, 1))
    return np.clip(colour, 0, 255).astype(np.uint8)


def _two_colours(rng: np.random.Generator) -> tuple[Array, Array]:
    first = (
        np.full(3, span(rng, 20, 245))
        + rng.normal(0, 14, 3)
        + (rng.normal(0, 45, 3) if chance(rng, 0.25) else 0)
    )
    return first, first + rng.normal(0, 45) + rng.normal(0, 18, 3)


def _plain(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    noise = value_noise(rng, SIDE, SIDE, span(rng, 2, 200), int(rng.integers(1, 6)))
    return (noise * span(rng, 0.02, 1))[..., None], *_two_colours(rng)


def _wood(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    rings = value_noise(rng, SIDE, SIDE, span(rng, 30, 90), 3, span(rng, 4, 12))
    pattern = (0.5 + 0.5 * np.sin(rings * span(rng, 15, 80))) * 0.6 + 0.4 * value_noise(
        rng, SIDE, SIDE, 2, 1, 20
    )
    dark = np.array([span(rng, 100, 210), span(rng, 60, 150), span(rng, 30, 110)])
    return pattern[..., None], dark, dark * span(rng, 0.45, 0.9)


def _stone(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    veins = np.abs(value_noise(rng, SIDE, SIDE, span(rng, 80, 200), 4) - 0.5) * 2
    return (np.clip(1 - veins * span(rng, 4, 16), 0, 1) * span(rng, 0.2, 0.8))[
        ..., None
    ], *_two_colours(rng)


def _cloth(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    period, turn = span(rng, 3, 14), span(rng, 0, math.pi)
    warp = np.sin(2 * math.pi * (x * math.cos(turn) + y * math.sin(turn)) / period)
    weft = np.sin(
        2 * math.pi * (-x * math.sin(turn) + y * math.cos(turn)) / period * span(rng, 0.7, 1.3)
    )
    pattern = (0.5 + 0.25 * warp + 0.25 * weft) * 0.7 + 0.3 * value_noise(rng, SIDE, SIDE, 3, 2)
    return (pattern * span(rng, 0.15, 0.9))[..., None], *_two_colours(rng)


def _print(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    line = int(span(rng, 12, 50))
    page: Array = np.zeros((SIDE, SIDE), np.uint8)
    for y in range(line, SIDE, int(line * 1.4)):
        letters = "".join(
            chr(97 + int(i)) if i < 26 else " " for i in rng.integers(0, 30, int(SIDE / line * 2.2))
        )
        cv2.putText(
            page,
            letters,
            (int(span(rng, -20, 20)), y),
            int(rng.integers(0, 8)),
            line / 32,
            255,
            max(1, line // 14),
            cv2.LINE_AA,
        )
    if chance(rng, 0.5):
        page = cv2.GaussianBlur(page, (0, 0), span(rng, 0.5, 1.5))
    return (
        (page.astype(np.float32) / 255)[..., None],
        np.full(3, span(rng, 190, 250)),
        np.full(3, span(rng, 0, 110)),
    )


def _specks(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    specks = (value_noise(rng, SIDE, SIDE, span(rng, 2, 9), 2) > span(rng, 0.5, 0.75)).astype(
        np.float32
    )
    return (cv2.GaussianBlur(specks, (0, 0), span(rng, 0.5, 2)) * span(rng, 0.2, 1))[
        ..., None
    ], *_two_colours(rng)


def _tiles(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    pattern = value_noise(rng, SIDE, SIDE, span(rng, 2, 20), 3) * 0.4
    period, width = int(span(rng, 40, 300)), int(span(rng, 1, 6))
    crossed = chance(rng, 0.6)
    for start in range(0, SIDE, period):
        pattern[start : start + width] = 1
        if crossed:
            pattern[:, start : start + width] = 1
    return pattern[..., None], *_two_colours(rng)


def _gravel(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return cells of one shade each with dark gaps between them, like gravel or leather."""
    count = int(span(rng, 60, 1500))
    seeds = np.full((SIDE, SIDE), 255, np.uint8)
    seeds[rng.integers(0, SIDE, count), rng.integers(0, SIDE, count)] = 0
    away, labels = cv2.distanceTransformWithLabels(
        seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP
    )
    shades = rng.random(int(labels.max()) + 1).astype(np.float32)[labels]
    reach = math.sqrt(SIDE * SIDE / count / math.pi)
    pattern = shades * np.clip(1.6 - away / reach, span(rng, 0, 0.8), 1) * 0.8 + 0.2 * value_noise(
        rng, SIDE, SIDE, 3, 2
    )
    return (pattern * span(rng, 0.3, 1))[..., None], *_two_colours(rng)


def _grid(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    pattern = value_noise(rng, SIDE, SIDE, span(rng, 50, 200), 2) * 0.3
    period = int(span(rng, 12, 60))
    pattern[::period], pattern[:, ::period] = 1, 1
    return (
        (pattern * span(rng, 0.2, 1))[..., None],
        np.full(3, span(rng, 150, 245)),
        np.full(3, span(rng, 20, 150)),
    )


def crop(rng: np.random.Generator, grounds: list[Array], height: int, width: int) -> Array:
    """Return a piece of a random background, rotated and scaled: (height, width, 3) float32."""
    ground = grounds[int(rng.integers(len(grounds)))]
    side = int(SIDE * span(rng, 0.35, 1.0))
    y, x = (int(rng.integers(0, SIDE - side + 1)) for _ in range(2))
    big = max(height, width)
    if chance(rng, 0.5):
        centre, turn = (x + side / 2, y + side / 2), span(rng, 0, 360)
        matrix: Array = cv2.getRotationMatrix2D(centre, turn, big / side)
        matrix[:, 2] += big / 2 - np.array(centre)
        piece = cv2.warpAffine(
            ground, matrix, (big, big), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
    else:
        piece = cv2.resize(
            ground[y : y + side, x : x + side], (big, big), interpolation=cv2.INTER_LINEAR
        )
    if chance(rng, 0.3):
        piece = piece[..., rng.permutation(3)]
    return np.ascontiguousarray(piece[:height, :width], dtype=np.float32)


def scatter(rng: np.random.Generator, picture: Array, px_per_mm: float) -> None:
    """Draw one coin, ring, screw, ruler or long notched object on the picture, in place."""
    kind = int(rng.integers(0, 8))
    height, width = picture.shape[:2]
    at = (span(rng, 0, width), span(rng, 0, height))
    if kind <= 1:
        _coin(rng, picture, at, px_per_mm)
    elif kind == 2:
        _ring(rng, picture, at, px_per_mm)
    elif kind == 3:
        _screw(rng, picture, at, px_per_mm)
    elif kind == 4:
        _ruler(rng, picture, at, px_per_mm)
    else:
        maker = (_toothed, _toothed, _zip, _remote, _rod)[int(rng.integers(5))]
        maker(rng, picture, at, px_per_mm)


def _placed(points: Array, at: tuple[float, float], turn: float, px: float) -> Array:
    """Return points rotated about (0, 0) and moved to `at`, in sixteenths of a pixel.

    Args:
        points: Points in mm.
        at: New position of (0, 0) in pixels.
        turn: Angle in radians.
        px: Pixels per mm.
    """
    spin = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    return np.round((points @ spin.T * px + np.array(at)) * 16).astype(np.int32)


def _paint_or_metal(rng: np.random.Generator, shape: tuple[int, ...], px: float) -> Array:
    if chance(rng, 0.5):
        return _metal(rng, shape, px * 3)
    return np.broadcast_to(rng.random(3) * span(rng, 60, 250), (*shape[:2], 3)).copy()


def _toothed(rng: np.random.Generator, picture: Array, at: tuple[float, float], px: float) -> None:
    """Draw a comb, a saw blade, a rack or a hair clip: a bar with square or pointed teeth."""
    long, wide, pitch = span(rng, 25, 90), span(rng, 4, 18), span(rng, 1.2, 6)
    deep, square = span(rng, 0.15, 0.8) * wide, chance(rng, 0.5)
    top: list[list[float]] = []
    for x in np.arange(0, long, pitch):
        if square:
            tooth = [[x, wide], [x + pitch * 0.5, wide], [x + pitch * 0.5, wide - deep]]
            top += [*tooth, [x + pitch, wide - deep]]
        else:
            top += [[x, wide - deep], [x + pitch * span(rng, 0.45, 0.55), wide]]
    outline = np.array([[0.0, 0.0], *top, [long, 0.0]]) - [long / 2, wide / 2]
    mask: Array = np.zeros(picture.shape[:2], np.uint8)
    placed = _placed(outline, at, span(rng, 0, 2 * math.pi), px)
    cv2.fillPoly(mask, [placed], 255, cv2.LINE_AA, 4)
    _shadow(rng, picture, mask, px)
    _lay(picture, mask, _paint_or_metal(rng, mask.shape, px))


def _zip(rng: np.random.Generator, picture: Array, at: tuple[float, float], px: float) -> None:
    """Draw a zip: cloth on both sides and two rows of teeth."""
    turn, long, wide = span(rng, 0, 2 * math.pi), span(rng, 60, 200), span(rng, 12, 30)
    cloth: Array = np.zeros(picture.shape[:2], np.uint8)
    teeth = np.zeros_like(cloth)
    band = np.array([[-long, -wide], [long, -wide], [long, wide], [-long, wide]]) / 2
    cv2.fillPoly(cloth, [_placed(band, at, turn, px)], 255, cv2.LINE_AA, 4)
    pitch, size = span(rng, 1.5, 3), span(rng, 1.0, 2.5)
    for i, x in enumerate(np.arange(-long / 2, long / 2, pitch)):
        middle = size * (0.4 if i % 2 else -0.4)
        corners = [[0, -size], [pitch * 0.7, -size], [pitch * 0.7, size], [0, size]]
        tooth = np.array(corners) + np.array([x, middle])
        cv2.fillPoly(teeth, [_placed(tooth, at, turn, px)], 255, cv2.LINE_AA, 4)
    _shadow(rng, picture, cloth, px)
    _lay(picture, cloth, np.broadcast_to(rng.random(3) * 180, picture.shape).copy())
    _lay(picture, teeth, _paint_or_metal(rng, teeth.shape, px))


def _remote(rng: np.random.Generator, picture: Array, at: tuple[float, float], px: float) -> None:
    """Draw a car's remote or a fob: a rounded plastic body with buttons."""
    turn, long, wide = span(rng, 0, 2 * math.pi), span(rng, 15, 38), span(rng, 10, 20)
    mask: Array = np.zeros(picture.shape[:2], np.uint8)
    body = superellipse((0, 0), (long, wide), span(rng, 2.2, 6))
    cv2.fillPoly(mask, [_placed(body, at, turn, px)], 255, cv2.LINE_AA, 4)
    _shadow(rng, picture, mask, px)
    dark = np.broadcast_to(rng.random(3) * span(rng, 10, 90), picture.shape).copy()
    _lay(picture, mask, dark)
    for x in np.linspace(-long * 0.6, long * 0.6, int(rng.integers(1, 5))):
        button = np.zeros_like(mask)
        outline = superellipse((float(x), 0), (long * 0.13, wide * 0.4), 3)
        cv2.fillPoly(button, [_placed(outline, at, turn, px)], 255, cv2.LINE_AA, 4)
        _lay(picture, button, np.clip(dark + span(rng, 10, 70), 0, 255))


def _rod(rng: np.random.Generator, picture: Array, at: tuple[float, float], px: float) -> None:
    """Draw a long, thin, often pointed object, like a pen, a knife or a nail."""
    long, wide, point = span(rng, 25, 120), span(rng, 2, 16), span(rng, 0, 20)
    outline = np.array(
        [[0, 0], [long, 0], [long + point, wide * span(rng, 0, 1)], [long, wide], [0, wide]]
    )
    mask: Array = np.zeros(picture.shape[:2], np.uint8)
    placed = _placed(outline - [long / 2, wide / 2], at, span(rng, 0, 2 * math.pi), px)
    cv2.fillPoly(mask, [placed], 255, cv2.LINE_AA, 4)
    _shadow(rng, picture, mask, px)
    _lay(picture, mask, _paint_or_metal(rng, mask.shape, px))


def _lay(picture: Array, mask: Array, colour: Array) -> None:
    share = cv2.GaussianBlur(mask, (0, 0), 0.8).astype(np.float32)[..., None] / 255
    picture += share * (colour.astype(np.float32) - picture)


def _metal(rng: np.random.Generator, shape: tuple[int, ...], cell: float) -> Array:
    base = METALS[int(rng.integers(len(METALS)))] * 255 * span(rng, 0.5, 1.1)
    return (0.4 + 0.6 * value_noise(rng, shape[0], shape[1], cell, 3))[..., None] * base


def _shadow(rng: np.random.Generator, picture: Array, mask: Array, px: float) -> None:
    shift = np.array([[1, 0, rng.normal(0, px)], [0, 1, rng.normal(0, px)]], np.float32)
    moved = cv2.warpAffine(mask, shift, mask.shape[::-1])
    dark = soft_blur(moved, max(0.5, span(rng, 0.3, 1.5) * px)).astype(np.float32) / 255
    picture *= 1 - span(rng, 0, 0.5) * dark[..., None]


def _coin(rng: np.random.Generator, picture: Array, at: tuple[float, float], px: float) -> None:
    mask: Array = np.zeros(picture.shape[:2], np.uint8)
    centre, radius = (int(at[0]), int(at[1])), int(px * span(rng, 7, 13))
    cv2.circle(mask, centre, radius, 255, -1, cv2.LINE_AA)
    _shadow(rng, picture, mask, px)
    colour = _metal(rng, mask.shape, px * 2)
    relief = np.zeros(mask.shape, np.uint8)
    cv2.circle(relief, centre, int(radius * 0.88), 255, max(1, int(px * 0.3)), cv2.LINE_AA)
    for turn in np.linspace(0, 2 * math.pi, int(rng.integers(8, 24)), endpoint=False):
        spot = (
            int(centre[0] + radius * 0.76 * math.cos(turn)),
            int(centre[1] + radius * 0.76 * math.sin(turn)),
        )
        cv2.circle(relief, spot, max(1, int(px * 0.4)), 200, -1, cv2.LINE_AA)
    blob = value_noise(rng, mask.shape[0], mask.shape[1], px * 3, 2) > 0.55
    inner = np.zeros_like(mask)
    cv2.circle(inner, centre, int(radius * 0.55), 255, -1)
    relief[blob & (inner > 0)] = 230
    edge = cv2.Sobel(
        cv2.GaussianBlur(relief, (0, 0), max(0.5, 0.15 * px)), cv2.CV_32F, 1, 1, ksize=3
    )
    _lay(picture, mask, np.clip(colour + edge[..., None] * span(rng, 0.5, 2), 0, 255))


def _ring(rng: np.random.Generator, picture: Array, at: tuple[float, float], px: float) -> None:
    mask: Array = np.zeros(picture.shape[:2], np.uint8)
    centre, radius = (int(at[0]), int(at[1])), int(px * span(rng, 8, 16))
    cv2.circle(mask, centre, radius, 255, max(1, int(px * span(rng, 0.8, 2))), cv2.LINE_AA)
    _shadow(rng, picture, mask, px)
    _lay(picture, mask, _metal(rng, mask.shape, px * 3))


def _bar(mask: Array, at: tuple[float, float], turn: float, long: float, wide: float) -> None:
    box = cv2.boxPoints((at, (long, wide), math.degrees(turn)))
    cv2.fillPoly(mask, [np.round(box * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)


def _screw(rng: np.random.Generator, picture: Array, at: tuple[float, float], px: float) -> None:
    turn = span(rng, 0, 2 * math.pi)
    mask: Array = np.zeros(picture.shape[:2], np.uint8)
    long, wide = span(rng, 15, 45) * px, span(rng, 2.5, 6) * px
    ahead = np.array([math.cos(turn), math.sin(turn)])
    _bar(mask, at, turn, long, wide)
    head = np.array(at) + ahead * long / 2
    _bar(mask, (float(head[0]), float(head[1])), turn, wide * 0.6, wide * 2)
    _shadow(rng, picture, mask, px)
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]].astype(np.float32)
    thread = 0.6 + 0.4 * np.sin(
        (x * ahead[0] + y * ahead[1] + 0.3 * (y * ahead[0] - x * ahead[1]))
        * 2
        * math.pi
        / (span(rng, 0.8, 1.6) * px)
    )
    _lay(picture, mask, _metal(rng, mask.shape, px * 3) * thread[..., None])


def _ruler(rng: np.random.Generator, picture: Array, at: tuple[float, float], px: float) -> None:
    turn = span(rng, 0, 2 * math.pi)
    mask: Array = np.zeros(picture.shape[:2], np.uint8)
    ahead, across = (
        np.array([math.cos(turn), math.sin(turn)]),
        np.array([-math.sin(turn), math.cos(turn)]),
    )
    wide, long = span(rng, 12, 30) * px, 4.0 * max(picture.shape)
    _bar(mask, at, turn, long, wide)
    _shadow(rng, picture, mask, px)
    colour = np.broadcast_to(
        np.full(3, span(rng, 120, 250)) * rng.normal(1, 0.05, 3), picture.shape
    ).copy()
    for tick in range(-90, 90):
        start = np.array(at) + ahead * tick * px - across * wide / 2
        end = start + across * px * (5 if tick % 10 == 0 else 4 if tick % 5 == 0 else 2.5)
        cv2.line(
            colour,
            [int(v) for v in start],
            [int(v) for v in end],
            (40, 40, 40),
            max(1, int(px * 0.15)),
            cv2.LINE_AA,
        )
    _lay(picture, mask, colour)


def finger(
    rng: np.random.Generator, picture: Array, tip: Array, away: float, radius: float
) -> None:
    """Draw a finger on the picture, in place.

    Args:
        rng: Random source.
        picture: Picture to draw on.
        tip: Position of the fingertip in pixels.
        away: Direction from the fingertip to the hand, in radians.
        radius: Half the width of the finger in pixels.
    """
    height, width = picture.shape[:2]
    turn = away + rng.normal(0, 0.7)
    mask = np.zeros((height, width), np.uint8)
    far = np.asarray(tip) + np.array([math.cos(turn), math.sin(turn)]) * 2 * max(height, width)
    cv2.line(mask, [int(v) for v in tip], [int(v) for v in far], 255, max(2, int(2 * radius)))
    depth = np.clip(
        cv2.distanceTransform((mask > 0).astype(np.uint8), cv2.DIST_L2, 3) / radius, 0, 1
    )
    skin = np.array([span(rng, 130, 230), span(rng, 100, 175), span(rng, 80, 150)]) * span(
        rng, 0.5, 1.1
    )
    round_light = 0.55 + 0.45 * np.sqrt(np.clip(1 - (1 - depth) ** 2, 0, 1))
    _lay(picture, mask, skin * round_light[..., None])
