"""The service: builds every component from the settings, and starts and closes the components."""

from __future__ import annotations

import hmac
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from flask_openapi3 import OpenAPI
from prometheus_client import CollectorRegistry
from structlog.stdlib import BoundLogger

from keylike.access.credentials import Credentials
from keylike.access.quotas import Quotas
from keylike.access.store import TokenStore
from keylike.api import error_handlers, headers
from keylike.api.application import (
    PHOTO_PATHS,
    Components,
    EarlyStatus,
    build_application,
)
from keylike.cache.factory import build_cache
from keylike.cache.reading_cache import ReadingCache
from keylike.configuration import (
    binding,
    chosen_reader,
    http_options,
    picture_limits,
    policy_of,
    shared_secret,
    split,
)
from keylike.doctor.models import changeable_by_others
from keylike.engines.contract import Engine
from keylike.engines.engine_slot import EngineSlot
from keylike.engines.process_engine import ProcessEngine
from keylike.engines.thread_engine import ThreadEngine
from keylike.http_server.server import Server
from keylike.images.libraries import configure_image_libraries
from keylike.inference import Classifying, Inference
from keylike.observability.logs import close_logger, make_logger
from keylike.observability.malloc_tuning import release_free_memory
from keylike.observability.metrics import Metrics
from keylike.observability.rolling_stats import RecentErrors, RecentStages
from keylike.observability.traces import Traces, make_traces
from keylike.readers import loading
from keylike.readers.classifiers.catalog import Classifiers
from keylike.readers.classifiers.contract import Classifier
from keylike.readers.contract import Reader, Reason
from keylike.scheduling.admission import AdmissionControl
from keylike.scheduling.queue_metrics import LoadMeter, LoadSnapshot
from keylike.settings import Settings
from keylike.tunnel.watchdog import TunnelStatus
from keylike.workers.pool import WorkerPool
from keylike.workers.zygote import WorkerSpec

Load = Callable[[], Reader]


