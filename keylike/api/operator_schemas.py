"""Response schemas of the operator's routes and of /health/detailed, for the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from keylike.api.schemas import Body, CacheOut


class StageOut(Body):
    """Times of one stage in milliseconds."""

    count: int = Field(ge=1)
    min: float = Field(ge=0)
    mean: float = Field(ge=0)
    p50: float = Field(ge=0)
    p95: float = Field(ge=0)
    p99: float = Field(ge=0)


class StagesOut(Body):
    """Times by stage; null for a stage that no photo went through."""

    decode: StageOut | None
    queue: StageOut | None = Field(description="Waiting for a turn and for the model")
    model: StageOut | None = Field(description="The batch that contained the photo")
    assess: StageOut | None
    whole: StageOut | None = Field(
        description="From the photo's bytes to its result; includes cached readings and failures"
    )


class PerformanceOut(Body):
    """Stage times of recent photos."""

    window_s: float = Field(
        gt=0, description="Length of the period, seconds; at most the last 1000 photos"
    )
    stages_ms: StagesOut


class TracedOut(Body):
    """Memory of Python objects, by tracemalloc."""

    current_bytes: int = Field(ge=0)
    peak_bytes: int = Field(ge=0)


class MemoryOut(Body):
    """Memory use of the process."""

    rss_bytes: int = Field(ge=0, description="Resident memory now")
    peak_bytes: int = Field(ge=0, description="Largest resident memory so far")
    photo_blocks: int = Field(
        ge=0, description="Memory blocks of freed pictures, kept for the next ones"
    )
    photo_block_bytes: int = Field(ge=0, description="Size of one block")
    cache_entries: int = Field(ge=0)
    tracemalloc: TracedOut | None = Field(
        description="null unless Python was started with tracemalloc"
    )


class CpuOut(Body):
    """Processor use."""

    seconds: float = Field(ge=0, description="Processor time since the process started, all cores")
    percent: float = Field(ge=0, description="Average use since the start, in percent of one core")
    cores: int = Field(ge=1, description="Cores of the machine")


class RamOut(Body):
    """Memory in MB."""

    rss_mb: float = Field(ge=0)
    peak_mb: float = Field(ge=0)
    free_mb: float = Field(ge=0, description="Free memory of the machine")


class GpuOut(Body):
    """The first GPU."""

    available: bool
    memory_mb: int = Field(ge=0, description="0 without one")
    used_mb: float | None = Field(
        ge=0, description="Use by all processes; null if this process uses no GPU"
    )


class CountsOut(Body):
    """Counters since the start."""

    requests: int = Field(ge=0)
    photos: dict[Literal["read", "unreadable", "refused", "crashed"], int] = Field(
        description="Admitted photos by outcome"
    )
    rejections: int = Field(ge=0, description="Requests, or photos of a batch, that were refused")


class QueueOut(Body):
    """The queue before the reader."""

    waiting: int = Field(ge=0)
    room: int = Field(ge=1, description="Photos that may wait")
    oldest_s: float = Field(ge=0, description="Seconds that the oldest photo has waited")
    decoding: int = Field(ge=0)
    reading: int = Field(ge=0, description="Photos that the model is reading")
    reading_s: float = Field(ge=0, description="Seconds that its oldest batch has taken so far")


class DetailedHealth(Body):
    """The state of the server in figures."""

    status: Literal["healthy", "degraded", "loading", "draining", "unhealthy"]
    reasons: list[str] = Field(description="Why it is not healthy")
    model: str | None
    uptime_s: float = Field(ge=0)
    cpu: CpuOut
    memory: RamOut
    gpu: GpuOut
    counts: CountsOut
    error_rate: float = Field(
        ge=0,
        le=1,
        description="Share of requests in the last `window_s` seconds that failed inside the server",
    )
    window_s: float = Field(gt=0)
    queue: QueueOut
    cache: CacheOut
    tunnel: Literal["off", "opening", "up", "lost", "refused"] = Field(
        description="State of the tunnel to a public address"
    )
    api_version: Literal["2.0.0"]
    timestamp: int = Field(description="Milliseconds since 1970")
