"""Prometheus counters and histograms of requests and photos.

Label values come from fixed sets. They never contain text from a client, the code of a key, a
token or an address.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE

from keylike.observability.photo_trace import OUTCOMES, STAGES, PhotoTrace

__all__ = ["CONTENT_TYPE", "Metrics", "RequestRecord"]

METHODS = ("GET", "HEAD", "OPTIONS", "POST")
# The label for every value that is not in the fixed set.
OTHER = "other"
# Upper bounds of the histograms' buckets, in seconds and as probabilities.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_CONFIDENCE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)

# Without this, the library adds a second series with the creation time to every series. It can be
# switched off only for the whole process.
disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A finished request.

    Attributes:
        method: HTTP method.
        route: URL template, None for an unknown path.
        status: HTTP status.
        seconds: time from arrival to response.
        crashed: True if an unexpected error occurred in the server, even for one photo of several.
    """

    method: str
    route: str | None
    status: int
    seconds: float
    crashed: bool


class Metrics:
    """The counters and histograms of one application.

    The series of all known labels exist from the start, so that the first increment is visible.

    Args:
        registry: registry that the metrics are added to.
        reasons: reasons why a photo can be unreadable.
        rejections: reasons why a request can be rejected.
    """

    def __init__(
        self, registry: CollectorRegistry, *, reasons: Collection[str], rejections: Iterable[str]
    ) -> None:
        self.registry = registry
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "keylike_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._latency = Histogram(
            "keylike_request_seconds",
            "Time from the arrival of a request to its response.",
            ["route", "status"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._photos = Counter(
            "keylike_photos",
            "Admitted photos, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self._stages = Histogram(
            "keylike_stage_seconds",
            "Time of a photo in each stage.",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._total = Histogram(
            "keylike_photo_seconds",
            "Time from the bytes of a photo to its result.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._confidence = Histogram(
            "keylike_confidence",
            "Confidence of the readings.",
            buckets=_CONFIDENCE,
            registry=registry,
        )
        self._unreadable = Counter(
            "keylike_unreadable", "Photos that could not be read.", ["reason"], registry=registry
        )
        self._rejections = Counter(
            "keylike_rejections",
            "Rejected requests, and rejected photos of a batch.",
            ["reason"],
            registry=registry,
        )
        self._failed_authentications = Counter(
            "keylike_failed_authentications",
            "Requests with a wrong token, or not checked after too many of them.",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("wrong", "limited"):
            self._failed_authentications.labels(outcome)
        self._outcome = {outcome: self._photos.labels(outcome) for outcome in OUTCOMES}
        self._stage = {stage: self._stages.labels(stage) for stage in STAGES}
        self._reason = {reason: self._unreadable.labels(reason) for reason in (*reasons, OTHER)}
        self._rejection = {reason: self._rejections.labels(reason) for reason in rejections}

    def record_request(self, request: RequestRecord) -> None:
        """Record an answered request."""
        method, route, status = (
            request.method if request.method in METHODS else OTHER,
            request.route or OTHER,
            str(request.status),
        )
        self._requests.labels(method, route, status).inc()
        self._latency.labels(route, status).observe(request.seconds)

    def record_refusal(self, status: int) -> None:
        """Record a request that the socket server refused before it was read."""
        self._requests.labels(OTHER, OTHER, str(status)).inc()

    def record_rejection(self, reason: str) -> None:
        """Record a rejected request or photo. `reason` must be one of `rejections`."""
        self._rejection[reason].inc()

    def record_failed_authentication(self, outcome: str) -> None:
        """Record a request with a wrong token ("wrong", or "limited" if it was not checked)."""
        self._failed_authentications.labels(outcome).inc()

    def record_photo(self, trace: PhotoTrace) -> None:
        """Record a finished photo."""
        self._outcome[trace.outcome].inc()
        self._total.observe(trace.ended - trace.began)
        for stage, seconds in trace.seconds().items():
            self._stage[stage].observe(seconds)
        if trace.outcome == "read" and trace.confidence is not None:
            self._confidence.observe(trace.confidence)
        if trace.reason is not None:
            self._reason.get(trace.reason, self._reason[OTHER]).inc()

    def requests(self) -> int:
        """Return the number of answered requests."""
        return sum(_counts(self._requests).values())

    def photos(self) -> dict[str, int]:
        """Return the number of admitted photos by outcome."""
        return _counts(self._photos)

    def rejections(self) -> int:
        """Return the number of rejected requests and photos."""
        return sum(_counts(self._rejections).values())

    def text(self) -> bytes:
        """Return all metrics in Prometheus's text format (CONTENT_TYPE)."""
        return generate_latest(self.registry)


def _counts(counter: Counter) -> dict[str, int]:
    """Return the values of a counter, by the values of their labels."""
    samples = [sample for family in counter.collect() for sample in family.samples]
    return {" ".join(sample.labels.values()): int(sample.value) for sample in samples}
