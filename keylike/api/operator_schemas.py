"""What the operator's routes and /health/detailed answer, as the OpenAPI document describes it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from keylike.api.schemas import Body, CacheOut


class StageOut(Body):
    """Times in milliseconds."""

    count: int = Field(ge=1)
    min: float = Field(ge=0)
    mean: float = Field(ge=0)
    p50: float = Field(ge=0)
    p95: float = Field(ge=0)
    p99: float = Field(ge=0)


class StagesOut(Body):
    """Of each stage; null where there was no photo."""

    decode: StageOut | None
    queue: StageOut | None = Field(
        description="Waiting for a turn to be decoded, and for the model"
    )
    model: StageOut | None = Field(description="The batch that the photo was read in")
    assess: StageOut | None
    whole: StageOut | None = Field(
        description="From a photo's bytes to its answer, readings at hand and failures as well"
    )


class PerformanceOut(Body):
    """How long photos took of late."""

    window_s: float = Field(gt=0, description="How far back, seconds; the last 1000 photos at most")
    stages_ms: StagesOut


class TracedOut(Body):
    """Python's own objects."""

    current_bytes: int = Field(ge=0)
    peak_bytes: int = Field(ge=0)


class MemoryOut(Body):
    """What the process keeps."""

    rss_bytes: int = Field(ge=0, description="Resident now")
    peak_bytes: int = Field(ge=0, description="The most that was ever resident")
    photo_blocks: int = Field(ge=0, description="Blocks of freed pictures, kept for the next")
    photo_block_bytes: int = Field(ge=0, description="The size of one")
    cache_entries: int = Field(ge=0)
    tracemalloc: TracedOut | None = Field(
        description="null unless Python was started with tracemalloc"
    )


class CpuOut(Body):
    """What it computes."""

    seconds: float = Field(ge=0, description="All cores together, since the process began")
    percent: float = Field(ge=0, description="Of one core, on average while the server is up")
    cores: int = Field(ge=1, description="Of the machine")


class RamOut(Body):
    """What it holds, MB."""

    rss_mb: float = Field(ge=0)
    peak_mb: float = Field(ge=0)
    free_mb: float = Field(ge=0, description="Of the machine")


class GpuOut(Body):
    """The first GPU."""

    available: bool
    memory_mb: int = Field(ge=0, description="0 without one")
    used_mb: float | None = Field(
        ge=0, description="By whomever; null where this process computes on none"
    )


class CountsOut(Body):
    """Since the start."""

    requests: int = Field(ge=0)
    photos: dict[Literal["read", "unreadable", "refused", "crashed"], int] = Field(
        description="Those let in, by what became of them"
    )
    rejections: int = Field(
        ge=0, description="Requests, or photos of a batch, that were turned away"
    )


class QueueOut(Body):
    """The way to the reader."""

    waiting: int = Field(ge=0)
    room: int = Field(ge=1, description="Photos that may wait")
    oldest_s: float = Field(ge=0, description="How long the one that has waited longest waits")
    decoding: int = Field(ge=0)
    reading: int = Field(ge=0, description="Photos that the model has")
    reading_s: float = Field(
        ge=0, description="How long it has had the batch that it has had longest"
    )


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
        description="Share of the requests of the last `window_s` in which the server itself failed",
    )
    window_s: float = Field(gt=0)
    queue: QueueOut
    cache: CacheOut
    tunnel: Literal["off", "opening", "up", "lost", "refused"] = Field(
        description="Whether the server has a public address of its own"
    )
    api_version: Literal["2.0.0"]
    timestamp: int = Field(description="Milliseconds since 1970")
