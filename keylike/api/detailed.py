"""GET /health/detailed: the state of the server in figures, and whether somebody should look after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from keylike.api.operator_schemas import DetailedHealth
from keylike.api.responses import API_VERSION
from keylike.api.schemas import Failure
from keylike.cache.reading_cache import ReadingCache
from keylike.engines.engine_slot import EngineSlot
from keylike.observability.gpu import Gpu, GpuMemory
from keylike.observability.metrics import Metrics
from keylike.observability.resource_usage import ProcessStats, ResourceUsage
from keylike.observability.rolling_stats import RecentErrors
from keylike.scheduling.queue_metrics import LoadSnapshot
from keylike.tunnel.watchdog import TunnelStatus

# From so many requests on, a share of failures says something.
_LEAST_REQUESTS, _MOST_ERRORS = 10, 0.5
_ANSWERS: dict[Any, Any] = {200: DetailedHealth, 500: Failure, 503: DetailedHealth}


class State:
    """Judges and shows the state. `stuck_s`: how long the model may take for a batch before it counts as stuck; `clock` gives seconds since
    1970."""

    def __init__(
        self,
        model: EngineSlot,
        *,
        load: Callable[[], LoadSnapshot],
        cache: ReadingCache,
        metrics: Metrics,
        errors: RecentErrors,
        process: ProcessStats,
        gpu: Gpu,
        gpu_memory: Callable[[], GpuMemory | None],
        stuck_s: float,
        draining: Callable[[], bool],
        standing: TunnelStatus,
        clock: Callable[[], float],
    ) -> None:
        self._model, self._load, self._cache, self._metrics, self._errors = (
            model,
            load,
            cache,
            metrics,
            errors,
        )
        self._process, self._gpu, self._gpu_memory = process, gpu, gpu_memory
        self._stuck_s, self._draining, self._standing, self._clock = (
            stuck_s,
            draining,
            standing,
            clock,
        )

    def show(self) -> tuple[dict[str, Any], bool]:
        """The body, and whether all is well enough."""
        load, (requests, failures) = self._load(), self._errors.counts()
        error_rate = failures / requests if requests else 0.0
        failing = requests >= _LEAST_REQUESTS and error_rate >= _MOST_ERRORS
        status, reasons = self._judge(load, failing)
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
            "gpu": self._show_gpu(),
            "counts": {
                "requests": self._metrics.requests(),
                "photos": self._metrics.photos(),
                "rejections": self._metrics.rejections(),
            },
            "error_rate": error_rate,
            "window_s": self._errors.window_s,
            "queue": _queue(load),
            "cache": asdict(self._cache.stats()),
            "tunnel": self._standing.stage,
            "api_version": API_VERSION,
            "timestamp": round(self._clock() * 1e3),
        }
        return body, status in ("healthy", "degraded")

    def _judge(self, load: LoadSnapshot, failing: bool) -> tuple[str, list[str]]:
        """The gravest status that holds, and a sentence for all that is not as it should be."""
        stuck = load.reading_s > self._stuck_s
        found = [
            ("draining", self._draining(), "the server is shutting down"),
            ("loading", not self._model.ready, "the model is still being loaded"),
            ("unhealthy", stuck, "the model has not come back in the time that a request may take"),
            (
                "unhealthy",
                failing,
                "half of the recent requests or more failed in the server itself",
            ),
            ("degraded", self._model.reason is not None, self._model.reason or ""),
            (
                "degraded",
                self._cache.degraded,
                "Redis is away: memory keeps the readings in its place",
            ),
        ]
        held = [(status, reason) for status, holds, reason in found if holds]
        return (held[0][0] if held else "healthy"), [reason for _, reason in held]

    def _show_gpu(self) -> dict[str, Any]:
        memory = self._gpu_memory()
        used = None if memory is None else round(memory.used / 1e6, 1)
        return {"available": self._gpu.available, "memory_mb": self._gpu.memory_mb, "used_mb": used}


def detailed_blueprint(state: State) -> APIBlueprint:
    """The route, open to all as /health is."""
    routes = APIBlueprint("detailed", __name__, abp_tags=[Tag(name="health")])

    @routes.get("/health/detailed", operation_id="detailedHealth", responses=_ANSWERS)
    def detailed() -> tuple[Response, int]:
        """The state of the server in figures.

        503 while the model is loaded, while the server shuts down, where the model has held a batch for longer than a request may take,
        and where the server itself failed in half or more of at least ten requests of the last five minutes. Refusals (a full queue, a
        deadline, a bad photo) are no failures of the server; another model that answers, or a Redis that is away, is only `degraded`.
        """
        body, well = state.show()
        return jsonify(body), 200 if well else 503

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
