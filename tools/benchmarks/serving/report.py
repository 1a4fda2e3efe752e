"""The race in words: a page of tables, and one line of JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from tools.benchmarks.serving.figures import Together
from tools.benchmarks.serving.results import Race
from tools.benchmarks.serving.servers import GUIDE
from tools.benchmarks.serving.targets import CALLERS, targets

_WORDS = f"""\
How to read it. Every contender decodes with `utils/image_processing.py` ({GUIDE} with Pillow, in full) and reads with the same embedded
reader. Photos are the shipped samples, made 640x480 or 4000x3000 pixels large, each sent with a comment of its own in it, so that no cache
spares its reading. Callers send the next photo when the last is answered. The load runs on the same cores as the server, so processor time,
which is the server's own, says more than photos a second: user and system time of all processes of a server, by photos answered with 200.
Memory is the most that they held at any number of callers, pages that processes share counted once. "No server" is decoding and reading in
a plain loop, a process a core. Figures are medians over the rounds; ratios are taken within a round, since machines drift. In the overload
requests are sent three times as fast as the server just answered callers who wait, whether or not it keeps up; accepted ones are counted
while that lasts, and the peak beside them is that of such callers right before and after. The one compared with is the fastest peer."""


def page(race: Race, sizes: Sequence[str], pictures: Sequence[str]) -> str:
    """The whole page, in Markdown."""
    about = race.about
    return "\n\n".join(
        [
            "# The race",
            f"{about.machine}; {about.date}; `{about.command}`: {about.rounds} round(s), {about.seconds:g} seconds a measurement. "
            "This page and its plots are written by it.",
            _WORDS,
            _contenders(race),
            "## What it is to show",
            _targets(race),
            *(
                part
                for size in sizes
                for part in (f"## {size}", _at(race, size), _by_callers(race, size))
            ),
            "## Overload: three times the peak, 640x480",
            _overload(race),
            "## One caller",
            _alone(race),
            *(f"![{name.removesuffix('.svg')}]({name})" for name in pictures),
        ]
    )


def line(race: Race, sizes: Sequence[str]) -> str:
    """Everything as one line of JSON."""
    callers = sorted({row.got.callers for row in race.measured})
    figures = {
        size: {
            name: {str(many): _medians(race, name, size, many) for many in callers}
            for name in race.names()
        }
        for size in sizes
    }
    limits = {
        size: {
            "per_s": _round(race.limit(size, lambda loop: loop.per_s)),
            "cpu_ms": _round(race.limit(size, lambda loop: loop.cpu_ms)),
        }
        for size in sizes
    }
    about = asdict(race.about)
    del about["how"]
    return json.dumps(
        {
            "benchmark": "serving",
            **about,
            "figures": figures,
            "no_server": limits,
            "overload": {name: _rounded(asdict(run)) for name, run in race.overloads.items()},
            "one_caller": {
                "http_p50_ms": _round(statistics.median(race.alone.http_ms)),
                "loop_p50_ms": _round(statistics.median(race.alone.loop_ms)),
            },
            "targets": {
                one.name: {
                    "value": _round(one.value),
                    "at_least" if one.least else "at_most": one.limit,
                    "met": one.met,
                }
                for one in targets(race)
            },
        }
    )


def _contenders(race: Race) -> str:
    rows = [(name, race.about.versions[name], how) for name, how in race.about.how.items()]
    return _table(("contender", "version", "how it is run"), rows)


def _targets(race: Race) -> str:
    rows = [
        (
            one.words,
            _number(one.value, 2),
            f"{'at least' if one.least else 'at most'} {one.limit:g}",
            "met" if one.met else "**missed**",
        )
        for one in targets(race)
    ]
    return _table(("", "measured", "target", ""), rows)


def _at(race: Race, size: str) -> str:
    """Every figure at one number of callers, the loop last."""

    def row(name: str) -> list[str]:
        figures = [
            _number(race.median(name, size, CALLERS, figure), 1) for figure in _FIGURES.values()
        ]
        errors = (
            ", ".join(f"{count} x {status}" for status, count in race.errors(name, size).items())
            or "none"
        )
        return [name, *figures, _number(race.most_memory(name, size)), errors]

    limit = [
        _number(race.limit(size, lambda loop: loop.per_s), 1),
        "",
        "",
        "",
        _number(race.limit(size, lambda loop: loop.cpu_ms), 1),
    ]
    heads = (f"{CALLERS} callers", *_FIGURES, "most memory, MB", "errors, at any number of callers")
    return _table(heads, [*map(row, race.names()), ["no server", *limit, "", ""]])


_FIGURES: dict[str, Callable[[Together], float | None]] = {
    "photos/s": lambda got: got.per_s,
    "p50 ms": lambda got: got.p50_ms,
    "p95 ms": lambda got: got.p95_ms,
    "p99 ms": lambda got: got.p99_ms,
    "processor ms a photo": lambda got: got.cpu_ms,
}


def _by_callers(race: Race, size: str) -> str:
    callers = sorted({row.got.callers for row in race.measured})

    def cell(name: str, many: int) -> str:
        return f"{_number(race.median(name, size, many, _per_s), 1)} ({_number(race.median(name, size, many, _p95_ms))})"

    rows = [(name, *(cell(name, many) for many in callers)) for name in race.names()]
    return _table(("photos/s (p95 ms) of so many callers", *map(str, callers)), rows)


def _per_s(got: Together) -> float | None:
    return got.per_s


def _p95_ms(got: Together) -> float | None:
    return got.p95_ms


def _overload(race: Race) -> str:
    rows = []
    for name, run in race.overloads.items():
        failures = (
            ", ".join(f"{count} x {status}" for status, count in run.failures.items()) or "none"
        )
        accepted = (
            f"{run.accepted_per_s:.1f} of {run.peak_per_s:.1f}",
            _number(run.accepted_p99_ms),
        )
        refused = (
            f"{run.refused} of {run.sent}",
            _number(run.refused_p50_ms, 1),
            _number(run.refused_p95_ms, 1),
        )
        rows.append(
            (
                name,
                f"{run.offered_per_s:.0f}",
                *accepted,
                *refused,
                failures,
                _number(run.memory_mb),
            )
        )
    return _table(
        (
            "",
            "offered/s",
            "accepted/s, of the peak",
            "accepted p99 ms",
            "refused with 503 and Retry-After",
            "refused p50 ms",
            "refused p95 ms",
            "failed, 0 being a broken connection",
            "most memory, MB",
        ),
        rows,
    )


def _alone(race: Race) -> str:
    with_it, without = (
        _number(statistics.median(ms), 1) for ms in (race.alone.http_ms, race.alone.loop_ms)
    )
    return (
        f"640x480, one caller, idle server: p50 {with_it} ms; the same photos in one process without HTTP, taking turns: {without} ms. "
        f"HTTP adds {race.alone.added_ms:.1f} ms."
    )


def _medians(race: Race, name: str, size: str, callers: int) -> dict[str, Any]:
    """Every figure of `Together`, the median over the rounds; errors are summed."""
    rows = [asdict(got) for got in race.of(name, size, callers)]
    medians: dict[str, Any] = {}
    for figure in rows[0]:
        values = [row[figure] for row in rows if row[figure] is not None]
        if figure not in ("callers", "errors"):
            medians[figure] = _round(statistics.median(values)) if values else None
    return {**medians, "errors": sum(sum(row["errors"].values()) for row in rows)}


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _number(value: float | None, places: int = 0) -> str:
    return "-" if value is None else f"{value:.{places}f}"


def _round(value: float | None) -> float | None:
    return value if value is None else round(value, 3)


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _round(value) if isinstance(value, float) else value for name, value in row.items()
    }
