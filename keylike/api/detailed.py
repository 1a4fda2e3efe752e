"""GET /health/detailed: the state of the server with figures such as memory, queue and cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from keylike.api.cache import cache_counters
from keylike.api.client_identity import is_rebound
from keylike.api.operator_schemas import DetailedHealth
from keylike.api.responses import API_VERSION
from keylike.api.schemas import Failure
from keylike.cache.reading_cache import ReadingCache
from keylike.engines.engine_slot import EngineSlot
from keylike.errors import Forbidden
from keylike.observability.gpu import Gpu, GpuMemory
from keylike.observability.metrics import Metrics
from keylike.observability.resource_usage import ProcessStats, ResourceUsage
from keylike.observability.rolling_stats import RecentErrors
from keylike.scheduling.queue_metrics import LoadSnapshot
from keylike.tunnel.watchdog import TunnelStatus

# The server is unhealthy if at least this share of the recent requests failed inside it. Fewer
# requests than _LEAST_REQUESTS do not give a meaningful share.
_LEAST_REQUESTS = 10
_MOST_ERRORS = 0.5
_ANSWERS: dict[Any, Any] = {200: DetailedHealth, 403: Failure, 500: Failure, 503: DetailedHealth}


class HealthReport:
    """The figures of the server, and the status derived from them.

    Args:
        model: Holds the engine, which loads in the background.
        load: Returns the figures of the queue.
        cache: The cache of readings.
        limits_degraded: Returns True while rate limits are counted in memory because Redis does not
            answer in time.
        metrics: Counters since the start.
        errors: Recent requests and failures.
        process: Memory and processor time of the process.
        gpu: The GPU found at the start.
        gpu_memory: Returns the GPU's memory, or None if this process uses none.
        stuck_s: Seconds after which a batch counts as stuck.
        stuck: Returns True if no photo gets through.
        draining: Returns True during shutdown.
        tunnel: The state of the tunnel.
        clock: Returns seconds since 1970.
    """

    def __init__(
        self,
        model: EngineSlot,
        *,
        load: Callable[[], LoadSnapshot],
        cache: ReadingCache,
        limits_degraded: Callable[[], bool],
        metrics: Metrics,
        errors: RecentErrors,
        process: ProcessStats,
        gpu: Gpu,
        gpu_memory: Callable[[], GpuMemory | None],
        stuck_s: float,
        stuck: Callable[[], bool],
        draining: Callable[[], bool],
        tunnel: TunnelStatus,
        clock: Callable[[], float],
    ) -> None:
        self._model = model
        self._load = load
        self._cache = cache
        self._limits_degraded = limits_degraded
        self._metrics = metrics
        self._errors = errors
        self._process = process
        self._gpu = gpu
        self._gpu_memory = gpu_memory
        self._stuck_s = stuck_s
        self._stuck = stuck
        self._draining = draining
        self._tunnel = tunnel
        self._clock = clock

    def render(self) -> tuple[dict[str, Any], bool]:
        """Return the response body, and True if the server can read photos."""
        load, (requests, failures) = self._load(), self._errors.counts()
        error_rate = failures / requests if requests else 0.0
        failing = requests >= _LEAST_REQUESTS and error_rate >= _MOST_ERRORS
        status, reasons = self._status(load, failing)
        usage = self._process.usage()
        body = {
            "status": status,
            "reasons": reasons,
            "model": self._model.name,
            "uptime_s": round(usage.uptime_s, 3),
            "cpu": {
                "seconds": round(usage.cpu_s, 2),
                "percent": round(usage.cpu_percent, 1),
                "cores": usage.cores,
            },
            "memory": _memory(usage),
            "gpu": self._gpu_figures(),
            "counts": {
                "requests": self._metrics.requests(),
                "photos": self._metrics.photos(),
                "rejections": self._metrics.rejections(),
            },
            "error_rate": round(error_rate, 4),
            "window_s": self._errors.window_s,
            "queue": _queue(load),
            "cache": cache_counters(self._cache),
            "tunnel": self._tunnel.stage,
            "api_version": API_VERSION,
            "timestamp": round(self._clock() * 1e3),
        }
        return body, status in ("healthy", "degraded")

    def _status(self, load: LoadSnapshot, failing: bool) -> tuple[str, list[str]]:
        """Return the most serious status that applies, and one sentence for each problem."""
        slow = load.reading_s > self._stuck_s
        conditions = [
            ("draining", self._draining(), "the server is shutting down"),
            ("loading", not self._model.ready, "the model is still loading"),
            ("unhealthy", slow, "the model has held a batch for longer than a request may take"),
            (
                "unhealthy",
                self._stuck() and not slow,
                "pictures take longer to decode than a request may take",
            ),
            ("unhealthy", failing, "half or more of the recent requests failed inside the server"),
            ("degraded", self._model.reason is not None, self._model.reason or ""),
            (
                "degraded",
                self._cache.degraded,
                "Redis is unreachable or slow: readings are cached in memory instead",
            ),
            (
                "degraded",
                self._limits_degraded(),
                "Redis is unreachable or slow: this replica counts requests on its own",
            ),
        ]
        found = [(status, reason) for status, applies, reason in conditions if applies]
        return (found[0][0] if found else "healthy"), [reason for _, reason in found]

    def _gpu_figures(self) -> dict[str, Any]:
        memory = self._gpu_memory()
        used = None if memory is None else round(memory.used / 1e6, 1)
        return {"available": self._gpu.available, "memory_mb": self._gpu.memory_mb, "used_mb": used}


def detailed_blueprint(report: HealthReport) -> APIBlueprint:
    """Return a blueprint with the route. It needs a token only if /health does."""
    routes = APIBlueprint("detailed", __name__, abp_tags=[Tag(name="health")])

    @routes.get("/health/detailed", operation_id="getDetailedHealth", responses=_ANSWERS)
    def detailed() -> tuple[Response, int]:
        """Return the state of the server with figures.

        The HTTP status is 503 in four cases:

        - The model is loading.
        - The server is shutting down.
        - The model has been busy with one batch for longer than a request may take.
        - At least 10 requests arrived in the last five minutes, and half of them or more failed
          inside the server. Refusals (a full queue, a deadline, a bad photo) do not count.

        The field `status` is `degraded` if the embedded reader replaces the configured model, or if
        Redis is unreachable or slow.
        """
        if is_rebound(request):
            raise Forbidden(
                "The Host header names another site. A proxy on this machine must be named in "
                "KEYLIKE_PROXY."
            )
        body, serving = report.render()
        return jsonify(body), 200 if serving else 503

    return routes


def _memory(usage: ResourceUsage) -> dict[str, float]:
    return {
        "rss_mb": round(usage.rss / 1e6, 1),
        "peak_mb": round(usage.peak / 1e6, 1),
        "free_mb": round(usage.free / 1e6, 1),
    }


def _queue(load: LoadSnapshot) -> dict[str, float]:
    return {
        "waiting": load.waiting,
        "room": load.room,
        "oldest_s": round(load.oldest_s, 3),
        "decoding": load.decoding,
        "reading": load.reading,
        "reading_s": round(load.reading_s, 3),
    }
