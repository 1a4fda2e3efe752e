"""Writes the report of the comparison: a Markdown page of tables, and one line of JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tools.benchmarks.serving.figures import LoadFigures
from tools.benchmarks.serving.results import ComparisonResults
from tools.benchmarks.serving.servers import GUIDE
from tools.benchmarks.serving.targets import CLIENTS, targets

_WORDS = f"""\
- Every server decodes photos with `keylike.images.photo` and reads them with the same embedded
  reader. Only {GUIDE} decodes them at full size, with Pillow. The older guide is
  an earlier tutorial for a key reading server.
- The photos are the shipped samples at 640x480 and 4000x3000 pixels. Each is sent with a unique
  comment, so that no cache can answer instead of the reader.
- A client sends the next photo when the response to the previous one has arrived.
- The load generator runs on the same cores as the server and takes some of their time. So
  processor time is more reliable than throughput. It is the user and system time of all processes
  of the server per photo read.
- Memory is the peak over all numbers of clients. Pages that processes share count once.
- "No server" means that the reader runs in a plain loop, in one process per core.
- Figures are medians over the rounds. Because the speed of a machine drifts, ratios are computed
  within a round.
- In the overload, requests are sent at three times the peak throughput, even if the server cannot
  answer them in time. The peak is the throughput of clients that wait for their responses, measured
  just before and after. Only responses during the overload count as accepted. The second server is
  the fastest one apart from Keylike and the older guide's server."""


def page(results: ComparisonResults, sizes: Sequence[str], plots: Sequence[str]) -> str:
    """Return the whole page in Markdown."""
    run_info = results.run_info
    return "\n\n".join(
        [
            "# Serving benchmark",
            f"{run_info.machine}; {run_info.date}; `{run_info.command}`: "
            f"{run_info.rounds} round(s), {run_info.seconds:g} seconds per measurement. "
            "The command writes this page and its plots.",
            "## Method",
            _WORDS,
            _servers(results),
            "## Targets",
            _targets(results),
            *(
                part
                for size in sizes
                for part in (f"## {size}", _at_one_count(results, size), _by_clients(results, size))
            ),
            "## Overload: three times the peak, 640x480",
            _overload(results),
            "## A single client",
            _single_client(results),
            *(f"![{name.removesuffix('.svg')}]({name})" for name in plots),
        ]
    )


def json_line(results: ComparisonResults, sizes: Sequence[str]) -> str:
    """Return all figures as one line of JSON."""
    clients = sorted({row.figures.clients for row in results.measurements})
    figures = {
        size: {
            name: {str(count): _medians(results, name, size, count) for count in clients}
            for name in results.server_names()
        }
        for size in sizes
    }
    baselines = {
        size: {
            "per_s": _round(results.baseline(size, lambda baseline: baseline.per_s)),
            "cpu_ms": _round(results.baseline(size, lambda baseline: baseline.cpu_ms)),
        }
        for size in sizes
    }
    run_info = asdict(results.run_info)
    del run_info["setup"]
    return json.dumps(
        {
            "benchmark": "serving",
            **run_info,
            "figures": figures,
            "no_server": baselines,
            "overload": {
                name: _rounded(asdict(overload)) for name, overload in results.overloads.items()
            },
            "single_client": {
                "http_p50_ms": _round(statistics.median(results.single_client.http_ms)),
                "baseline_p50_ms": _round(statistics.median(results.single_client.baseline_ms)),
            },
            "targets": {
                target.name: {
                    "value": _round(target.value),
                    "at_least" if target.at_least else "at_most": target.limit,
                    "met": target.met,
                }
                for target in targets(results)
            },
        }
    )


def _servers(results: ComparisonResults) -> str:
    rows = [
        (name, results.run_info.versions[name], setup)
        for name, setup in results.run_info.setup.items()
    ]
    return _table(("server", "version", "setup"), rows)


def _targets(results: ComparisonResults) -> str:
    rows = [
        (
            target.label,
            _number(target.value, 2),
            f"{'at least' if target.at_least else 'at most'} {target.limit:g}",
            "met" if target.met else "**missed**",
        )
        for target in targets(results)
    ]
    return _table(("figure", "measured", "target", "result"), rows)


