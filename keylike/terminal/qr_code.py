"""Print QR codes on the terminal, in black on white, with two rows per line of text."""

from __future__ import annotations

from rich.console import Console
from rich.style import Style
from rich.text import Text

# Width of the white margin, in modules (squares of the code). Cameras need it to find the code.
_BORDER = 4
_BLACK, _WHITE = "#000000", "#ffffff"
_STYLES = {
    (upper, lower): Style(color=upper, bgcolor=lower)
    for upper in (_BLACK, _WHITE)
    for lower in (_BLACK, _WHITE)
}
# Characters for a terminal without colours, where white modules have the colour of text. On a
# terminal with a light background, the code is then inverted, which phones can read too.
_PLAIN = {
    (_WHITE, _WHITE): "█",
    (_WHITE, _BLACK): "▀",
    (_BLACK, _WHITE): "▄",
    (_BLACK, _BLACK): " ",
}


def qr_code(content: str, console: Console) -> list[Text]:
    """Return the lines to print.

    The list is empty if the output is not a terminal, or if the code is wider than the terminal: a
    code whose lines are wrapped cannot be read.
    """
    if not console.is_terminal:
        return []
    import segno  # imported late: only terminals need it

    modules = segno.make(content, error="l", micro=False).matrix_iter(border=_BORDER)
    rows = [[_BLACK if dark else _WHITE for dark in row] for row in modules]
    if len(rows[0]) > console.width:
        return []
    rows += [[_WHITE] * len(rows[0])] * (len(rows) % 2)
    coloured = console.color_system is not None and not console.no_color
    return [
        _line(pair, coloured)
        for pair in ([*zip(*rows[at : at + 2], strict=True)] for at in range(0, len(rows), 2))
    ]


def _line(pairs: list[tuple[str, str]], coloured: bool) -> Text:
    if coloured:
        return Text.assemble(*(("▀", _STYLES[pair]) for pair in pairs))
    return Text("".join(_PLAIN[pair] for pair in pairs))
