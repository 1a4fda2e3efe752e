"""The race as pictures: SVG files on white, small enough to live beside the words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from tools.benchmarks.serving.figures import Overload, Together
from tools.benchmarks.serving.results import Race
from tools.benchmarks.serving.servers import KEYLIKE
from tools.benchmarks.serving.targets import CALLERS

# Told apart by those who see colours differently as well (Okabe and Ito, 2008); the first is Keylike's.
_COLOURS = ("#d55e00", "#999999", "#0072b2", "#56b4e9", "#009e73", "#cc79a7", "#e69f00")
_GREY = "#555555"
# The same measurements give the same file.
_STYLE = {
    "svg.hashsalt": "race",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e5e5e5",
    "axes.axisbelow": True,
}
Wanted = Callable[[Together], float | None]
# What became of a request.
_BECAME: tuple[tuple[str, str, Callable[[Overload], float]], ...] = (
    ("accepted, answered while it lasted", "#009e73", lambda run: run.accepted_per_s * run.seconds),
    (
        "accepted, answered afterwards",
        "#a6dccb",
        lambda run: run.accepted - run.accepted_per_s * run.seconds,
    ),
    ("refused with 503 and Retry-After", "#e69f00", lambda run: run.refused),
    ("failed", "#cc3311", lambda run: sum(run.failures.values())),
)


def draw(race: Race, sizes: list[str], folder: Path) -> list[str]:
    """Writes them into the folder; gives the names of the files."""
    with rc_context(_STYLE):
        pictures = {
            "throughput.svg": _by_callers(
                race, sizes, lambda got: got.per_s, "photos a second", limit=True
            ),
            "p95.svg": _by_callers(
                race,
                sizes,
                lambda got: got.p95_ms and got.p95_ms / 1e3,
                "seconds to the answer, p95",
                log=True,
            ),
            "cpu.svg": _bars(
                race,
                sizes,
                lambda name, size: race.median(name, size, CALLERS, _cpu),
                "processor ms a photo",
                limit=True,
            ),
            "memory.svg": _bars(race, sizes, race.most_memory, "most memory, MB"),
            "overload.svg": _overload(race),
        }
        for name, picture in pictures.items():
            picture.savefig(
                folder / name, metadata={"Date": None}, facecolor="white", bbox_inches="tight"
            )
    return list(pictures)


def _cpu(got: Together) -> float | None:
    return got.cpu_ms


def _by_callers(
    race: Race,
    sizes: list[str],
    figure: Wanted,
    words: str,
    *,
    limit: bool = False,
    log: bool = False,
) -> Any:
    """A line a contender, a panel a size; the loop's as a dashed one."""
    picture = Figure(figsize=(9, 3.4))
    panels = picture.subplots(1, len(sizes), squeeze=False)
    callers = sorted({row.got.callers for row in race.measured})
    for panel, size in zip(panels[0], sizes, strict=True):
        for name, colour in _coloured(race):
            heights = [race.median(name, size, many, figure) for many in callers]
            width, above = (2.4, 3) if name == KEYLIKE else (1.3, 2)
            panel.plot(
                callers,
                heights,
                marker="o",
                markersize=3.5,
                color=colour,
                linewidth=width,
                label=name,
                zorder=above,
            )
        if limit:
            panel.axhline(
                race.limit(size, lambda loop: loop.per_s),
                color=_GREY,
                linestyle="--",
                linewidth=1,
                label="no server",
            )
        panel.set(
            title=size,
            xlabel="callers",
            xscale="log",
            xticks=callers,
            xticklabels=list(map(str, callers)),
        )
        panel.minorticks_off()
        if log:
            panel.set(yscale="log")
            panel.yaxis.set_major_formatter("{x:g}")
        else:
            panel.set(ylim=(0, None))
    panels[0][0].set_ylabel(words)
    panels[0][-1].legend(frameon=False, bbox_to_anchor=(1.02, 1), loc="upper left")
    return picture


def _bars(
    race: Race,
    sizes: list[str],
    height: Callable[[str, str], float | None],
    words: str,
    *,
    limit: bool = False,
) -> Any:
    """A bar a contender, a panel a size."""
    picture = Figure(figsize=(9, 2.8))
    panels = picture.subplots(1, len(sizes), sharey=True, squeeze=False)
    names, colours = zip(*reversed(_coloured(race)), strict=True)
    for panel, size in zip(panels[0], sizes, strict=True):
        bars = panel.barh(names, [height(name, size) or 0.0 for name in names], color=colours)
        panel.bar_label(bars, fmt="%.0f", padding=2, color=_GREY)
        if limit:
            panel.axvline(
                race.limit(size, lambda loop: loop.cpu_ms),
                color=_GREY,
                linestyle="--",
                linewidth=1,
                label="no server",
            )
            panel.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.18))
        panel.set(title=size, xlabel=words)
        panel.grid(axis="y", visible=False)
        panel.margins(x=0.12)
    return picture


def _overload(race: Race) -> Any:
    """What became of each second's requests, and the peak beside."""
    picture = Figure(figsize=(9, 0.9 + 0.6 * len(race.overloads)))
    panel = picture.subplots()
    names = list(reversed(race.overloads))
    left = [0.0] * len(names)
    for words, colour, count in _BECAME:
        widths = [count(race.overloads[name]) / race.overloads[name].seconds for name in names]
        panel.barh(names, widths, left=left, color=colour, label=words, height=0.6)
        left = [before + width for before, width in zip(left, widths, strict=True)]
    peaks = [race.overloads[name].peak_per_s for name in names]
    panel.plot(
        peaks,
        range(len(names)),
        "|",
        color="black",
        markersize=22,
        markeredgewidth=2,
        label="peak without overload",
    )
    panel.set(xlabel="requests for each second of the overload")
    panel.grid(axis="y", visible=False)
    panel.legend(frameon=False, bbox_to_anchor=(1.02, 1.1), loc="upper left", markerscale=0.4)
    return picture


def _coloured(race: Race) -> list[tuple[str, str]]:
    return list(zip(race.names(), _COLOURS, strict=False))
