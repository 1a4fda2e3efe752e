"""Draws pictures for the notebook: a QR code, and a photo with its reading drawn on it.

The server's Python interpreter draws them (`python -m notebooks.pictures qr` or `overlay`), because
it has the packages for it. The input contains secrets, so it is sent through a pipe: other users
can see the arguments of a program.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keylike_client

_SCALE = 6  # pixels per square of the QR code


def qr_code(python: Path, home: Path, link: str) -> bytes:
    """Return a PNG of a QR code for `link`."""
    return _draw(python, home, "qr", link.encode())


def overlay(python: Path, home: Path, photo: bytes, reading: keylike_client.Reading) -> bytes:
    """Return the upright photo as a JPEG with outline, cuts and depths drawn on it."""
    return _draw(python, home, "overlay", _serialize(reading) + b"\n" + photo)


def _draw(python: Path, home: Path, picture: str, data: bytes) -> bytes:
    completed = subprocess.run(
        [python, "-m", "notebooks.pictures", picture], cwd=home, input=data, capture_output=True
    )
    if completed.returncode:
        raise RuntimeError(
            "Cannot draw the picture: "
            + completed.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        )
    return completed.stdout


def _serialize(reading: keylike_client.Reading) -> bytes:
    drawing = None
    if geometry := reading.geometry:
        drawing = (
            [geometry.width, geometry.height],
            geometry.outline,
            [(line.position, line.foot, line.root) for line in geometry.cuts],
        )
    cuts = [(cut.position, cut.depth, cut.probability, cut.depth_mm) for cut in reading.cuts]
    return json.dumps(
        [reading.keyway, reading.codes, reading.confidence, reading.calibrated, cuts, drawing]
    ).encode()


def _draw_qr_code(link: bytes) -> None:
    import segno

    segno.make(link.decode(), error="l", micro=False).save(
        sys.stdout.buffer, kind="png", scale=_SCALE, border=4
    )


def _draw_overlay(data: bytes) -> None:
    from keylike.images.libraries import configure_image_libraries
    from keylike.images.photo import open_photo
    from keylike.readers.caliper.overlay import draw_overlay
    from keylike.readers.contract import Cut, CutLine, Drawing, Quality, Reading

    configure_image_libraries()
    serialized, _, photo = data.partition(b"\n")
    keyway, codes, confidence, calibrated, cuts, geometry = json.loads(serialized)
    drawing = None
    if geometry:
        size, outline, lines = geometry
        cut_lines = tuple(
            CutLine(position, tuple(foot), tuple(root)) for position, foot, root in lines
        )
        drawing = Drawing(tuple(map(tuple, outline)), cut_lines, tuple(size))
    reading_cuts = tuple(Cut(*cut) for cut in cuts)
    reading = Reading(
        keyway, tuple(codes), confidence, calibrated, reading_cuts, (), Quality(), drawing
    )
    draw_overlay(open_photo(photo), reading).save(
        sys.stdout.buffer, "JPEG", quality=90, subsampling=0
    )


if __name__ == "__main__":
    {"qr": _draw_qr_code, "overlay": _draw_overlay}[sys.argv[1]](sys.stdin.buffer.read())
