"""Tests of QR codes: they are drawn as a terminal would do it, then decoded by OpenCV."""

from __future__ import annotations

import io
import re

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from keylike.terminal.qr_code import qr_code
from keylike.terminal.tunnel_console import link

ADDRESS = "https://zookeeper-gutter-hatchling.ngrok-free.dev"
LINK = link(ADDRESS, "kl_ll8mz0G5gcmTqL0NOIO-6tTY-zdEmjKq6kWDLtEl55Q")
DARK, LIGHT = ((229, 229, 229), (30, 30, 30)), ((40, 40, 40), (253, 246, 227))
STEP = 6
Colour = tuple[int, int, int]
# RGB colours for the codes of a terminal with 16 colours, here those of xterm.
BASIC = {30: (0, 0, 0), 37: (229, 229, 229), 90: (127, 127, 127), 97: (255, 255, 255)}


def printed(**settings: object) -> str:
    """Return what is printed on the terminal, or "" if no QR code is printed."""
    out = io.StringIO()
    console = Console(
        file=out,
        **{"force_terminal": True, "width": 80, "color_system": "truecolor", "soft_wrap": True}  # type: ignore[arg-type]
        | settings,
    )
    for line in qr_code(LINK, console):
        console.print(line, no_wrap=True)
    return out.getvalue()


def parse_colours(numbers: list[int], ink: Colour, ground: Colour) -> tuple[Colour, Colour]:
    """Return the text colour and the background colour after an escape sequence."""
    while numbers:
        first = numbers.pop(0)
        on_ground = first == 48 or 40 <= first < 48 or first >= 100
        if first in (38, 48):
            level = {16: 0, 231: 255}.get(numbers[1], 0)
            colour = (
                (numbers[1], numbers[2], numbers[3]) if numbers[0] == 2 else (level, level, level)
            )
            del numbers[: 4 if numbers[0] == 2 else 2]
        else:
            colour = BASIC[first - 10 if on_ground else first]
        ink, ground = (ink, colour) if on_ground else (colour, ground)
    return ink, ground


def photograph(text: str, default: tuple[Colour, Colour]) -> NDArray[np.uint8]:
    """Return a picture of the terminal with a margin.

    Each character is drawn as two squares, one above the other.
    """
    rows: list[list[Colour]] = []
    for line in text.splitlines():
        (ink, ground), upper, lower = default, [], []
        for sequence, character in re.findall(r"\x1b\[([\d;]*)m|(.)", line):
            if character:
                upper.append(ink if character in "█▀" else ground)
                lower.append(ink if character in "█▄" else ground)
            else:
                numbers = [int(each) for each in sequence.split(";") if each]
                ink, ground = parse_colours(numbers, ink, ground) if any(numbers) else default
        rows += [upper, lower]
    squares = np.array(rows, dtype=np.uint8).repeat(STEP, 0).repeat(STEP, 1)
    return cv2.copyMakeBorder(
        squares, 60, 60, 60, 60, cv2.BORDER_CONSTANT, value=default[1]
    ).astype(np.uint8)


def decode(picture: NDArray[np.uint8]) -> str:
    """Return the content of the QR code in a picture."""
    return str(cv2.QRCodeDetector().detectAndDecode(picture)[0])


@pytest.mark.parametrize("default", [DARK, LIGHT], ids=["dark", "light"])
@pytest.mark.parametrize("colours", ["truecolor", "256", "standard"])
def test_qr_code_in_colour_is_readable_on_dark_and_light_terminals(
    default: tuple[Colour, Colour], colours: str
) -> None:
    assert decode(photograph(printed(color_system=colours), default)) == LINK
    assert LINK.startswith(f"{ADDRESS}/#token=kl_")


def test_qr_code_without_colours_is_readable_but_inverted_on_light_terminals() -> None:
    for settings in ({"no_color": True}, {"color_system": None}):
        text = printed(**settings)
        assert "\x1b[38" not in text
        assert decode(photograph(text, DARK)) == LINK
        assert decode(255 - photograph(text, LIGHT)) == LINK


def test_qr_code_fits_80_columns_and_is_omitted_if_it_does_not_fit() -> None:
    lines = printed(width=80).splitlines()
    assert 20 <= len(lines) <= 24 and all(
        line.count("▀") == lines[0].count("▀") <= 50 for line in lines
    )
    assert printed(width=lines[0].count("▀") - 1) == ""


def test_qr_code_is_omitted_if_output_is_not_a_terminal() -> None:
    assert printed(force_terminal=False) == ""
