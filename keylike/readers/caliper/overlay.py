"""Draws a reading over its photo: outline, cut lines and depths."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from keylike.images.photo import Photo
from keylike.readers.contract import Reading

_OUTLINE, _CUT, _SHADE, _INK = (64, 220, 255), (255, 196, 0), (0, 0, 0), (255, 255, 255)


def draw_overlay(photo: Photo, reading: Reading) -> Image.Image:
    """Return the photo with the reading drawn on it, or unchanged if it has no geometry."""
    image = Image.fromarray(photo.pixels)
    if reading.drawing is None:
        return image
    pen, width = ImageDraw.Draw(image), max(2, max(image.size) // 500)
    font = ImageFont.load_default(size=max(14, max(image.size) // 45))
    pen.line([*reading.drawing.outline, reading.drawing.outline[0]], fill=_OUTLINE, width=width)
    for cut, line in zip(reading.cuts, reading.drawing.cut_lines, strict=True):
        pen.line([line.foot, line.root], fill=_CUT, width=width)
        beyond = tuple(
            root + (root - foot) * 0.45 for foot, root in zip(line.foot, line.root, strict=True)
        )
        pen.text(
            (beyond[0], beyond[1]),
            str(cut.depth),
            fill=_INK,
            font=font,
            anchor="mm",
            stroke_width=width,
            stroke_fill=_SHADE,
        )
    title = f"{reading.keyway}  {','.join(map(str, reading.codes))}  {reading.confidence:.0%}"
    pen.text((10, 10), title, fill=_INK, font=font, stroke_width=width, stroke_fill=_SHADE)
    return image
