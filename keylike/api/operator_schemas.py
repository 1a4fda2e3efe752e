"""Response schemas of the operator's routes and of /health/detailed, for the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from keylike.api.schemas import ApiVersion, Body, CacheOut, Timestamp


class StageOut(Body):
    """Times of one stage in milliseconds."""

    count: int = Field(ge=1, description="Photos that went through the stage")
    min: float = Field(ge=0, description="Shortest time")
    mean: float = Field(ge=0, description="Average time")
    p50: float = Field(ge=0, description="Median time")
    p95: float = Field(ge=0, description="95th percentile")
    p99: float = Field(ge=0, description="99th percentile")


class StagesOut(Body):
    """Times by stage; null for a stage that no photo went through."""

    decode: StageOut | None = Field(description="From bytes to pixels")
    queue: StageOut | None = Field(description="Waiting for a turn and for the model")
    model: StageOut | None = Field(description="The batch that contained the photo")
    assess: StageOut | None = Field(description="Meaning of the reading for the owner")
    whole: StageOut | None = Field(
        description="From the photo's bytes to its result; includes cached readings and failures"
    )


class PerformanceOut(Body):
    """Stage times of recent photos."""

    window_s: float = Field(
        gt=0, description="Length of the period, seconds; at most the last 1000 photos"
    )
    stages_ms: StagesOut = Field(description="Times by stage, milliseconds")


class TracedOut(Body):
    """Memory of Python objects, as measured by tracemalloc."""

    current_bytes: int = Field(ge=0, description="Memory in use now")
    peak_bytes: int = Field(ge=0, description="Largest memory in use so far")


class MemoryOut(Body):
    """Memory use of the process."""

    rss_bytes: int = Field(ge=0, description="Resident memory now")
    peak_bytes: int = Field(ge=0, description="Largest resident memory so far")
    photo_blocks: int = Field(
        ge=0, description="Memory blocks of freed pictures, kept for the next ones"
    )
    photo_block_bytes: int = Field(ge=0, description="Size of one block")
    cache_entries: int = Field(ge=0, description="Readings in the cache now")
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

    rss_mb: float = Field(ge=0, description="Resident memory of the process now")
    peak_mb: float = Field(ge=0, description="Largest resident memory so far")
    free_mb: float = Field(ge=0, description="Free memory of the machine")


class GpuOut(Body):
    """The first GPU."""

    available: bool = Field(description="True if the server found one")
    memory_mb: int = Field(ge=0, description="Memory of the GPU; 0 without one")
    used_mb: float | None = Field(
        ge=0, description="Use by all processes; null if this process uses no GPU"
    )


class CountsOut(Body):
    """Counters since the start."""

    requests: int = Field(ge=0, description="Answered requests")
    photos: dict[Literal["read", "unreadable", "refused", "crashed"], int] = Field(
        description="Admitted photos by outcome"
    )
    rejections: int = Field(ge=0, description="Requests, or photos of a batch, that were refused")


class QueueOut(Body):
    """The queue before the reader."""

    waiting: int = Field(ge=0, description="Photos that wait for the model")
    room: int = Field(ge=1, description="Largest number of photos that may wait")
    oldest_s: float = Field(ge=0, description="Seconds that the oldest photo has waited")
    decoding: int = Field(ge=0, description="Photos that are being decoded")
    reading: int = Field(ge=0, description="Photos that the model is reading")
    reading_s: float = Field(
        ge=0, description="Seconds that the model's oldest batch has taken so far"
    )


class DetailedHealth(Body):
    """The state of the server in figures."""

    status: Literal["healthy", "degraded", "loading", "draining", "unhealthy"] = Field(
        description="The most serious condition that applies"
    )
    reasons: list[str] = Field(description="Why it is not healthy")
    model: str | None = Field(description="Name and version of the model; null while it loads")
    uptime_s: float = Field(ge=0, description="Seconds since the process started")
    cpu: CpuOut = Field(description="Processor use")
    memory: RamOut = Field(description="Memory in MB")
    gpu: GpuOut = Field(description="The first GPU")
    counts: CountsOut = Field(description="Counters since the start")
    error_rate: float = Field(
        ge=0,
        le=1,
        description="Share of requests of the last `window_s` seconds that failed in the server",
    )
    window_s: float = Field(gt=0, description="Length of the period for `error_rate`, seconds")
    queue: QueueOut = Field(description="The queue before the reader")
    cache: CacheOut = Field(description="Counters of the cache since the start")
    tunnel: Literal["off", "opening", "up", "lost", "refused"] = Field(
        description="State of the tunnel to a public address"
    )
    api_version: ApiVersion
    timestamp: Timestamp
