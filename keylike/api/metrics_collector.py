"""Metrics that are read only when Prometheus asks: queue, batches, cache, model and GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector, CollectorRegistry

from keylike.cache.reading_cache import CacheStats
from keylike.observability.gpu import GpuMemory
from keylike.readers.contract import ReaderInfo
from keylike.scheduling.queue_metrics import LoadSnapshot

# Upper bounds of the histogram's buckets, in photos per batch. A batch has at most 64 photos.
_BATCHES = (1, 2, 4, 8, 16, 32, 64)
# Number of hexadecimal digits of the model's digest that the metrics show.
DIGEST_LENGTH = 12


@dataclass(frozen=True)
class Probes:
    """Functions that the collector calls to get the current values.

    Attributes:
        reader: Returns the reader's description, or None while it loads.
        ready: Returns True if the model is loaded and the server accepts new work.
        degraded: Returns True if the embedded reader replaces the configured model.
        load: Returns the figures of the queue.
        cache: Returns the counters of the cache.
        gpu: Returns the GPU's memory, or None if this process uses no GPU.
        tunnel: Returns True if a tunnel is open and works.
        dropped_log_lines: Returns the number of log lines that could not be written, by output.
    """

    reader: Callable[[], ReaderInfo | None]
    ready: Callable[[], bool]
    degraded: Callable[[], bool]
    load: Callable[[], LoadSnapshot]
    cache: Callable[[], CacheStats]
    gpu: Callable[[], GpuMemory | None]
    tunnel: Callable[[], bool]
    dropped_log_lines: Callable[[], Mapping[str, int]]


class MetricsCollector(Collector):
    """A Prometheus collector that calls the probes each time `registry` is scraped."""

    def __init__(self, probes: Probes, registry: CollectorRegistry) -> None:
        self._probes = probes
        registry.register(self)

    def describe(self) -> Iterator[Metric]:
        """Return nothing, so that registration does not call the probes."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield all current values."""
        yield from self._model()
        yield from self._queue(self._probes.load())
        yield from self._cache(self._probes.cache())
        yield _gauge("keylike_tunnel_up", "1 if a tunnel is open and works.", self._probes.tunnel())
        lines = CounterMetricFamily(
            "keylike_log_lines_dropped", "Log lines that could not be written.", labels=["output"]
        )
        for output, count in self._probes.dropped_log_lines().items():
            lines.add_metric([output], count)
        yield lines
        gpu = self._probes.gpu()
        if gpu is not None:
            yield _gauge(
                "keylike_gpu_memory_used_bytes", "GPU memory in use by all processes.", gpu.used
            )
            yield _gauge("keylike_gpu_memory_bytes", "Total GPU memory.", gpu.total)

    def _model(self) -> Iterator[Metric]:
        yield _gauge(
            "keylike_ready",
            "1 if the model is loaded and the server accepts new work.",
            self._probes.ready(),
        )
        yield _gauge(
            "keylike_degraded",
            "1 if the embedded reader replaces the configured model.",
            self._probes.degraded(),
        )
        info = self._probes.reader()
        model = InfoMetricFamily("keylike_model", "The model in use.")
        if info is not None:
            model.add_metric(
                [],
                {
                    "name": info.name,
                    "version": info.version,
                    "kind": info.kind,
                    "digest": info.digest[:DIGEST_LENGTH],
                },
            )
        yield model

    def _queue(self, load: LoadSnapshot) -> Iterator[Metric]:
        yield _gauge("keylike_queue_photos", "Photos that are waiting.", load.waiting)
        yield _gauge(
            "keylike_queue_room_photos", "Photos that may wait at the same time.", load.room
        )
        yield _gauge(
            "keylike_queue_oldest_seconds",
            "Time that the oldest waiting photo has waited.",
            load.oldest_s,
        )
        yield _gauge("keylike_decoding_photos", "Photos that are being decoded.", load.decoding)
        yield _gauge("keylike_reading_photos", "Photos that the model is reading.", load.reading)
        yield _gauge(
            "keylike_reading_seconds",
            "Time that the model's oldest batch has taken so far.",
            load.reading_s,
        )
        yield CounterMetricFamily(
            "keylike_model_seconds",
            "Time that the model took, summed over its threads.",
            value=load.model_s,
        )
        batches = HistogramMetricFamily("keylike_batch_photos", "Photos per batch of the model.")
        batches.add_metric(
            [], _buckets(load.batches), sum(size * count for size, count in load.batches.items())
        )
        yield batches

    def _cache(self, stats: CacheStats) -> Iterator[Metric]:
        lookups = CounterMetricFamily(
            "keylike_cache_lookups", "Photos looked up in the cache of readings.", labels=["result"]
        )
        for result, count in (
            ("hit", stats.hits),
            ("miss", stats.misses),
            ("shared", stats.shared),
            ("invalid", stats.invalid),
        ):
            lookups.add_metric([result], count)
        yield lookups
        yield _gauge("keylike_cache_entries", "Readings in the cache.", stats.entries)
        yield _gauge(
            "keylike_cache_degraded",
            "1 if Redis is unreachable and memory replaces it.",
            stats.degraded,
        )


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=float(value))


def _buckets(batches: Mapping[int, int]) -> list[tuple[str, float]]:
    """Return the cumulative buckets that Prometheus expects.

    Each has its upper bound, in photos per batch, and the number of batches up to that size. The
    last bucket counts all batches.
    """
    below = (0, *_BATCHES)
    counts = [
        sum(count for size, count in batches.items() if low < size <= high)
        for low, high in zip(below, _BATCHES, strict=False)
    ]
    totals = [*accumulate(counts), sum(batches.values())]
    return [
        (edge, float(total))
        for edge, total in zip(
            (*(str(float(size)) for size in _BATCHES), "+Inf"), totals, strict=True
        )
    ]
