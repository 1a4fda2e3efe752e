"""Tests of OpenTelemetry traces.

Each photo and each stage has a span, which is exported to a collector. The server also works
without the packages of OpenTelemetry.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from pydantic import SecretStr

from keylike.observability.logs import make_logger
from keylike.observability.traces import Traces, make_traces
from keylike.service import Load, Service
from keylike.settings import Settings, SettingsError, load_settings
from tests.collector import Collector
from tests.fakes import ColourReader
from tests.log_text import log_text
from tools.plain_pictures import BLUE, RED, plain

TOKEN = "c4nary-token"
SKIP_REASON = "OpenTelemetry is an extra: pip install -r locks/otel.txt"


class CrashingReader(ColourReader):
    """A reader that crashes with a message that contains secrets."""

    def read(self, photos: object) -> list[Any]:
        """Raise an error."""
        raise RuntimeError("c4nary 2,5,4,7,3")


class Traced:
    """An application that keeps its spans in memory, for the test to read."""

    def __init__(self, settings: Settings, reader: ColourReader) -> None:
        pytest.importorskip("opentelemetry.sdk", reason=SKIP_REASON)
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self.exporter, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        traces = Traces(
            provider, clock=time.monotonic, wall=lambda: time.monotonic() + 1_795_000_000
        )
        settings = settings.model_copy(update={"api_key": SecretStr(TOKEN)})
        self.service = Service(settings, load=lambda: reader, traces=traces)
        self.service.load()
        self.client = self.service.app.test_client()

    def post(self, photo: bytes) -> tuple[Any, list[Any]]:
        """Post a photo and return its span and, in order, the spans of its stages."""
        self.exporter.clear()
        self.client.post(
            "/predict?zipcode=98765",
            data=photo,
            content_type="image/jpeg",
            headers={"X-API-Key": TOKEN},
        )
        *stages, whole = self.exporter.get_finished_spans()
        return whole, stages


@pytest.fixture
def traced(settings: Settings) -> Iterator[Traced]:
    """Return an application with the colour reader."""
    tracing = Traced(settings, ColourReader())
    yield tracing
    tracing.service.close()


def test_photo_has_one_span_with_one_child_span_per_stage(traced: Traced) -> None:
    whole, stages = traced.post(plain(RED))
    assert (whole.name, whole.parent, dict(whole.attributes)) == (
        "photo",
        None,
        {"keylike.outcome": "read", "keylike.cached": False},
    )
    assert [span.name for span in stages] == ["queue", "decode", "queue", "model", "assess"]
    assert all(
        span.parent.span_id == whole.context.span_id
        and span.context.trace_id == whole.context.trace_id
        for span in stages
    )
    times = [
        whole.start_time,
        *(time for span in stages for time in (span.start_time, span.end_time)),
        whole.end_time,
    ]
    assert all(later - earlier > -2000 for earlier, later in pairwise(times)), (
        "the times must be in order, except for rounding"
    )
    assert whole.start_time > 1_795_000_000 * 10**9 and whole.end_time > whole.start_time


def test_cached_photo_has_only_the_assessment_as_a_stage(traced: Traced) -> None:
    traced.post(plain(RED))
    whole, stages = traced.post(plain(RED))
    assert whole.attributes["keylike.cached"] is True
    assert [span.name for span in stages] == ["assess"]


def test_span_of_a_photo_has_its_outcome(traced: Traced, settings: Settings) -> None:
    whole, stages = traced.post(plain(BLUE))
    assert (whole.attributes["keylike.outcome"], whole.attributes["keylike.reason"]) == (
        "unreadable",
        "not_a_key",
    )
    assert [span.name for span in stages] == ["queue", "decode", "queue", "model"]
    whole, stages = traced.post(b"no picture")
    assert (whole.attributes["keylike.outcome"], [span.name for span in stages]) == (
        "refused",
        ["queue", "decode"],
    )
    crashing = Traced(settings, CrashingReader())
    whole, _ = crashing.post(plain(RED))
    assert (whole.attributes["keylike.outcome"], whole.status.status_code.name) == (
        "crashed",
        "ERROR",
    )
    assert "c4nary" not in whole.to_json()
    crashing.service.close()


def test_spans_contain_no_secrets(traced: Traced) -> None:
    whole, stages = traced.post(plain(RED) + b"c4nary-photo")
    for span in (whole, *stages):
        for secret in ("c4nary", TOKEN, "2,5,4,7,3", "25473", "98765", "127.0.0.1", "SC1"):
            assert secret not in span.to_json().replace(" ", "")


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Run a collector that receives spans."""
    tracing = Collector()
    yield tracing
    tracing.close()


