"""GET /cache/stats: counters of the cache of readings."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from keylike.access.policy import Need, Policy
from keylike.api.authentication import security
from keylike.api.schemas import CacheOut, Failure
from keylike.cache.reading_cache import ReadingCache


def cache_counters(cache: ReadingCache) -> dict[str, Any]:
    """Return the counters of a cache, ready for JSON."""
    counters = asdict(cache.stats())
    return counters | {"hit_rate": round(counters["hit_rate"], 4)}


def cache_blueprint(cache: ReadingCache, policy: Policy) -> APIBlueprint:
    """Return a blueprint with the operator's route for the counters of `cache`."""
    answers: dict[Any, Any] = {200: CacheOut, 401: Failure, 403: Failure, 500: Failure}
    described: dict[str, Any] = {
        "tags": [Tag(name="cache")],
        "responses": answers,
        "security": security(policy, Need.OPERATOR),
    }
    routes = APIBlueprint("cache", __name__, url_prefix="/cache")

    @routes.get("/stats", operation_id="getCacheStats", **described)
    def stats() -> Response:
        """Return the counters of the cache, such as hits, and where readings are kept."""
        return jsonify(cache_counters(cache))

    return routes
