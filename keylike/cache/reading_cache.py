"""The cache of readings: its keys, the format of stored readings, and statistics."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from pydantic import TypeAdapter, ValidationError

from keylike.cache.single_flight import SingleFlight
from keylike.cache.stores import Store
from keylike.errors import BadImage, ImageTooLarge, KeylikeError, NoImage, UnsupportedImageType
from keylike.readers.contract import ReaderInfo, Reading, Unreadable
from keylike.scheduling.batch_runner import check_result
from keylike.scheduling.client import NO_CLIENT, Client

Result = Reading | Unreadable
# Failures caused by the photo itself. They are the same for every client that sends it.
PHOTO_FAILURES = (BadImage, ImageTooLarge, NoImage, UnsupportedImageType)

_JSON: TypeAdapter[Result] = TypeAdapter(Result)
# Length in bytes of the code that authenticates a stored value.
_CODE_BYTES = 32
# Digest of the fields of a reading. It is part of every cache key, so that replicas of different
# versions, whose readings have different fields, do not share entries in Redis.
_SCHEMA = hashlib.sha256(json.dumps(_JSON.json_schema()).encode()).hexdigest()


def cache_key(photo: bytes, reader: ReaderInfo, options: Sequence[int | str] = ()) -> str:
    """Return the cache key for a photo and a model, as 64 hexadecimal digits.

    Args:
        photo: The encoded picture.
        reader: Name, version and digest of the model.
        options: Everything else that can change the result.
    """
    digest = hashlib.sha256(photo).hexdigest()
    parts = [digest, reader.name, reader.version, reader.digest, _SCHEMA, *options]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class CacheResult:
    """A reader's result. `cached` is True if it was computed for another request."""

    result: Result
    cached: bool


@dataclass(frozen=True, slots=True)
class CacheStats:
    """Statistics of the cache.

    Attributes:
        hits: Requests answered from the store.
        misses: Requests that computed the reading.
        shared: Requests that waited for the computation of another request.
        entries: Readings stored now.
        max_entries: Largest number of stored readings.
        ttl_s: Seconds that each reading is stored.
        backend: "memory" or "redis".
        degraded: True while memory is used because Redis is unreachable or slow.
        invalid: Stored values that were damaged, forged or impossible. They also count as misses.
        hit_rate: Share of requests that did not compute the reading, from 0 to 1.
    """

    hits: int
    misses: int
    shared: int
    entries: int
    max_entries: int
    ttl_s: float
    backend: str
    degraded: bool
    invalid: int
    hit_rate: float


@dataclass(frozen=True, slots=True)
class _Shared:
    """The outcome for all waiting requests: a result, or a failure caused by the photo.

    `stored` is True if the result came from the store.
    """

    result: Result | KeylikeError
    stored: bool


class ReadingCache:
    """A cache of readings and refusals.

    Args:
        store: Keeps the values. It must have the same `ttl_s` and `size`.
        ttl_s: Seconds that a reading is kept. 0 disables the cache.
        size: Largest number of readings.
        clock: Returns monotonic seconds. It must be the clock of the clients' deadlines.
        secret: Authenticates values and hides cache keys in a store that other programs can use.
    """

    def __init__(
        self,
        store: Store,
        *,
        ttl_s: float,
        size: int,
        clock: Callable[[], float] = time.monotonic,
        secret: bytes | None = None,
    ) -> None:
        self._secret = secret
        self._store = store
        self._ttl_s = ttl_s
        self._size = size
        self._clock = clock
        self._flights: SingleFlight[_Shared] = SingleFlight()
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def get_or_compute(
        self, key: str, compute: Callable[[], Result], client: Client = NO_CLIENT
    ) -> CacheResult:
        """Return the cached value or compute it. Concurrent requests share one computation.

        A failure caused by the photo (PHOTO_FAILURES) is shared too, but not stored. Any other
        exception is raised only in the request that computed, because it may be caused by that
        request's deadline.

        Raises:
            DeadlineExceeded, ClientGone: The client no longer waits.
            Exception: Whatever `compute` raises.
        """
        if not self._ttl_s:
            return CacheResult(compute(), cached=False)
        shared, joined = self._flights.do(
            key,
            partial(self._look_up_or_compute, key, compute),
            lambda: client.time_left(self._clock()),
        )
        if joined:
            self._count("hits" if shared.stored else "shared")
        if isinstance(shared.result, KeylikeError):
            # A copy for each request. Raising one exception in two threads would mix their
            # tracebacks.
            raise type(shared.result)(shared.result.message, **shared.result.details) from None
        return CacheResult(shared.result, cached=joined or shared.stored)

    @property
    def degraded(self) -> bool:
        """True while memory is used because the configured store is unreachable or slow."""
        return self._store.degraded

    def stats(self) -> CacheStats:
        """Return the statistics since the start."""
        with self._lock:
            hits, misses, shared, invalid = (
                self._counts[name] for name in ("hits", "misses", "shared", "invalid")
            )
        asked = hits + misses + shared
        return CacheStats(
            hits=hits,
            misses=misses,
            shared=shared,
            entries=self._store.count(),
            max_entries=self._size,
            ttl_s=self._ttl_s,
            backend=self._store.backend,
            degraded=self._store.degraded,
            invalid=invalid,
            hit_rate=(hits + shared) / asked if asked else 0.0,
        )

    def _look_up_or_compute(self, key: str, compute: Callable[[], Result]) -> _Shared:
        key = self._store_key(key)
        stored = self._look_up(key)
        self._count("misses" if stored is None else "hits")
        if stored is not None:
            return _Shared(stored, stored=True)
        try:
            result = compute()
        except PHOTO_FAILURES as failure:
            return _Shared(failure, stored=False)
        self._store.put(key, self._sign(key, _JSON.dump_json(result)))
        return _Shared(result, stored=False)

    def _look_up(self, key: str) -> Result | None:
        """Return the stored result, or None if there is none or it is not valid."""
        value = self._store.get(key)
        if value is None:
            return None
        result = _parse(self._verify(key, value))
        if result is None:
            # The value was damaged, or another program wrote to the same Redis.
            self._count("invalid")
        return result

    def _store_key(self, key: str) -> str:
        if self._secret is None:
            return key
        return hmac.digest(self._secret, key.encode(), "sha256").hex()

    def _sign(self, key: str, text: bytes) -> bytes:
        """Return the text, preceded by a code that authenticates it together with its key."""
        return text if self._secret is None else self._code(self._secret, key, text) + text

    def _verify(self, key: str, value: bytes) -> bytes | None:
        if self._secret is None:
            return value
        code, text = value[:_CODE_BYTES], value[_CODE_BYTES:]
        valid = hmac.compare_digest(code, self._code(self._secret, key, text))
        return text if valid else None

    def _code(self, secret: bytes, key: str, text: bytes) -> bytes:
        return hmac.digest(secret, key.encode() + b"\0" + text, "sha256")

    def _count(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1


def _parse(text: bytes | None) -> Result | None:
    """Return the result in a stored text, or None if no reader could have returned it."""
    if text is None:
        return None
    try:
        result = check_result(_JSON.validate_json(text))
    except ValidationError:
        return None
    return None if isinstance(result, Exception) else result
