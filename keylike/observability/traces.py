"""Optional OpenTelemetry traces: one span per photo, with one child span per stage.

Spans contain the outcome and the timings. They contain no code, photo, token or address.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from structlog.stdlib import BoundLogger

from keylike.observability.photo_trace import PhotoTrace

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

SETTING = "KEYLIKE_OTEL_ENDPOINT"
_STANDARD = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PATH = "/v1/traces"
# Seconds that a shutdown waits for a collector that does not accept the last spans.
_PATIENCE_S = 5.0


class Traces:
    """An exporter that sends finished photos as spans.

    `clock` is the clock of the photo traces. `wall` returns seconds since 1970.
    """

    def __init__(
        self, provider: TracerProvider, *, clock: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._wall = wall
        self._tracer = provider.get_tracer("keylike")

    def record_photo(self, trace: PhotoTrace) -> None:
        """Export a finished photo."""
        from opentelemetry.trace import Status, StatusCode, set_span_in_context

        since = self._wall() - self._clock()
        attributes: dict[str, str | bool] = {
            "keylike.outcome": trace.outcome,
            "keylike.cached": trace.cached,
        }
        if trace.reason is not None:
            attributes["keylike.reason"] = trace.reason
        whole = self._tracer.start_span(
            "photo", start_time=_ns(trace.began + since), attributes=attributes
        )
        if trace.outcome == "crashed":
            whole.set_status(Status(StatusCode.ERROR))
        inside = set_span_in_context(whole)
        for stage, began, ended in trace.timings:
            self._tracer.start_span(stage, inside, start_time=_ns(began + since)).end(
                _ns(ended + since)
            )
        whole.end(_ns(trace.ended + since))

    def close(self) -> None:
        """Send the remaining spans. Give up after _PATIENCE_S seconds."""
        sending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        sending.start()
        sending.join(_PATIENCE_S)


def make_traces(
    endpoint: str | None,
    environ: Mapping[str, str],
    *,
    clock: Callable[[], float],
    wall: Callable[[], float],
    log: BoundLogger,
) -> Traces | None:
    """Return the exporter, or None if traces are not configured or not available.

    They are not available if the packages are missing, or if environment variables select another
    exporter or protocol than OTLP over HTTP. A warning is then logged.

    Args:
        endpoint: base address of a collector, such as http://127.0.0.1:4318; None to use `environ`.
        environ: environment with OpenTelemetry's standard variables.
        clock: clock of the photo traces, in seconds.
        wall: returns seconds since 1970.
        log: receives the warning.
    """
    source = _asked_by(endpoint, environ)
    if source is None:
        return None
    fault = _unsupported(environ)
    if fault is None:
        try:
            return Traces(_provider(endpoint, environ), clock=clock, wall=wall)
        except ModuleNotFoundError:
            fault = "OpenTelemetry is not installed: pip install -r locks/otel.txt"
    log.warning("no_traces", asked_by=source, reason=fault)
    return None


def _asked_by(endpoint: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the name of the setting or variable that enables traces, or None.

    An empty variable counts as unset, as in OpenTelemetry.
    """
    if (
        _word(environ, "OTEL_SDK_DISABLED") == "true"
        or _word(environ, "OTEL_TRACES_EXPORTER") == "none"
    ):
        return None
    if endpoint:
        return SETTING
    return next((name for name in (*_STANDARD, "OTEL_TRACES_EXPORTER") if environ.get(name)), None)


def _unsupported(environ: Mapping[str, str]) -> str | None:
    if _word(environ, "OTEL_TRACES_EXPORTER") not in ("", "otlp"):
        return "OTEL_TRACES_EXPORTER must be otlp or none"
    protocol = next(
        (_word(environ, name) for name in _PROTOCOLS if environ.get(name)), "http/protobuf"
    )
    return (
        None
        if protocol == "http/protobuf"
        else "traces are sent by http/protobuf only: see OTEL_EXPORTER_OTLP_PROTOCOL"
    )


def _word(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").strip().lower()


def _provider(endpoint: str | None, environ: Mapping[str, str]) -> TracerProvider:
    """Return a tracer provider.

    OpenTelemetry's environment variables configure sampling, headers, batches and resource
    attributes.

    Raises:
        ModuleNotFoundError: OpenTelemetry is not installed.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = environ.get("OTEL_SERVICE_NAME") or f"{SERVICE_NAME}=" in environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    provider = TracerProvider(
        resource=Resource.create({} if named else {SERVICE_NAME: "keylike"}), shutdown_on_exit=False
    )
    address = endpoint.rstrip("/").removesuffix(_PATH) + _PATH if endpoint else None
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=address)))
    return provider


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
