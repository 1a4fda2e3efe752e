"""The cache of readings: what counts as the same photo, how a reading is kept, and how often that spared a run."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from keylike.cache.single_flight import SingleFlight
from keylike.cache.stores import Store
from keylike.errors import BadImage, ImageTooLarge, KeylikeError, NoImage, UnsupportedImageType
from keylike.readers.contract import ReaderInfo, Reading, Unreadable

Result = Reading | Unreadable
# What may be wrong with a photo itself, whoever sends it.
PHOTO_FAILURES = (BadImage, ImageTooLarge, NoImage, UnsupportedImageType)

_JSON: TypeAdapter[Result] = TypeAdapter(Result)
# Part of every key, so that replicas of different versions, which know readings of different shapes, keep apart in one Redis.
_SHAPE = hashlib.sha256(json.dumps(_JSON.json_schema()).encode()).hexdigest()


def reading_key(photo: bytes, reader: ReaderInfo, options: Sequence[int | str] = ()) -> str:
    """What names the reading of these bytes by this model, 64 hexadecimal digits; `options`: whatever else changes it."""
    parts = [
        hashlib.sha256(photo).hexdigest(),
        reader.name,
        reader.version,
        reader.digest,
        _SHAPE,
        *options,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class CacheResult:
    """What a reader said about a photo; `cached` where no run was made for this caller."""

    result: Result
    cached: bool


@dataclass(frozen=True, slots=True)
class CacheStats:
    """`hits` were kept, `misses` were run, `shared` waited for the run of another; `hit_rate` is the share of all that made no run.

    `entries` are kept now, at most `max_entries`, each for `ttl_s` seconds; `degraded` where memory stands in for the backend.
    """

    hits: int
    misses: int
    shared: int
    entries: int
    max_entries: int
    ttl_s: float
    backend: str
    degraded: bool
    hit_rate: float


@dataclass(frozen=True, slots=True)
class _Landed:
    """What a flight brings back for all: a result, kept before or new, or what is wrong with the photo itself."""

    result: Result | KeylikeError
    kept: bool


class ReadingCache:
    """Readings and refusals by key in `store`, whose limits are `ttl_s` and `size`; with a `ttl_s` of 0 everything is run."""

    def __init__(self, store: Store, *, ttl_s: float, size: int) -> None:
        self._store, self._ttl_s, self._size = store, ttl_s, size
        self._flights: SingleFlight[_Landed] = SingleFlight()
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def get_or_compute(
        self,
        key: str,
        run: Callable[[], Result],
        *,
        left_s: Callable[[], float | None] = lambda: None,
    ) -> CacheResult:
        """What is kept under `key`, or what `run` gives; of those who ask at the same time one runs.

        What `run` raises about the photo (PHOTO_FAILURES) is shared with them but not kept. Whatever else it raises goes to its own caller
        alone: never worse than without a cache, nobody gets another's deadline or place in a queue. `left_s`: as in Flights.
        """
        if not self._ttl_s:
            return CacheResult(run(), cached=False)
        landed, joined = self._flights.do(key, lambda: self._look_or_run(key, run), left_s)
        if joined:
            self._add("hits" if landed.kept else "shared")
        if isinstance(landed.result, KeylikeError):
            # A new one for each: an exception that two threads raise would hold the places of both.
            raise type(landed.result)(landed.result.message, **landed.result.details) from None
        return CacheResult(landed.result, cached=joined or landed.kept)

    @property
    def degraded(self) -> bool:
        """Whether memory stood in for the store that was asked for when it was last asked."""
        return self._store.degraded

    def stats(self) -> CacheStats:
        """Counts since the start, and what is kept now."""
        with self._lock:
            hits, misses, shared = (self._counts[name] for name in ("hits", "misses", "shared"))
        entries, asked = self._store.count(), hits + misses + shared
        rate = (hits + shared) / asked if asked else 0.0
        store = self._store
        return CacheStats(
            hits,
            misses,
            shared,
            entries,
            self._size,
            self._ttl_s,
            store.backend,
            store.degraded,
            rate,
        )

    def _look_or_run(self, key: str, run: Callable[[], Result]) -> _Landed:
        kept = self._kept(key)
        self._add("misses" if kept is None else "hits")
        if kept is not None:
            return _Landed(kept, kept=True)
        try:
            result = run()
        except PHOTO_FAILURES as failure:
            return _Landed(failure, kept=False)
        self._store.put(key, _JSON.dump_json(result))
        return _Landed(result, kept=False)

    def _kept(self, key: str) -> Result | None:
        text = self._store.get(key)
        try:
            return None if text is None else _JSON.validate_json(text)
        except ValidationError:
            return None  # others write to a Redis too

    def _add(self, count: str) -> None:
        with self._lock:
            self._counts[count] += 1
