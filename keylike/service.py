"""Wires the application together: settings in, a Flask application out. `python app.py` hands over to the command line."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from flask_openapi3 import Info, OpenAPI
from prometheus_client import CollectorRegistry
from structlog.stdlib import BoundLogger

from keylike.access.addresses import is_local_host
from keylike.access.credentials import Credentials
from keylike.access.policy import Policy, chosen_policy
from keylike.access.quotas import Quotas
from keylike.access.store import TokenStore
from keylike.api import authentication, error_handlers, headers, limits, request_log
from keylike.api.batch import PATH as BATCH_PATH
from keylike.api.batch import batch_blueprint
from keylike.api.cache import cache_blueprint
from keylike.api.classify import PATH as CLASSIFY_PATH
from keylike.api.classify import classify_blueprint
from keylike.api.detailed import State, detailed_blueprint
from keylike.api.health import health_blueprint
from keylike.api.metrics_collector import MetricsCollector, Probes
from keylike.api.operator import operator_blueprint
from keylike.api.predict import PATHS as PREDICT_PATHS
from keylike.api.predict import PREMIUM_PATH, predict_blueprint
from keylike.api.proxies import NamedProxies
from keylike.api.request_deadline import ClientDeadlines
from keylike.api.request_parsing import PhotoRequest
from keylike.api.responses import API_VERSION
from keylike.api.schemas import Failure
from keylike.api.web_pages import add_welcome, docs_blueprint, web_blueprint
from keylike.cache.factory import new_cache
from keylike.cache.reading_cache import ReadingCache
from keylike.http_server.listener import ErrorRenderer
from keylike.http_server.server import MAX_DISCARDED_BYTES, Binding, Server
from keylike.images.libraries import configure_image_libraries
from keylike.inference import Classifying, Inference, Limits
from keylike.observability.gpu import find_gpu, gpu_memory
from keylike.observability.logs import make_logger
from keylike.observability.malloc_tuning import release_free_memory
from keylike.observability.metrics import Metrics
from keylike.observability.resource_usage import ProcessStats
from keylike.observability.rolling_stats import RecentErrors, RecentStages
from keylike.observability.traces import Traces, make_traces
from keylike.readers import loading as model_loader
from keylike.readers.classifiers.catalog import Classifiers
from keylike.readers.contract import Reader, Reason
from keylike.readers.loading import Choices, ModelSlot
from keylike.resources import WEB
from keylike.scheduling.scheduler import Scheduler
from keylike.settings import Settings
from keylike.tunnel.watchdog import TunnelStatus
from keylike.workers.pool import ReadingProcesses

_SPARE_THREADS = 8
# What it may take to send the answer of a request that was finished at its deadline.
_ANSWER_S = 2.0
_PHOTO_PATHS = frozenset({*PREDICT_PATHS, PREMIUM_PATH, BATCH_PATH, CLASSIFY_PATH})


def create_app(
    settings: Settings,
    *,
    model: ModelSlot | None = None,
    log: BoundLogger | None = None,
    cache: ReadingCache | None = None,
    scheduler: Scheduler | None = None,
    metrics: Metrics | None = None,
    traces: Traces | None = None,
    draining: Callable[[], bool] = lambda: False,
    standing: TunnelStatus | None = None,
    once: str | None = None,
    clock: Callable[[], float] = time.time,
) -> OpenAPI:
    """The application. Without `model` the one of the settings is loaded here and now, which raises ModelError if it cannot be;
    without `cache` readings are kept as the settings say, without `scheduler` photos wait as they say; `metrics` are this application's
    alone, and without `traces` none are sent; `standing` tells of a tunnel, and `once` is a token for this run."""
    configure_image_libraries()
    log = log or make_logger(settings.logs, settings.log_level)
    if model is None:
        model = model_slot(settings, log)
        model.load()
    loaded = model
    app = OpenAPI(
        __name__,
        info=Info(
            title="Keylike", version=API_VERSION, description="Reads a house key from a photo."
        ),
        security_schemes=authentication.SCHEMES,
        # Every route describes its 500 itself; otherwise the library would add failures that no route gives.
        validation_error_status=500,
        validation_error_model=Failure,
        doc_ui=False,
        static_folder=None,
    )
    app.request_class = PhotoRequest
    # A path with two slashes is none: it would be answered by a redirect to whatever Host says, in HTML.
    app.url_map.merge_slashes = False
    app.config["MAX_CONTENT_LENGTH"] = body_limit(settings)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    headers.install(app, split(settings.origins))
    metrics = metrics or new_metrics()
    errors, recent = RecentErrors(clock), RecentStages(clock)
    counts = [metrics.record_request, errors.record_request]
    request_log.install(
        app, log=log, model=lambda: loaded.name, clock=time.perf_counter, watchers=counts
    )
    told = error_handlers.install(app, clock=clock, log=log, rejected=metrics.record_rejection)
    cache = cache or reading_cache(settings, log)
    scheduler = scheduler or reading_scheduler(settings, loaded)
    policy = policy_of(settings)
    # Replicas that share a Redis know visitors by the same names, and whoever only has what is in it does not.
    salt = (
        hashlib.sha256(settings.redis.encode()).digest()
        if settings.redis
        else secrets.token_bytes(32)
    )
    authentication.install(app, credentials(settings, clock, once), policy, salt=salt, log=log)
    charge = limits.install(
        app,
        Quotas(settings.limit_address, settings.limit_free, settings.limit_premium),
        limited=settings.limits,
        redis_url=settings.redis,
        clock=scheduler.clock,
        wall=time.time,
    )
    if settings.proxy or settings.tunnel:
        app.wsgi_app = NamedProxies(  # type: ignore[method-assign]
            app.wsgi_app, split(settings.proxy or ""), tunnel_agents(settings)
        )
    bounds = picture_limits(settings)
    watchers = (
        metrics.record_photo,
        recent.record_photo,
        *([traces.record_photo] if traces else []),
    )
    inference = Inference(scheduler, bounds, time.perf_counter, cache, watchers)
    classifying = Classifying(scheduler, bounds, classifiers(settings, loaded, log))
    callers = ClientDeadlines(settings.deadline_s, scheduler.clock)
    predictions = predict_blueprint(inference, callers, policy=policy, clock=clock)
    add_welcome(predictions, loaded, WEB)
    app.register_api(predictions)
    app.register_api(
        batch_blueprint(
            inference,
            callers,
            charge,
            told,
            limit=batch_limit(settings),
            policy=policy,
            clock=clock,
        )
    )
    app.register_api(classify_blueprint(classifying, callers, policy=policy, clock=clock))
    app.register_api(cache_blueprint(cache, policy))
    gpu, process = find_gpu(), ProcessStats(clock)
    app.register_api(
        health_blueprint(loaded, gpu, draining=draining, stuck=scheduler.stuck, clock=clock)
    )
    standing = standing or TunnelStatus()
    MetricsCollector(living(loaded, scheduler, cache, draining, standing), metrics.registry)
    state = State(
        loaded,
        load=scheduler.load,
        cache=cache,
        metrics=metrics,
        errors=errors,
        process=process,
        gpu=gpu,
        gpu_memory=gpu_memory,
        stuck_s=settings.deadline_s,
        draining=draining,
        standing=standing,
        clock=clock,
    )
    app.register_api(detailed_blueprint(state))
    app.register_api(operator_blueprint(metrics, recent, process, cache, policy))
    app.register_blueprint(web_blueprint(WEB))
    app.register_blueprint(docs_blueprint(WEB))
    return app


def policy_of(settings: Settings) -> Policy:
    """What asks for a token."""
    here = is_local_host(settings.host) and not settings.tunnel
    return chosen_policy(settings.policy, loopback=here, one_token=settings.token is not None)


def credentials(
    settings: Settings, clock: Callable[[], float] = time.time, once: str | None = None
) -> Credentials:
    """The tokens that pass; `clock` gives seconds since 1970."""
    return Credentials(settings.token, TokenStore(settings.tokens, clock), once)


def tunnel_agents(settings: Settings) -> list[str]:
    """Where the agent of a tunnel asks from, as do all programs of this machine; it always says whom it speaks for."""
    return ["127.0.0.0/8", "::1"] if settings.tunnel else []


def split(setting: str) -> list[str]:
    """The entries of a setting that holds several, with commas between them."""
    return [entry.strip() for entry in setting.split(",") if entry.strip()]


def new_metrics() -> Metrics:
    """Metrics of one application, in a registry of their own."""
    return Metrics(
        CollectorRegistry(),
        reasons=[reason.value for reason in Reason],
        rejections=error_handlers.REJECTIONS,
    )


def new_traces(settings: Settings, scheduler: Scheduler, log: BoundLogger) -> Traces | None:
    """Traces as the settings or OpenTelemetry's own variables ask for; whoever stops the server closes them."""
    endpoint = settings.otel_endpoint.get_secret_value() if settings.otel_endpoint else None
    return make_traces(endpoint, os.environ, clock=scheduler.clock, wall=time.time, log=log)


