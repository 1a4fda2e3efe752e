"""What Prometheus reads off the living server at the moment it asks: queue, batches, cache, model and GPU. Costs a request nothing."""

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

# Readers take at most 64 photos in one go.
_BATCHES = (1, 2, 4, 8, 16, 32, 64)
DIGEST_LENGTH = 12


@dataclass(frozen=True)
class Probes:
    """Where to look. `reader`: who reads, None until somebody does; `ready`: new work is welcome; `degraded`: another model reads than was
    asked for; `gpu`: None without one in use; `tunnel`: there is one, and it works."""

    reader: Callable[[], ReaderInfo | None]
    ready: Callable[[], bool]
    degraded: Callable[[], bool]
    load: Callable[[], LoadSnapshot]
    cache: Callable[[], CacheStats]
    gpu: Callable[[], GpuMemory | None]
    tunnel: Callable[[], bool]


class MetricsCollector(Collector):
    """Gives a value of each whenever `registry` is asked."""

    def __init__(self, living: Probes, registry: CollectorRegistry) -> None:
        self._living = living
        registry.register(self)

    def describe(self) -> Iterator[Metric]:
        """Nothing is looked at when it is registered."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """All values now."""
        yield from self._model()
        yield from self._queue(self._living.load())
        yield from self._cache(self._living.cache())
        yield _gauge(
            "keylike_tunnel_up", "1 where a tunnel is open and answers.", self._living.tunnel()
        )
        gpu = self._living.gpu()
        if gpu is not None:
            yield _gauge(
                "keylike_gpu_memory_used_bytes", "Memory of the GPU in use, by whomever.", gpu.used
            )
            yield _gauge("keylike_gpu_memory_bytes", "Memory of the GPU.", gpu.total)

    def _model(self) -> Iterator[Metric]:
        yield _gauge(
            "keylike_ready",
            "1 where the model is loaded and new work is welcome.",
            self._living.ready(),
        )
        yield _gauge(
            "keylike_degraded",
            "1 where the embedded reader answers in place of the model asked for.",
            self._living.degraded(),
        )
        info = self._living.reader()
        model = InfoMetricFamily("keylike_model", "The model that reads.")
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
        yield _gauge("keylike_queue_photos", "Photos that wait.", load.waiting)
        yield _gauge("keylike_queue_room_photos", "Photos that may wait.", load.room)
        yield _gauge(
            "keylike_queue_oldest_seconds",
            "How long the one that has waited longest waits.",
            load.oldest_s,
        )
        yield _gauge("keylike_decoding_photos", "Photos that are being decoded.", load.decoding)
        yield _gauge("keylike_reading_photos", "Photos that the model has.", load.reading)
        yield _gauge(
            "keylike_reading_seconds",
            "How long the model has had the batch that it has had longest.",
            load.reading_s,
        )
        yield CounterMetricFamily(
            "keylike_model_seconds",
            "Time that the model took, all its threads together.",
            value=load.model_s,
        )
        batches = HistogramMetricFamily(
            "keylike_batch_photos", "Photos that the model took in one go."
        )
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
        ):
            lookups.add_metric([result], count)
        yield lookups
        yield _gauge("keylike_cache_entries", "Readings that are kept.", stats.entries)
        yield _gauge(
            "keylike_cache_degraded",
            "1 where memory stands in for a Redis that is away.",
            stats.degraded,
        )


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=float(value))


def _buckets(batches: Mapping[int, int]) -> list[tuple[str, float]]:
    """Cumulative, as Prometheus wants them; the last holds all."""
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