def _at_one_count(results: ComparisonResults, size: str) -> str:
    """Return the table of all figures at `CLIENTS` clients. The baseline is the last row."""

    def row(name: str) -> list[str]:
        row_figures = [
            _number(results.median(name, size, CLIENTS, figure), 1) for figure in _FIGURES.values()
        ]
        errors = _counts(results.errors(name, size))
        return [name, *row_figures, _number(results.peak_memory(name, size)), errors]

    baseline = [
        _number(results.baseline(size, lambda baseline: baseline.per_s), 1),
        "",
        "",
        "",
        _number(results.baseline(size, lambda baseline: baseline.cpu_ms), 1),
    ]
    heads = (f"{CLIENTS} clients", *_FIGURES, "peak memory, MB", "errors, any number of clients")
    return _table(heads, [*map(row, results.server_names()), ["no server", *baseline, "", ""]])


_FIGURES: dict[str, Callable[[LoadFigures], float | None]] = {
    "photos/s": lambda figures: figures.per_s,
    "p50 ms": lambda figures: figures.p50_ms,
    "p95 ms": lambda figures: figures.p95_ms,
    "p99 ms": lambda figures: figures.p99_ms,
    "processor ms per photo": lambda figures: figures.cpu_ms,
}


def _by_clients(results: ComparisonResults, size: str) -> str:
    clients = sorted({row.figures.clients for row in results.measurements})

    def cell(name: str, count: int) -> str:
        per_s = results.median(name, size, count, _per_s)
        p95_ms = results.median(name, size, count, _p95_ms)
        return f"{_number(per_s, 1)} ({_number(p95_ms)})"

    rows = [(name, *(cell(name, count) for count in clients)) for name in results.server_names()]
    return _table(("photos/s (p95 ms) by number of clients", *map(str, clients)), rows)


def _per_s(figures: LoadFigures) -> float | None:
    return figures.per_s


def _p95_ms(figures: LoadFigures) -> float | None:
    return figures.p95_ms


def _overload(results: ComparisonResults) -> str:
    rows = []
    for name, overload in results.overloads.items():
        accepted = (
            f"{overload.accepted_per_s:.1f} of {overload.peak_per_s:.1f}",
            _number(overload.accepted_p99_ms),
        )
        refused = (
            f"{overload.refused} of {overload.sent}",
            _number(overload.refused_p50_ms, 1),
            _number(overload.refused_p95_ms, 1),
        )
        rows.append(
            (
                name,
                f"{overload.offered_per_s:.0f}",
                *accepted,
                *refused,
                _counts(overload.failures),
                _number(overload.memory_mb),
            )
        )
    return _table(
        (
            "server",
            "offered/s",
            "accepted/s of peak/s",
            "accepted p99 ms",
            "refused with 503 and Retry-After",
            "refused p50 ms",
            "refused p95 ms",
            "failed (0: broken connection)",
            "peak memory, MB",
        ),
        rows,
    )


def _single_client(results: ComparisonResults) -> str:
    http_ms, baseline_ms = (
        _number(statistics.median(ms), 1)
        for ms in (results.single_client.http_ms, results.single_client.baseline_ms)
    )
    return (
        f"640x480, a single client, idle server: p50 {http_ms} ms. The same photos in one process "
        f"without HTTP, in alternating turns: {baseline_ms} ms. "
        f"HTTP adds {results.single_client.added_ms:.1f} ms."
    )


def _medians(results: ComparisonResults, name: str, size: str, clients: int) -> dict[str, Any]:
    """Return the median of every figure over the rounds, and the number of errors in all rounds."""
    rows = [asdict(figures) for figures in results.of(name, size, clients)]
    medians: dict[str, Any] = {}
    for figure in rows[0]:
        values = [row[figure] for row in rows if row[figure] is not None]
        if figure not in ("clients", "errors"):
            medians[figure] = _round(statistics.median(values)) if values else None
    return {**medians, "errors": sum(sum(row["errors"].values()) for row in rows)}


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _number(value: float | None, places: int = 0) -> str:
    return "-" if value is None else f"{value:.{places}f}"


def _counts(by_status: Mapping[str, int]) -> str:
    return ", ".join(f"{count} x {status}" for status, count in by_status.items()) or "none"


def _round(value: float | None) -> float | None:
    return value if value is None else round(value, 3)


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _round(value) if isinstance(value, float) else value for name, value in row.items()
    }