def send_one(settings: Settings, model: Load) -> None:
    """Post a photo to an application whose traces the settings or the environment enable."""
    with Service(settings, load=model) as service:
        service.load()
        assert service.traces is not None
        client = service.app.test_client()
        photo = plain(RED)
        assert client.post("/predict", data=photo, content_type="image/jpeg").status_code == 200


@pytest.mark.parametrize("end", ["", "/", "/v1/traces"])
def test_setting_sends_spans_to_a_collector(
    settings: Settings, model: Load, collector: Collector, end: str
) -> None:
    pytest.importorskip("opentelemetry.sdk", reason=SKIP_REASON)
    send_one(settings.model_copy(update={"otel_endpoint": SecretStr(collector.url + end)}), model)
    [(path, sent)] = collector.got
    assert path == "/v1/traces"
    assert all(
        name in sent
        for name in (
            b"photo",
            b"decode",
            b"queue",
            b"model",
            b"assess",
            b"service.name",
            b"keylike",
        )
    )


def test_standard_otel_variables_send_spans_to_a_collector(
    settings: Settings, model: Load, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("opentelemetry.sdk", reason=SKIP_REASON)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "custom-name")
    send_one(settings, model)
    [(path, sent)] = collector.got
    assert path == "/v1/traces" and b"custom-name" in sent


def refusal(settings: Settings, endpoint: str | None, **environ: str) -> dict[str, Any] | None:
    """Check that these settings enable no traces, and return the last log line, if any."""
    traces = make_traces(
        endpoint, environ, clock=lambda: 0.0, wall=lambda: 0.0, log=make_logger(settings.logs)
    )
    assert traces is None
    logged = [json.loads(line) for line in log_text(settings.logs).splitlines()]
    return logged[-1] if logged else None


def test_nothing_is_logged_if_traces_are_not_enabled(settings: Settings) -> None:
    assert refusal(settings, None) is None
    assert (
        refusal(settings, None, OTEL_EXPORTER_OTLP_ENDPOINT="", OTEL_SERVICE_NAME="keylike") is None
    )
    assert refusal(settings, "http://c4nary", OTEL_SDK_DISABLED="True") is None
    assert refusal(settings, "http://c4nary", OTEL_TRACES_EXPORTER="none") is None


@pytest.mark.parametrize(
    "name", ["KEYLIKE_OTEL_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_EXPORTER"]
)
def test_missing_packages_for_traces_are_logged(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for module in [module for module in sys.modules if module.startswith("opentelemetry")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    own = name.startswith("KEYLIKE")
    logged = refusal(settings, "http://c4nary" if own else None, **({} if own else {name: "otlp"}))
    assert logged is not None and (logged["event"], logged["level"], logged["asked_by"]) == (
        "no_traces",
        "warning",
        name,
    )
    assert "locks/otel.txt" in logged["reason"] and "c4nary" not in str(logged)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
    ],
)
def test_unsupported_exporter_or_protocol_is_logged(
    settings: Settings, name: str, value: str
) -> None:
    logged = refusal(settings, "http://c4nary", **{name: value})
    assert logged is not None and name in logged["reason"]


@pytest.mark.parametrize("address", ["c4nary", "grpc://c4nary:4317", "http://", "https://:4318"])
def test_invalid_collector_address_is_rejected(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("KEYLIKE_OTEL_ENDPOINT", address)
    with pytest.raises(
        SettingsError, match=r"KEYLIKE_OTEL_ENDPOINT: .*not an address of a collector"
    ) as error:
        load_settings()
    assert "c4nary" not in str(error.value)
