"""Operator routes: /metrics for Prometheus, /debug/performance and /debug/memory."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from keylike.access.policy import Need, Policy
from keylike.api.authentication import security
from keylike.api.operator_schemas import MemoryOut, PerformanceOut
from keylike.api.schemas import Failure
from keylike.cache.reading_cache import ReadingCache
from keylike.observability.metrics import CONTENT_TYPE, Metrics
from keylike.observability.resource_usage import ProcessStats, image_blocks, traced_memory
from keylike.observability.rolling_stats import RecentStages, Summary

_TEXT = {
    "description": "Prometheus's text format",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}


def operator_blueprint(
    metrics: Metrics,
    recent: RecentStages,
    process: ProcessStats,
    cache: ReadingCache,
    policy: Policy,
) -> APIBlueprint:
    """Return a blueprint with the operator's routes.

    Args:
        metrics: Counters since the start.
        recent: Stage times of recent photos.
        process: Memory and processor time of the process.
        cache: The cache of readings.
        policy: Decides whether a token is required.
    """
    refusal: dict[Any, Any] = {401: Failure, 403: Failure}
    described: dict[str, Any] = {
        "tags": [Tag(name="operator")],
        "security": security(policy, Need.OPERATOR),
    }
    routes = APIBlueprint("operator", __name__)

    @routes.get(
        "/metrics",
        operation_id="getMetrics",
        responses={200: _TEXT, 500: Failure} | refusal,
        **described,
    )
    def show_metrics() -> Response:
        """Return counters and gauges for Prometheus."""
        return Response(metrics.text(), content_type=CONTENT_TYPE)

    @routes.get(
        "/debug/performance",
        operation_id="getPerformance",
        responses={200: PerformanceOut, 500: Failure} | refusal,
        **described,
    )
    def performance() -> Response:
        """Return the time that recent photos took in each stage."""
        stages = {stage: _milliseconds(summary) for stage, summary in recent.summaries().items()}
        return jsonify(window_s=recent.window_s, stages_ms=stages)

    @routes.get(
        "/debug/memory",
        operation_id="getMemory",
        responses={200: MemoryOut, 500: Failure} | refusal,
        **described,
    )
    def memory() -> Response:
        """Return the memory use of the process."""
        usage, blocks, own = process.usage(), image_blocks(), traced_memory()
        return jsonify(
            rss_bytes=usage.rss,
            peak_bytes=usage.peak,
            photo_blocks=blocks.kept,
            photo_block_bytes=blocks.size,
            cache_entries=cache.stats().entries,
            tracemalloc=None if own is None else {"current_bytes": own[0], "peak_bytes": own[1]},
        )

    return routes


def _milliseconds(summary: Summary | None) -> dict[str, float] | None:
    if summary is None:
        return None
    return {
        name: value if name == "count" else round(value * 1e3, 3)
        for name, value in asdict(summary).items()
    }
