"""GET /cache/stats: how often a reading was at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from api.guards import SECURITY
from api.schemas import CacheOut, Failure
from serving.cache.readings import ReadingCache


def cache_blueprint(cache: ReadingCache, guard: Callable[[], None], *, guarded: bool) -> APIBlueprint:
    """The route that tells of `cache`; `guard` runs first, as for predictions."""
    answers: dict[Any, Any] = {200: CacheOut, 500: Failure} | ({401: Failure} if guarded else {})
    described: dict[str, Any] = {"tags": [Tag(name="cache")], "responses": answers, "security": SECURITY if guarded else None}
    routes = APIBlueprint("cache", __name__, url_prefix="/cache")

    @routes.get("/stats", operation_id="cacheStats", **described)
    def stats() -> Response:
        """How often a reading was at hand, and where readings are kept."""
        guard()
        return jsonify(asdict(cache.stats()))

    return routes
