"""Build the Flask application from the components of the service."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from flask_openapi3 import Info, License, OpenAPI
from structlog.stdlib import BoundLogger

from keylike.access.credentials import Credentials
from keylike.access.failed_attempts import FailedAttempts
from keylike.access.policy import Need, Policy
from keylike.access.quotas import Quotas
from keylike.api import (
    authentication,
    compression,
    document,
    error_handlers,
    headers,
    limits,
    request_log,
    versions,
)
from keylike.api.authentication import Authentication
from keylike.api.batch import PATH as BATCH_PATH
from keylike.api.batch import batch_blueprint
from keylike.api.cache import cache_blueprint
from keylike.api.classify import PATH as CLASSIFY_PATH
from keylike.api.classify import classify_blueprint
from keylike.api.detailed import HealthReport, detailed_blueprint
from keylike.api.health import health_blueprint
from keylike.api.metrics_collector import MetricsCollector, Probes
from keylike.api.operator import operator_blueprint
from keylike.api.predict import PATHS as PREDICT_PATHS
from keylike.api.predict import predict_blueprint
from keylike.api.proxies import NamedProxies, PathPrefix
from keylike.api.request_deadline import ClientDeadlines
from keylike.api.request_parsing import PhotoRequest
from keylike.api.responses import API_VERSION
from keylike.api.schemas import Failure
from keylike.api.web_pages import add_welcome, docs_blueprint, web_blueprint
from keylike.cache.reading_cache import ReadingCache
from keylike.engines.engine_slot import EngineSlot
from keylike.inference import Classifying, Inference
from keylike.observability.gpu import find_gpu, gpu_memory
from keylike.observability.logs import dropped_lines
from keylike.observability.metrics import Metrics
from keylike.observability.resource_usage import ProcessStats
from keylike.observability.rolling_stats import RecentErrors, RecentStages
from keylike.scheduling.admission import AdmissionControl
from keylike.scheduling.queue_metrics import LoadSnapshot
from keylike.tunnel.watchdog import TunnelStatus

# Paths of batches and of all photo requests, as the socket server sees them. It allows larger
# bodies for batches. If the queue is full, it refuses photo requests before it reads their body.
BATCH_PATHS = versions.with_prefix({BATCH_PATH})
_PREMIUM_PATHS = versions.with_prefix({"/predict/premium"})
PHOTO_PATHS = versions.with_prefix({*PREDICT_PATHS, BATCH_PATH, CLASSIFY_PATH})

# Paths that the socket server answers even if all connections are in use.
HEALTH_PATHS = versions.with_prefix({"/health", "/health/live", "/health/ready", "/health/startup"})


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """The settings of the application.

    Attributes:
        body_limit: Largest request body in bytes.
        batch_limit: The same for POST /predict/batch.
        deadline_s: Longest time that a request may take, in seconds.
        origins: Web origins that may send requests; "*" for all.
        proxies: Networks of reverse proxies whose X-Forwarded-For is trusted.
        prefix: Path under which a proxy publishes the server, such as "/keys", or "".
        tunnel_agents: Networks from which the agent of a tunnel connects.
        limited: Who is rate-limited: "on", "off" or "auto".
        redis_url: Redis that counts requests for all replicas, or None.
        salt: Secret key of the hash that replaces a client's address.
        web: Folder of the web page.
    """

    body_limit: int
    batch_limit: int
    deadline_s: float
    origins: list[str]
    proxies: list[str]
    prefix: str
    tunnel_agents: list[str]
    limited: str
    redis_url: str | None = field(repr=False)
    salt: bytes = field(repr=False)
    web: Path


@dataclass(frozen=True, slots=True)
class Components:
    """The components of the service that the Flask application uses.

    Attributes:
        inference: Answers photos.
        classifying: Classifies photos.
        slots: Admission control. Health checks use it, and deadlines use its clock.
        engines: Holds the engine, which loads in the background.
        cache: Readings of earlier requests.
        credentials: Valid tokens.
        policy: Which requests need a token.
        quotas: Rate limits by tier.
        metrics: Counters for Prometheus.
        errors: Recent failures.
        stages: Recent times per stage.
        load: Returns the state of the queue.
        draining: Returns True once the server shuts down.
        tunnel: State of the tunnel.
        log: The server's logger.
        wall: Returns seconds since 1970.
    """

    inference: Inference
    classifying: Classifying
    slots: AdmissionControl
    engines: EngineSlot
    cache: ReadingCache
    credentials: Credentials
    policy: Policy
    quotas: Quotas
    metrics: Metrics
    errors: RecentErrors
    stages: RecentStages
    load: Callable[[], LoadSnapshot]
    draining: Callable[[], bool]
    tunnel: TunnelStatus
    log: BoundLogger
    wall: Callable[[], float]


# A function from the WSGI environment of a request, without its body, to the status with which the
# request is refused, or to None if it cannot be refused yet.
EarlyStatus = Callable[[dict[str, Any]], int | None]


def build_application(parts: Components, options: HttpOptions) -> tuple[OpenAPI, EarlyStatus]:
    """Build the Flask application with every route.

    Returns:
        The application, and a function that refuses large requests before their body is read.
    """
    app = _bare_application(options)
    compression.install(app)
    headers.install(app, options.origins)
    request_log.install(
        app,
        log=parts.log,
        model=lambda: parts.engines.name,
        clock=time.perf_counter,
        watchers=[parts.metrics.record_request, parts.errors.record_request],
    )
    failure_body = error_handlers.install(
        app, clock=parts.wall, log=parts.log, rejected=parts.metrics.record_rejection
    )
    versions.install(app)
    attempts = FailedAttempts(
        parts.slots.clock, count_shared=lambda client: rate_limits.count_failure(client)
    )
    rules = Authentication(
        parts.credentials,
        parts.policy,
        salt=options.salt,
        attempts=attempts,
        limited=options.limited,
        record_failure=parts.metrics.record_failed_authentication,
    )
    authentication.install(app, rules, parts.log)
    rate_limits = limits.install(
        app,
        parts.quotas,
        limited=options.limited,
        redis_url=options.redis_url,
        clock=parts.slots.clock,
        wall=time.time,
    )
    if options.prefix:
        app.wsgi_app = PathPrefix(app.wsgi_app, options.prefix)  # type: ignore[method-assign]
    if options.proxies or options.tunnel_agents:
        app.wsgi_app = NamedProxies(  # type: ignore[method-assign]
            app.wsgi_app, options.proxies, options.tunnel_agents
        )
    deadlines = ClientDeadlines(options.deadline_s, parts.slots.clock)
    policy, wall = parts.policy, parts.wall
    predictions = predict_blueprint(parts.inference, deadlines, policy=policy, clock=wall)
    add_welcome(predictions, parts.engines, options.web)
    app.register_api(predictions)
    app.register_api(
        batch_blueprint(
            parts.inference,
            deadlines,
            rate_limits.charge,
            failure_body,
            limit=options.batch_limit,
            policy=policy,
            clock=wall,
        )
    )
    app.register_api(classify_blueprint(parts.classifying, deadlines, policy=policy, clock=wall))
    app.register_api(cache_blueprint(parts.cache, policy))
    _register_operations(app, parts, options, rate_limits)
    app.register_blueprint(web_blueprint(options.web))
    app.register_blueprint(docs_blueprint(options.web))
    return app, _early_status(rules, parts.metrics, options)


def _early_status(rules: Authentication, metrics: Metrics, options: HttpOptions) -> EarlyStatus:
    def decide(environ: dict[str, Any], _: Any) -> list[Any]:
        need = Need.PREMIUM if environ["PATH_INFO"] in _PREMIUM_PATHS else Need.PHOTOS
        return [rules.early_status(PhotoRequest(environ), need)]

    # NamedProxies determines the client's address in the same way as for the application.
    behind_proxies = NamedProxies(decide, options.proxies, options.tunnel_agents)

    def early_status(environ: dict[str, Any]) -> int | None:
        if environ["REQUEST_METHOD"] != "POST" or environ["PATH_INFO"] not in PHOTO_PATHS:
            return None
        (status,) = cast(list[int | None], behind_proxies(environ, None))
        if status is not None:
            metrics.record_rejection("unauthorized" if status == 401 else "rate_limited")
        return status

    return early_status


def _bare_application(options: HttpOptions) -> OpenAPI:
    app = OpenAPI(
        __name__,
        info=Info(
            title="Keylike",
            version=API_VERSION,
            summary="Reads the code of a house key from a photo.",
            description=document.DESCRIPTION,
            license=License(name="MIT", identifier="MIT"),
        ),
        security_schemes=authentication.SCHEMES,
        # By default the library documents a 422 for invalid parameters, which no route returns. A
        # 500 is documented for every route anyway.
        validation_error_status=500,
        validation_error_model=Failure,
        doc_ui=False,
        static_folder=None,
    )
    app.request_class = PhotoRequest
    # With merged slashes, "//health" would be answered by an HTML redirect to the host that the
    # client named in the Host header.
    app.url_map.merge_slashes = False
    app.config["MAX_CONTENT_LENGTH"] = options.body_limit
    app.json.sort_keys = False  # type: ignore[attr-defined]
    return app


def _register_operations(
    app: OpenAPI, parts: Components, options: HttpOptions, rate_limits: limits.RateLimits
) -> None:
    """Add health, metrics and debug routes."""
    gpu = find_gpu()
    process = ProcessStats(parts.wall)
    app.register_api(
        health_blueprint(
            parts.engines,
            gpu,
            draining=parts.draining,
            stuck=parts.slots.is_stuck,
            clock=parts.wall,
        )
    )
    probes = Probes(
        reader=lambda: parts.engines.info,
        ready=lambda: parts.engines.ready and not parts.draining(),
        degraded=lambda: parts.engines.reason is not None,
        load=parts.load,
        cache=parts.cache.stats,
        gpu=gpu_memory,
        tunnel=lambda: parts.tunnel.up,
        dropped_log_lines=dropped_lines,
    )
    MetricsCollector(probes, parts.metrics.registry)
    report = HealthReport(
        parts.engines,
        load=parts.load,
        cache=parts.cache,
        limits_degraded=rate_limits.degraded,
        metrics=parts.metrics,
        errors=parts.errors,
        process=process,
        gpu=gpu,
        gpu_memory=gpu_memory,
        stuck_s=options.deadline_s,
        stuck=parts.slots.is_stuck,
        draining=parts.draining,
        tunnel=parts.tunnel,
        clock=parts.wall,
    )
    app.register_api(detailed_blueprint(report))
    app.register_api(
        operator_blueprint(parts.metrics, parts.stages, process, parts.cache, parts.policy)
    )
