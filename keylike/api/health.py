"""Health routes: state, liveness, readiness and startup."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from keylike.api.responses import API_VERSION
from keylike.api.schemas import Failure
from keylike.api.schemas import Health as HealthOut
from keylike.api.schemas import Probe as ProbeOut
from keylike.engines.engine_slot import EngineSlot
from keylike.errors import RETRY_AFTER_S, ModelLoading, Overloaded
from keylike.observability.gpu import Gpu

_ALIVE: dict[Any, Any] = {200: ProbeOut, 500: Failure}
_READY: dict[Any, Any] = {200: ProbeOut, 500: Failure, 503: Failure}


def health_blueprint(
    model: EngineSlot,
    gpu: Gpu,
    *,
    draining: Callable[[], bool],
    stuck: Callable[[], bool],
    clock: Callable[[], float],
) -> APIBlueprint:
    """Return a blueprint with the health routes. None of them waits for the reader.

    Args:
        model: Holds the engine, which loads in the background.
        gpu: The GPU found at the start.
        draining: Returns True during shutdown.
        stuck: Returns True if the reader has been busy for longer than a request may take.
        clock: Returns seconds since 1970.
    """
    health = APIBlueprint("health", __name__, url_prefix="/health", abp_tags=[Tag(name="health")])

    def milliseconds() -> int:
        return round(clock() * 1e3)

    @health.get("", operation_id="getHealth", responses={200: HealthOut, 500: Failure})
    def overview() -> Response:
        """Return the state of the server."""
        return jsonify(
            status="draining" if draining() else _status(model),
            reason=model.reason,
            model_loaded=model.ready,
            model=model.name,
            gpu_available=gpu.available,
            gpu_memory_mb=gpu.memory_mb,
            api_version=API_VERSION,
            timestamp=milliseconds(),
        )

    @health.get("/live", operation_id="getLiveness", responses=_ALIVE)
    def live() -> Response:
        """Return 200 as long as the process answers."""
        return jsonify(status="alive", timestamp=milliseconds())

    @health.get("/ready", operation_id="getReadiness", responses=_READY)
    def ready() -> Response:
        """Return 200 if the reader is loaded and responsive and the server accepts new work."""
        if draining():
            raise ModelLoading("The server is shutting down.", retry_after_s=RETRY_AFTER_S)
        if stuck():
            raise Overloaded(
                "The model is still busy with an earlier photo.", retry_after_s=RETRY_AFTER_S
            )
        return started()

    @health.get("/startup", operation_id="getStartup", responses=_READY)
    def startup() -> Response:
        """Return 200 once the reader has been loaded and warmed."""
        return started()

    def started() -> Response:
        model.engine()
        return jsonify(status="ready", timestamp=milliseconds())

    return health


def _status(model: EngineSlot) -> str:
    if not model.ready:
        return "loading"
    return "healthy" if model.reason is None else "degraded"
