"""What is counted while the server works, for Prometheus; the registry is handed in, so that every application has its own.

Label values come from closed sets alone: nothing that a caller can write, and never a code, a photo, a token or an address.
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
# What stands for every value that is not known beforehand.
OTHER = "other"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_CONFIDENCE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)

# For each series a second one with the time at which it was made; the library has no other place to say this than for the process.
disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A request that is over: `route` is the template of its address, None where there is nothing; `crashed` where the server itself
    failed, be it over one photo of several."""

    method: str
    route: str | None
    status: int
    seconds: float
    crashed: bool


class Metrics:
    """The counters and histograms of one application in `registry`. `reasons` why a photo can be unreadable, `rejections` why a request
    can be turned away: their series are there from the start, so that the first of each can be seen to rise."""

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
            "From a request's arrival to its answer.",
            ["route", "status"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._photos = Counter(
            "keylike_photos",
            "Photos let in to be read, by what became of them.",
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
        self._whole = Histogram(
            "keylike_photo_seconds",
            "From a photo's bytes to its answer.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._confidence = Histogram(
            "keylike_confidence",
            "Confidence of what was read.",
            buckets=_CONFIDENCE,
            registry=registry,
        )
        self._unreadable = Counter(
            "keylike_unreadable", "Photos that could not be read.", ["reason"], registry=registry
        )
        self._rejections = Counter(
            "keylike_rejections",
            "Requests, or photos of a batch, that were turned away.",
            ["reason"],
            registry=registry,
        )
        self._outcome = {outcome: self._photos.labels(outcome) for outcome in OUTCOMES}
        self._stage = {stage: self._stages.labels(stage) for stage in STAGES}
        self._reason = {reason: self._unreadable.labels(reason) for reason in (*reasons, OTHER)}
        self._rejection = {reason: self._rejections.labels(reason) for reason in rejections}

    def record_request(self, request: RequestRecord) -> None:
        """A request was answered."""
        method, route, status = (
            request.method if request.method in METHODS else OTHER,
            request.route or OTHER,
            str(request.status),
        )
        self._requests.labels(method, route, status).inc()
        self._latency.labels(route, status).observe(request.seconds)

    def record_refusal(self, status: int) -> None:
        """The socket server refused a request before it could be read."""
        self._requests.labels(OTHER, OTHER, str(status)).inc()

    def record_rejection(self, reason: str) -> None:
        """A request, or one photo of several, was turned away, for one of the reasons known at the start."""
        self._rejection[reason].inc()

    def record_photo(self, trace: PhotoTrace) -> None:
        """A photo's way is over."""
        self._outcome[trace.outcome].inc()
        self._whole.observe(trace.ended - trace.began)
        for stage, seconds in trace.seconds().items():
            self._stage[stage].observe(seconds)
        if trace.outcome == "read" and trace.confidence is not None:
            self._confidence.observe(trace.confidence)
        if trace.reason is not None:
            self._reason.get(trace.reason, self._reason[OTHER]).inc()

    def requests(self) -> int:
        """How many were answered."""
        return sum(_counts(self._requests).values())

    def photos(self) -> dict[str, int]:
        """How many were let in, by outcome."""
        return _counts(self._photos)

    def rejections(self) -> int:
        """How many requests, or photos of a batch, were turned away."""
        return sum(_counts(self._rejections).values())

    def text(self) -> bytes:
        """All of it in Prometheus's text format (CONTENT_TYPE)."""
        return generate_latest(self.registry)


def _counts(counter: Counter) -> dict[str, int]:
    """The values of a counter by its labels' values."""
    samples = [sample for family in counter.collect() for sample in family.samples]
    return {" ".join(sample.labels.values()): int(sample.value) for sample in samples}
