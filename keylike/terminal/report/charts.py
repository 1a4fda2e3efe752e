"""Compute the coordinates of the charts, in units of their SVG viewBox. The template draws them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keylike.readers.evaluation.calibration import Bin
from keylike.readers.evaluation.coverage import CoveragePoint, point_at_coverage
from keylike.readers.evaluation.depths import Confusion, Errors
from keylike.terminal.report.formatting import MINUS, percent

Tick = tuple[float, str]
# Number of codes at which the coverage curve starts. Fewer codes give no meaningful accuracy.
LEAST_GIVEN = 5
# Largest number of points of the curve.
_MOST_POINTS = 160
# Number of shades of a cell in a confusion matrix.
_SHADES = 5


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map from values (`low` to `high`) to coordinates (`start` to `end`)."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return round(
            self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1
        )

    def ticks(self, values: Sequence[float], label: Callable[[float], str]) -> list[Tick]:
        """Return the coordinate and the label of each value."""
        return [(self(value), label(value)) for value in values]


def _whole(share: float) -> str:
    return percent(share, 0)


INTERVAL = Scale(0, 1, 6, 114)
INTERVAL_TICKS = INTERVAL.ticks(
    (0, 0.5, 1), lambda share: _whole(share) if share == 1 else f"{share * 100:.0f}"
)


@dataclass(frozen=True, slots=True)
class CoverageChart:
    """A chart of the accuracy by coverage.

    `line` is the curve and `band` its confidence interval, as SVG point lists. `mark` is the point
    at the coverage that the page states: x, y and label.
    """

    x_ticks: list[Tick]
    y_ticks: list[Tick]
    line: str
    band: str
    mark: tuple[float, float, str] | None


@dataclass(frozen=True, slots=True)
class Dot:
    """One bin of confidence.

    Attributes:
        x: Coordinate of the mean confidence.
        y: Coordinate of the accuracy.
        low: Coordinate of the lower end of the accuracy's interval.
        high: Coordinate of the upper end of the accuracy's interval.
        readings: Number of readings.
        bar_x: Left edge of the bar that shows this number.
        bar_y: Upper edge of the bar.
        bar_width: Width of the bar.
        bar_height: Height of the bar.
    """

    x: float
    y: float
    low: float
    high: float
    readings: int
    bar_x: float
    bar_y: float
    bar_width: float
    bar_height: float


@dataclass(frozen=True, slots=True)
class ReliabilityChart:
    """A chart of the accuracy by confidence, both from 0 to 1.

    `largest` is the number of readings of the tallest bar.
    """

    x_ticks: list[Tick]
    y_ticks: list[Tick]
    dots: list[Dot]
    largest: int


@dataclass(frozen=True, slots=True)
class ErrorChart:
    """A chart of the height errors of one keyway.

    `zero` and `half_step` are the y coordinates of lines at no error and at plus and minus half a
    depth step. Each entry of `cuts` is x, and the y of the mean signed and mean absolute error.
    """

    keyway: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    zero: float
    half_step_mm: float
    half_step: tuple[float, float]
    cuts: list[tuple[float, float, float]]


def coverage_chart(curve: Sequence[CoveragePoint], stated: float) -> CoverageChart:
    """Return the chart in 400 by 300 units. The curve starts at the fifth code.

    `stated` is the coverage to mark, from 0 to 1.
    """
    drawn = [point for point in curve if point.given >= LEAST_GIVEN] or list(curve[-1:])
    drawn = [*drawn[:: math.ceil(len(drawn) / _MOST_POINTS)], drawn[-1]]
    floor = min(0.9, math.floor(min(point.interval[0] for point in drawn) * 10) / 10)
    x, y = Scale(0, 1, 46, 380), Scale(floor, 1, 246, 14)
    points = [(x(point.coverage), y(point.accuracy)) for point in drawn]
    edges = [(x(point.coverage), y(point.interval[0])) for point in drawn] + [
        (x(p.coverage), y(p.interval[1])) for p in reversed(drawn)
    ]
    mark = point_at_coverage(curve, stated)
    return CoverageChart(
        x.ticks((0, 0.2, 0.4, 0.6, 0.8, 1), _whole),
        y.ticks(_tenths(floor), _whole),
        _points(points),
        _points(edges),
        (x(mark.coverage), y(mark.accuracy), f"{percent(mark.accuracy)} correct") if mark else None,
    )


def reliability_chart(bins: Sequence[Bin]) -> ReliabilityChart:
    """Return the chart, 400 units wide. Below it, bars show the number of readings of each bin."""
    x, y = Scale(0, 1, 46, 380), Scale(0, 1, 246, 14)
    largest = max(each.readings for each in bins)
    height = Scale(0, largest, 0, 40)
    dots = [
        Dot(
            x=x(each.confidence),
            y=y(each.accuracy),
            low=y(each.interval[0]),
            high=y(each.interval[1]),
            readings=each.readings,
            bar_x=x(each.low) + 1.5,
            bar_y=round(344 - height(each.readings), 1),
            bar_width=round(x(each.high) - x(each.low) - 3, 1),
            bar_height=height(each.readings),
        )
        for each in bins
    ]
    ticks = (0, 0.2, 0.4, 0.6, 0.8, 1)
    return ReliabilityChart(x.ticks(ticks, _whole), y.ticks(ticks, _whole), dots, largest)


def error_charts(errors: Sequence[Errors]) -> list[ErrorChart]:
    """Return one chart per keyway in 300 by 220 units. All have the same scale in millimetres."""
    if not errors:
        return []
    ends = [
        abs(value) for each in errors for cut in each.by_cut for value in (cut.signed, cut.absolute)
    ]
    top = math.ceil(max([*ends, *(each.step_mm / 2 for each in errors)]) * 10) / 10
    return [_error_chart(each, Scale(-top, top, 172, 12)) for each in errors]


def _error_chart(errors: Errors, y: Scale) -> ErrorChart:
    cuts, half = len(errors.by_cut), errors.step_mm / 2
    x = Scale(0.5, cuts + 0.5, 50, 290)
    step = 0.1 if y.high <= 0.4 else math.ceil(y.high / 4 * 10) / 10
    ticks = [
        count * step for count in range(-int(y.high / step + 1e-9), int(y.high / step + 1e-9) + 1)
    ]
    return ErrorChart(
        errors.keyway,
        x.ticks(range(1, cuts + 1), str),
        y.ticks(ticks, lambda value: f"{value:.1f}".replace("-", MINUS)),
        y(0),
        half,
        (y(half), y(-half)),
        [
            (x(position), y(cut.signed), y(cut.absolute))
            for position, cut in enumerate(errors.by_cut, 1)
        ],
    )


def shade(confusion: Confusion, true: int, read: int) -> str:
    """Return the CSS class of a cell by its share of the row, or "" for an empty cell.

    The classes r1 to r5 are for depths that were read correctly, and w1 to w5 for wrong ones.
    """
    count = confusion.counts.get((true, read), 0)
    if not count:
        return ""
    return f"{'r' if true == read else 'w'}{math.ceil(count / confusion.of(true) * _SHADES)}"


def _tenths(floor: float) -> list[float]:
    step = 2 if floor < 0.5 else 1
    return [tenth / 10 for tenth in range(10, round(floor * 10) - 1, -step)]


def _points(pairs: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in pairs)