def living(
    model: ModelSlot,
    scheduler: Scheduler,
    cache: ReadingCache,
    draining: Callable[[], bool],
    standing: TunnelStatus,
) -> Probes:
    """What Prometheus looks at when it asks."""
    return Probes(
        reader=lambda: model.reader().info if model.ready else None,
        ready=lambda: model.ready and not draining(),
        degraded=lambda: model.reason is not None,
        load=scheduler.load,
        cache=cache.stats,
        gpu=gpu_memory,
        tunnel=lambda: standing.up,
    )


def reading_cache(
    settings: Settings, log: BoundLogger, clock: Callable[[], float] = time.monotonic
) -> ReadingCache:
    """What keeps readings, as the settings say."""
    return new_cache(
        settings.redis, ttl_s=settings.cache_ttl_s, size=settings.cache_size, clock=clock, log=log
    )


def reading_scheduler(settings: Settings, model: ModelSlot) -> Scheduler:
    """The queue before the model; whoever stops the server closes it."""
    return Scheduler(
        model.reader, queue=settings.queue, threads=settings.threads, longest_s=settings.deadline_s
    )


def classifiers(settings: Settings, model: ModelSlot, log: BoundLogger) -> Classifiers:
    """Those of the models' folder; where none is named the caliper answers, the one that reads if it does."""
    caliper = _caliper(settings)
    load = model_loader.load_classifier
    return Classifiers(
        settings.models,
        embedded=lambda: model_loader.families_beside(model.reader(), caliper),
        load=load,
        log=log,
    )


