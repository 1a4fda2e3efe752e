"""Pictures for a notebook's cells: a QR code, and a photo with its reading drawn on it.

They are made by the server's Python (`python -m notebooks.pictures qr | overlay`), which has what that needs and opens every kind of photo
that the server does; the notebook's own needs nothing. What goes in is secret, so it goes through a pipe: a program's arguments are for
all to see.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keylike_client

_SCALE = 6


def qr_code(python: Path, home: Path, link: str) -> bytes:
    """A PNG that leads a phone to `link`."""
    return _made(python, home, "qr", link.encode())


def overlay(python: Path, home: Path, photo: bytes, reading: keylike_client.Reading) -> bytes:
    """The upright photo as a JPEG, with outline, cut lines and depths where the reader says where they are."""
    return _made(python, home, "overlay", _facts(reading) + b"\n" + photo)


def _made(python: Path, home: Path, what: str, given: bytes) -> bytes:
    done = subprocess.run(
        [python, "-m", "notebooks.pictures", what], cwd=home, input=given, capture_output=True
    )
    if done.returncode:
        raise RuntimeError(
            "The picture could not be drawn: "
            + done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        )
    return done.stdout


def _facts(reading: keylike_client.Reading) -> bytes:
    drawing = None
    if place := reading.geometry:
        drawing = (
            [place.width, place.height],
            place.outline,
            [(line.position, line.foot, line.root) for line in place.cuts],
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


def _draw_overlay(given: bytes) -> None:
    from keylike.images.libraries import configure_image_libraries
    from keylike.images.photo import open_photo
    from keylike.readers.caliper.overlay import draw_overlay
    from keylike.readers.contract import Cut, CutLine, Drawing, Quality, Reading

    configure_image_libraries()
    facts, _, photo = given.partition(b"\n")
    keyway, codes, confidence, calibrated, cuts, place = json.loads(facts)
    drawing = None
    if place:
        size, outline, lines = place
        cut_lines = tuple(
            CutLine(position, tuple(foot), tuple(root)) for position, foot, root in lines
        )
        drawing = Drawing(tuple(map(tuple, outline)), cut_lines, tuple(size))
    seen = tuple(Cut(*cut) for cut in cuts)
    reading = Reading(keyway, tuple(codes), confidence, calibrated, seen, (), Quality(), drawing)
    draw_overlay(open_photo(photo), reading).save(
        sys.stdout.buffer, "JPEG", quality=90, subsampling=0
    )


if __name__ == "__main__":
    {"qr": _draw_qr_code, "overlay": _draw_overlay}[sys.argv[1]](sys.stdin.buffer.read())