class Service:
    """All components of one server.

    The constructor only builds the components. `load` loads the model, `listen` opens the socket,
    and `close` stops everything that was started. `close` may be called at any time and repeatedly.

        with Service(settings) as service:
            service.load()
            service.listen().run()

    Args:
        settings: The settings.
        load: Returns the reader to use, instead of the one in the settings.
        spare: Returns the reader to use if `load` fails.
        log: The logger. By default it is created from the settings.
        cache: The cache of readings. By default it is created from the settings.
        traces: The exporter of traces. By default it is created from the settings and from
            OpenTelemetry's environment variables.
        clock: Returns monotonic seconds, for deadlines and durations.
        wall: Returns seconds since 1970, for responses and tokens.
        one_time_token: A token that is valid until the process exits, or None.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        load: Load | None = None,
        spare: Load | None = None,
        log: BoundLogger | None = None,
        cache: ReadingCache | None = None,
        traces: Traces | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        one_time_token: str | None = None,
    ) -> None:
        configure_image_libraries()
        self.settings = settings
        self.draining = threading.Event()
        self.tunnel = TunnelStatus()
        self.limits = picture_limits(settings)
        self._clock = clock
        self._wall = wall
        self._own_log = log is None
        self.log = log or make_logger(settings.logs, settings.log_level)
        self.metrics = _build_metrics()
        self.meter = LoadMeter(clock)
        self.slots = AdmissionControl(
            settings.queue, self.meter, longest_s=settings.deadline_s, clock=clock
        )
        self.engines = self._build_engines(load, spare)
        self._secret = shared_secret(settings, self.log) if settings.redis else None
        self.cache = cache or build_cache(
            settings.redis,
            ttl_s=settings.cache_ttl_s,
            size=settings.cache_size,
            clock=clock,
            log=self.log,
            secret=self._derived_secret(b"cache") if settings.redis else None,
        )
        self.tokens = TokenStore(settings.tokens, wall)
        self.traces = traces or make_traces(
            settings.otel_endpoint.get_secret_value() if settings.otel_endpoint else None,
            os.environ,
            clock=clock,
            wall=time.time,
            log=self.log,
        )
        self.stages = RecentStages(wall)
        listeners = [self.metrics.record_photo, self.stages.record_photo]
        if self.traces:
            listeners.append(self.traces.record_photo)
        self.inference = Inference(
            self.slots, self.engines, self.cache, self.limits, clock, tuple(listeners)
        )
        self.app, self._early_status = self._build_application(one_time_token)
        self._server: Server | None = None

    def load(self) -> None:
        """Load and warm up the model, and then admit photos.

        If other users can change the files of the model, a warning is logged.

        Raises:
            ModelError: No model can be used.
        """
        if changeable_by_others(self.settings.model_folder):
            self.log.warning("model changeable by other users")
        self.engines.load()

    def load_snapshot(self) -> LoadSnapshot:
        """Return the state of the queue."""
        in_engine = self.engines.waiting_since()
        waiting = [*self.slots.waiting_since(), *in_engine]
        snapshot = self.meter.snapshot(waiting, room=self.settings.queue, decoding=0)
        decoding = max(0, self.slots.in_flight - len(in_engine) - snapshot.reading)
        return replace(snapshot, decoding=decoding)

    def listen(self, clock: Callable[[], float] | None = None) -> Server:
        """Open the server's socket.

        Args:
            clock: Returns monotonic seconds for connections. By default it is the service's clock.

        Raises:
            OSError: The address cannot be used.
        """
        self._server = Server(
            self.app,
            binding(self.settings),
            render_error=error_handlers.error_renderer(
                self._wall,
                self.log,
                self.metrics.record_refusal,
                headers.cors_headers(self.app, split(self.settings.origins)),
            ),
            draining=self.draining,
            clock=clock or self._clock,
            retry_after=self._retry_after_s,
            early_status=self._early_status,
            release_memory=release_free_memory,
        )
        return self._server

    def close(self) -> bool:
        """Stop all components.

        Returns:
            False if a reader is still busy after a few seconds.
        """
        self.draining.set()
        finished = self.inference.close()
        if self._server:
            self._server.close()
        if self.traces:
            self.traces.close()
        self.tokens.close()
        if self._own_log:
            close_logger()
        return finished

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _retry_after_s(self, path: str) -> int | None:
        path = path.removeprefix(self.settings.prefix or "") or "/"
        return self.slots.retry_after_s() if path in PHOTO_PATHS else None

    def _derived_secret(self, purpose: bytes) -> bytes:
        """Return a secret for one purpose. It is the same in all replicas that share a Redis."""
        secret = self._secret or secrets.token_bytes(32)
        return hmac.digest(secret, b"keylike " + purpose, "sha256")

    def _build_engines(self, load: Load | None, spare: Load | None) -> EngineSlot:
        """Return the holder of the engine. The engine is loaded later.

        If the model cannot be loaded, the embedded reader replaces it, unless the settings forbid
        this. Worker processes are used for the embedded reader only, because forked processes
        cannot share a GPU.
        """
        settings = self.settings
        if load is not None:
            return EngineSlot(
                partial(self._thread_engine, load),
                self.slots,
                spare=partial(self._thread_engine, spare) if spare else None,
                log=self.log,
            )
        embedded = settings.models / "caliper"
        serve_embedded = partial(self._embedded_engine, embedded)
        is_only_choice = (
            settings.model_folder.resolve() == embedded.resolve() and not settings.agree
        )
        return EngineSlot(
            self._chosen_engine,
            self.slots,
            spare=None if settings.strict or is_only_choice else serve_embedded,
            log=self.log,
        )

    def _chosen_engine(self) -> Engine:
        settings = self.settings
        if not settings.agree and loading.is_caliper(settings.model_folder):
            return self._embedded_engine(settings.model_folder)
        return self._thread_engine(partial(chosen_reader, settings))

    def _embedded_engine(self, folder: Path) -> Engine:
        load = partial(loading.load, folder)
        if not self.settings.processes:
            return self._thread_engine(load)
        spec = WorkerSpec(load, self.limits.open, self.settings.max_memory)
        pool = WorkerPool(spec, self.settings.processes, longest_s=self.settings.deadline_s)
        return ProcessEngine(pool, self.slots, self.meter, clock=self._clock)

    def _thread_engine(self, load: Load) -> Engine:
        return ThreadEngine(
            load(),
            self.limits.open,
            self.slots,
            self.meter,
            threads=self.settings.threads,
            clock=self._clock,
        )

    def _embedded_classifier(self) -> Classifier:
        """Return the embedded reader as a classifier.

        If the engine uses it in this process, no second one is loaded.
        """
        reader = self.engines.engine().reader
        if reader is None or reader.info.kind != "caliper":
            reader = loading.load(self.settings.models / "caliper")
        return loading.families(reader)

    def _build_application(self, one_time_token: str | None) -> tuple[OpenAPI, EarlyStatus]:
        settings = self.settings
        classifiers = Classifiers(
            settings.models,
            embedded=self._embedded_classifier,
            load=loading.load_classifier,
            log=self.log,
        )
        parts = Components(
            inference=self.inference,
            classifying=Classifying(self.slots, self.limits, classifiers, self._clock),
            slots=self.slots,
            engines=self.engines,
            cache=self.cache,
            credentials=Credentials(settings.token, self.tokens, one_time_token),
            policy=policy_of(settings),
            quotas=Quotas(settings.limit_address, settings.limit_free, settings.limit_premium),
            metrics=self.metrics,
            errors=RecentErrors(self._wall),
            stages=self.stages,
            load=self.load_snapshot,
            draining=self.draining.is_set,
            tunnel=self.tunnel,
            log=self.log,
            wall=self._wall,
        )
        return build_application(
            parts, http_options(settings, self._derived_secret(b"client names"))
        )


def create_app(settings: Settings, *, loaded: bool = True, **parts: Any) -> OpenAPI:
    """Return the Flask application of a new service. The service is `app.extensions["keylike"]`.

    Args:
        settings: The settings.
        loaded: True to load the model now. Otherwise requests get ModelLoading until
            `Service.load` is called.
        parts: Further arguments of `Service`.

    Raises:
        ModelError: The model cannot be loaded.
    """
    service = Service(settings, **parts)
    service.app.extensions["keylike"] = service
    if loaded:
        try:
            service.load()
        except BaseException:
            service.close()
            raise
    return service.app


def _build_metrics() -> Metrics:
    return Metrics(
        CollectorRegistry(),
        reasons=[reason.value for reason in Reason],
        rejections=error_handlers.REJECTIONS,
    )