def picture_limits(settings: Settings) -> Limits:
    """The largest picture that is accepted."""
    return Limits(settings.max_bytes, settings.max_pixels, settings.max_memory)


def reading_processes(settings: Settings) -> ReadingProcesses:
    """Those that the settings ask for, not begun; whoever stops the server closes them."""
    bounds = picture_limits(settings)
    return ReadingProcesses(
        bounds.open,
        settings.processes,
        longest_s=settings.deadline_s,
        decoding_bytes=bounds.max_memory,
    )


def model_slot(
    settings: Settings, log: BoundLogger | None = None, processes: ReadingProcesses | None = None
) -> ModelSlot:
    """An empty slot for the model of the settings; unless they are strict, the embedded reader takes its place where it fails. Where the
    caliper reads alone, it does so in `processes`."""
    caliper = _caliper(settings)
    nothing_else = settings.model_folder.resolve() == caliper.resolve() and not settings.agree
    apart = processes or reading_processes(settings)
    spare = (
        None
        if settings.strict or nothing_else
        else lambda: apart.begin(partial(model_loader.load, caliper))
    )
    return ModelSlot(lambda: chosen_reader(settings, apart), spare=spare, log=log)


def chosen_reader(settings: Settings, processes: ReadingProcesses | None = None) -> Reader:
    """What the settings ask for, loaded but not warmed. Raises ModelError."""
    caliper = _caliper(settings)
    choices = Choices(
        settings.models,
        settings.base_model,
        settings.backend,
        settings.precision,
        settings.max_batch,
        caliper,
    )
    if settings.agree:
        return model_loader.load_agreeing(settings.model_folder, caliper, choices)
    if processes and model_loader.is_caliper(settings.model_folder):
        return processes.begin(partial(model_loader.load, settings.model_folder))
    return model_loader.load(settings.model_folder, choices)


def _caliper(settings: Settings) -> Path:
    return settings.models / "caliper"


def body_limit(settings: Settings) -> int:
    """The largest request body, in bytes: a picture of the largest size as base64 with line breaks, and its surroundings."""
    return settings.max_bytes * 3 // 2 + 100_000


def batch_limit(settings: Settings) -> int:
    """The same for POST /predict/batch: four pictures of the largest size, or 32 of 1.25 MB each with the defaults; a phone's capture
    takes a quarter of that. Never more than the server takes in to throw away."""
    return min(settings.max_bytes * 4 + 100_000, MAX_DISCARDED_BYTES)


def binding(settings: Settings) -> Binding:
    """Where and how to listen: a thread for each request that is let in, and a few that say no to others and answer for the server's
    health; at the end, time for the last of them to be answered."""
    threads = (
        settings.queue
        + max(settings.threads, settings.processes, settings.max_batch)
        + _SPARE_THREADS
    )
    larger = {BATCH_PATH: batch_limit(settings)}
    drain_s = settings.deadline_s + _ANSWER_S
    return Binding(
        settings.host,
        settings.port,
        threads,
        body_limit(settings),
        settings.max_bodies,
        larger,
        drain_s,
    )


def make_server(
    app: OpenAPI,
    settings: Settings,
    scheduler: Scheduler,
    *,
    failure: ErrorRenderer,
    draining: threading.Event,
    clock: Callable[[], float] = time.monotonic,
) -> Server:
    """The server before the application, which keeps no photo that the scheduler would turn away. Raises OSError if it cannot listen."""

    def full(path: str) -> int | None:
        return scheduler.full() if path in _PHOTO_PATHS else None

    return Server(
        app,
        binding(settings),
        render_error=failure,
        draining=draining,
        clock=clock,
        retry_after=full,
        release_memory=release_free_memory,
    )
