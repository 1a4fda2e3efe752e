"""Draws the plots of the comparison as small SVG files on a white background."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from tools.benchmarks.serving.figures import LoadFigures, OverloadFigures
from tools.benchmarks.serving.results import ComparisonResults
from tools.benchmarks.serving.servers import KEYLIKE
from tools.benchmarks.serving.targets import CLIENTS

# Colours that colour-blind readers can distinguish (Okabe and Ito, 2008). The first is Keylike's.
_COLOURS = ("#d55e00", "#999999", "#0072b2", "#56b4e9", "#009e73", "#cc79a7", "#e69f00")
_GREY = "#555555"
# Settings of matplotlib. With the fixed salt and with text kept as text, the same results give the
# same SVG file.
_STYLE = {
    "svg.hashsalt": "comparison",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e5e5e5",
    "axes.axisbelow": True,
}
Value = Callable[[LoadFigures], float | None]
# The parts of a bar in the overload plot: label, colour, and function that counts the requests.
_OUTCOMES: tuple[tuple[str, str, Callable[[OverloadFigures], float]], ...] = (
    ("accepted, answered during the load", "#009e73", lambda run: run.accepted_per_s * run.seconds),
    (
        "accepted, answered after the load",
        "#a6dccb",
        lambda run: run.accepted - run.accepted_per_s * run.seconds,
    ),
    ("refused with 503 and Retry-After", "#e69f00", lambda run: run.refused),
    ("failed", "#cc3311", lambda run: sum(run.failures.values())),
)


def draw(results: ComparisonResults, sizes: list[str], folder: Path) -> list[str]:
    """Write the plots into the folder and return their file names."""
    with rc_context(_STYLE):
        plots = {
            "throughput.svg": _lines_by_clients(
                results,
                sizes,
                lambda figures: figures.per_s,
                "photos per second",
                show_baseline=True,
            ),
            "p95.svg": _lines_by_clients(
                results,
                sizes,
                lambda figures: figures.p95_ms and figures.p95_ms / 1e3,
                "latency in seconds, p95",
                log=True,
            ),
            "cpu.svg": _bars(
                results,
                sizes,
                lambda name, size: results.median(name, size, CLIENTS, _cpu),
                "processor ms per photo",
                show_baseline=True,
            ),
            "memory.svg": _bars(results, sizes, results.peak_memory, "peak memory, MB"),
            "overload.svg": _overload(results),
        }
        for name, figure in plots.items():
            figure.savefig(
                folder / name, metadata={"Date": None}, facecolor="white", bbox_inches="tight"
            )
    return list(plots)


def _cpu(figures: LoadFigures) -> float | None:
    return figures.cpu_ms


def _lines_by_clients(
    results: ComparisonResults,
    sizes: list[str],
    value: Value,
    label: str,
    *,
    show_baseline: bool = False,
    log: bool = False,
) -> Any:
    """Plot one line for each server, in one panel for each size. The baseline is a dashed line."""
    figure = Figure(figsize=(9, 3.4))
    panels = figure.subplots(1, len(sizes), squeeze=False)
    clients = sorted({row.figures.clients for row in results.measurements})
    for panel, size in zip(panels[0], sizes, strict=True):
        for name, colour in _colours_by_name(results):
            values = [results.median(name, size, number, value) for number in clients]
            width, order = (2.4, 3) if name == KEYLIKE else (1.3, 2)
            panel.plot(
                clients,
                values,
                marker="o",
                markersize=3.5,
                color=colour,
                linewidth=width,
                label=name,
                zorder=order,
            )
        if show_baseline:
            panel.axhline(
                results.baseline(size, lambda baseline: baseline.per_s),
                color=_GREY,
                linestyle="--",
                linewidth=1,
                label="no server",
            )
        panel.set(
            title=size,
            xlabel="clients",
            xscale="log",
            xticks=clients,
            xticklabels=list(map(str, clients)),
        )
        panel.minorticks_off()
        if log:
            panel.set(yscale="log")
            panel.yaxis.set_major_formatter("{x:g}")
        else:
            panel.set(ylim=(0, None))
    panels[0][0].set_ylabel(label)
    panels[0][-1].legend(frameon=False, bbox_to_anchor=(1.02, 1), loc="upper left")
    return figure


def _bars(
    results: ComparisonResults,
    sizes: list[str],
    height: Callable[[str, str], float | None],
    label: str,
    *,
    show_baseline: bool = False,
) -> Any:
    """Plot one bar for each server, in one panel for each size."""
    figure = Figure(figsize=(9, 2.8))
    panels = figure.subplots(1, len(sizes), sharey=True, squeeze=False)
    names, colours = zip(*reversed(_colours_by_name(results)), strict=True)
    for panel, size in zip(panels[0], sizes, strict=True):
        bars = panel.barh(names, [height(name, size) or 0.0 for name in names], color=colours)
        panel.bar_label(bars, fmt="%.0f", padding=2, color=_GREY)
        if show_baseline:
            panel.axvline(
                results.baseline(size, lambda baseline: baseline.cpu_ms),
                color=_GREY,
                linestyle="--",
                linewidth=1,
                label="no server",
            )
            panel.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.18))
        panel.set(title=size, xlabel=label)
        panel.grid(axis="y", visible=False)
        panel.margins(x=0.12)
    return figure


def _overload(results: ComparisonResults) -> Any:
    """Plot the outcomes of the overload in requests per second. A black mark shows the peak."""
    figure = Figure(figsize=(9, 0.9 + 0.6 * len(results.overloads)))
    panel = figure.subplots()
    names = list(reversed(results.overloads))
    left = [0.0] * len(names)
    for label, colour, count in _OUTCOMES:
        widths = [
            count(results.overloads[name]) / results.overloads[name].seconds for name in names
        ]
        panel.barh(names, widths, left=left, color=colour, label=label, height=0.6)
        left = [before + width for before, width in zip(left, widths, strict=True)]
    peaks = [results.overloads[name].peak_per_s for name in names]
    panel.plot(
        peaks,
        range(len(names)),
        "|",
        color="black",
        markersize=22,
        markeredgewidth=2,
        label="peak without overload",
    )
    panel.set(xlabel="requests per second of the overload")
    panel.grid(axis="y", visible=False)
    panel.legend(frameon=False, bbox_to_anchor=(1.02, 1.1), loc="upper left", markerscale=0.4)
    return figure


def _colours_by_name(results: ComparisonResults) -> list[tuple[str, str]]:
    return list(zip(results.server_names(), _COLOURS, strict=False))
