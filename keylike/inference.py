"""The path of one photo, from an encoded picture to an answer, without HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from typing import TypeVar

from keylike.cache.reading_cache import CacheResult, ReadingCache, cache_key
from keylike.cache.stores import MemoryStore
from keylike.engines.engine_slot import EngineSlot
from keylike.engines.thread_engine import ThreadEngine
from keylike.errors import UnreadableKey
from keylike.images.photo import Photo, open_photo
from keylike.keys.bitting import Bitting
from keylike.keys.keyways import keyway
from keylike.keys.market import Market, market
from keylike.keys.risk import Assessment, assess
from keylike.observability.photo_trace import TraceBuilder, TraceListener, traced
from keylike.readers.classifiers.catalog import Classifiers
from keylike.readers.classifiers.contract import Classification
from keylike.readers.contract import Opinion, Reader, Reading, Unreadable
from keylike.scheduling.admission import AdmissionControl
from keylike.scheduling.client import NO_CLIENT, Client
from keylike.scheduling.parallel_map import parallel_map
from keylike.scheduling.queue_metrics import LoadMeter

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """Options that a client may choose.

    Attributes:
        zipcode: Five digits, or "00000" if unknown.
        cache: True if the reading may come from an earlier request.
    """

    zipcode: str = "00000"
    cache: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on the size of a picture.

    Attributes:
        max_bytes: Largest size of the encoded picture in bytes.
        max_pixels: Largest number of pixels, width times height.
        max_memory: Largest memory for decoding in bytes.
    """

    max_bytes: int = 10_000_000
    max_pixels: int = 50_000_000
    max_memory: int = 250_000_000

    def open(self, data: bytes) -> Photo:
        """Decode a picture within these limits. It raises the same errors as `open_photo`."""
        return open_photo(
            data, max_bytes=self.max_bytes, max_pixels=self.max_pixels, max_memory=self.max_memory
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """A reading with its meaning.

    Attributes:
        reading: The reader's result.
        bitting: The code as the keyway's maker writes it.
        assessment: What the code means for the key's owner.
        market: Rough market figures.
        model: Name and version of the reader.
        zipcode: The zipcode that the client sent, or "00000".
        processing_ms: Milliseconds from the encoded picture to this answer.
        cached: True if the reading was computed for another request.
    """

    reading: Reading
    bitting: Bitting
    assessment: Assessment
    market: Market
    model: str
    zipcode: str
    processing_ms: float
    cached: bool


@dataclass(frozen=True, slots=True)
class Inference:
    """The path of a photo: admission, cache, engine and interpretation of the code.

    Attributes:
        slots: Admission control and queue.
        engines: Holds the engine, which loads in the background.
        cache: Readings of earlier requests.
        limits: Limits on the size of a picture.
        clock: Returns monotonic seconds.
        listeners: Called with the trace of each admitted photo, in the thread of its request.
    """

    slots: AdmissionControl
    engines: EngineSlot
    cache: ReadingCache
    limits: Limits
    clock: Callable[[], float]
    listeners: tuple[TraceListener, ...] = ()

    @classmethod
    def local(cls, reader: Reader, limits: Limits) -> Inference:
        """Return an instance for use without a server: one thread, and no cache.

        The reader is not warmed up.
        """
        clock = time.monotonic
        meter = LoadMeter(clock)
        slots = AdmissionControl(1, meter, clock=clock)
        engine = ThreadEngine(reader, limits.open, slots, meter, threads=1, clock=clock)
        cache = ReadingCache(MemoryStore(ttl_s=0, size=1, clock=clock), ttl_s=0, size=1)
        return cls(slots, EngineSlot.of(engine, slots), cache, limits, clock)

    def close(self) -> bool:
        """Refuse the waiting photos and stop the engine.

        Returns:
            True if all threads and processes of the engine have stopped.
        """
        self.slots.close()
        return self.engines.close()

    def answer(self, data: bytes, options: Options, client: Client = NO_CLIENT) -> Answer:
        """Read one photo.

        Raises:
            KeylikeError: The picture cannot be decoded, the server is overloaded or still loading,
                or the client no longer waits.
            UnreadableKey: The reader refuses the photo.
        """
        with self.slots.admit(1, client):
            return self._answer(data, options, client)

    def answers(
        self, photos: Sequence[bytes], options: Options, client: Client = NO_CLIENT
    ) -> list[Answer | Exception]:
        """Read several photos.

        Returns:
            For each photo, in order, its answer or the exception that `answer` would raise.

        Raises:
            Overloaded: The queue has not enough capacity for all photos.
            ModelLoading: No engine is ready.
        """

        def attempt(data: bytes) -> Answer | Exception:
            with permit.one():
                try:
                    return self._answer(data, options, client)
                except Exception as failure:
                    return failure

        with self.slots.admit(len(photos), client) as permit:
            return parallel_map(attempt, photos, self.slots.at_a_time)

    def _answer(self, data: bytes, options: Options, client: Client) -> Answer:
        with traced(self.clock, self.listeners) as trace:
            engine = self.engines.engine()
            read = partial(engine.read, data, client, trace)
            if options.cache:
                key = cache_key(data, engine.info, astuple(self.limits))
                found = self.cache.get_or_compute(key, read, client)
            else:
                found = CacheResult(read(), cached=False)
            trace.cached = found.cached
            reading = unwrap(found.result, engine.info.label)
            trace.confidence = reading.confidence
            return self._interpret(reading, engine.info.label, options, trace)

    def _interpret(
        self, reading: Reading, model: str, options: Options, trace: TraceBuilder
    ) -> Answer:
        bitting = Bitting(keyway(reading.keyway), reading.codes)
        with trace.stage("assess"):
            assessment = assess(bitting)
        return Answer(
            reading=reading,
            bitting=bitting,
            assessment=assessment,
            market=market(bitting, options.zipcode),
            model=model,
            zipcode=options.zipcode,
            processing_ms=(self.clock() - trace.began) * 1e3,
            cached=trace.cached,
        )


@dataclass(frozen=True, slots=True)
class Classified:
    """The class of a photo, and the name and version of the classifier."""

    classification: Classification
    model: str


@dataclass(frozen=True, slots=True)
class Classifying:
    """Classification of photos, with the same queue as reading and without a cache."""

    slots: AdmissionControl
    limits: Limits
    classifiers: Classifiers
    clock: Callable[[], float]

    def answer(
        self, data: bytes, model: str | None = None, client: Client = NO_CLIENT
    ) -> Classified:
        """Classify one photo.

        Args:
            data: An encoded picture.
            model: Name of a classifier, or None for the embedded one.
            client: The sender. Waiting stops when its deadline passes or it disconnects.

        Raises:
            KeylikeError: As for reading a photo, or there is no classifier of this name.
            UnreadableKey: The classifier refuses the photo.
        """
        load = self.classifiers.choose(model)
        with self.slots.admit(1, client), self.slots.turn(client, TraceBuilder(self.clock)):
            photo = self.limits.open(data)
            classifier = load()
            client.time_left(self.clock())
            result = classifier.classify(photo)
        client.time_left(self.clock())
        name = f"{classifier.info.name}-{classifier.info.version}"
        return Classified(unwrap(result, name), name)


def unwrap(result: T | Unreadable, model: str) -> T:
    """Return the result of a reader or classifier.

    Raises:
        UnreadableKey: The result is a refusal.
    """
    if not isinstance(result, Unreadable):
        return result
    seen = {"opinions": [_opinion(each) for each in result.opinions]} if result.opinions else {}
    raise UnreadableKey(
        result.message, reason=result.reason.value, advice=result.advice, model=model, **seen
    )


def _opinion(one: Opinion) -> dict[str, object]:
    return {
        "model": one.model,
        "keyway": one.keyway,
        "bitting": ",".join(map(str, one.codes)),
        "probability": round(one.probability, 4),
    }
