"""One photo in, one answer out: opens the picture, asks the reader, and says what the reading means. Knows no HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from typing import TypeVar

from keylike.cache.reading_cache import CacheResult, ReadingCache, reading_key
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
from keylike.readers.loading import model_name
from keylike.scheduling.parallel_map import side_by_side
from keylike.scheduling.scheduler import Client, Scheduler
from keylike.workers.pool import ReadingProcesses

T = TypeVar("T")
# Waits as long as it takes, and does not hang up.
NO_CLIENT = Client()


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller may choose: the zipcode, five digits, "00000" for unknown; whether a reading that is kept will do."""

    zipcode: str = "00000"
    cache: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest picture accepted, in bytes and in pixels, and the most memory that decoding it may take, in bytes."""

    max_bytes: int = 10_000_000
    max_pixels: int = 50_000_000
    max_memory: int = 250_000_000

    def open(self, data: bytes) -> Photo:
        """The photo, if it keeps to them. Raises the failures of open_photo."""
        return open_photo(
            data, max_bytes=self.max_bytes, max_pixels=self.max_pixels, max_memory=self.max_memory
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """A reading with its meaning. `model` names what read it; `processing_ms` is the time from bytes to answer, milliseconds."""

    reading: Reading
    bitting: Bitting
    assessment: Assessment
    market: Market
    model: str
    zipcode: str
    processing_ms: float
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Inference:
    """The way of one photo. `scheduler` leads to the reader; `clock` counts seconds; `cache` spares what it can; `watchers` are told how
    each photo that was let in fared, by the scheduler's clock, in the thread of its request."""

    scheduler: Scheduler
    limits: Limits
    clock: Callable[[], float]
    cache: ReadingCache | None = None
    watchers: tuple[TraceListener, ...] = ()

    def answer(self, data: bytes, options: Options, client: Client = NO_CLIENT) -> Answer:
        """Raises the failures of open_photo and of the scheduler, and UnreadableKey where the reader refuses."""
        with self.scheduler.admit(1):
            return self._answer(data, options, client)

    def answers(
        self, photos: Sequence[bytes], options: Options, client: Client = NO_CLIENT
    ) -> list[Answer | Exception]:
        """An answer a photo, in order, or what `answer` would have raised. Raises Overloaded, where there is no room for all of them,
        and ModelLoading."""

        def attempt(data: bytes) -> Answer | Exception:
            with places.one():
                try:
                    return self._answer(data, options, client)
                except Exception as failure:
                    return failure

        with self.scheduler.admit(len(photos)) as places:
            return side_by_side(attempt, photos, self.scheduler.at_a_time())

    def _answer(self, data: bytes, options: Options, client: Client) -> Answer:
        started = self.clock()
        with traced(self.scheduler.clock, self.watchers) as notes:
            reader = self.scheduler.reader()
            found = self._find(reader, data, options, client, notes)
            notes.cached = found.cached
            model = model_name(reader)
            reading = _readable(found.result, model)
            notes.confidence = reading.confidence
            bitting = Bitting(keyway(reading.keyway), reading.codes)
            with notes.stage("assess"):
                assessment = assess(bitting)
            return Answer(
                reading=reading,
                bitting=bitting,
                assessment=assessment,
                market=market(bitting, options.zipcode),
                model=model,
                zipcode=options.zipcode,
                processing_ms=(self.clock() - started) * 1e3,
                cached=found.cached,
            )

    def _find(
        self, reader: Reader, data: bytes, options: Options, client: Client, notes: TraceBuilder
    ) -> CacheResult:
        """What the reader says, or said before: then the photo is not even opened."""

        def run() -> Reading | Unreadable:
            if isinstance(reader, ReadingProcesses):
                return self.scheduler.read_apart(
                    lambda: reader.read_picture(data, client.deadline - self.scheduler.clock()),
                    client,
                    notes,
                )
            return self.scheduler.read(lambda: self.limits.open(data), client, notes)

        if self.cache is None or not options.cache:
            return CacheResult(run(), cached=False)
        key = reading_key(data, reader.info, astuple(self.limits))
        return self.cache.get_or_compute(key, run, left_s=lambda: self.scheduler.left_s(client))


@dataclass(frozen=True, slots=True)
class Classified:
    """The class of a photo; `model` names what told it."""

    classification: Classification
    model: str


@dataclass(frozen=True, slots=True)
class Classifying:
    """The way of one photo to a classifier: through the same door and the same turns as to the reader, but nothing is kept."""

    scheduler: Scheduler
    limits: Limits
    classifiers: Classifiers

    def answer(
        self, data: bytes, model: str | None = None, client: Client = NO_CLIENT
    ) -> Classified:
        """By the classifier of this name, or the embedded one. Raises the failures of open_photo, of the scheduler and of the classifiers,
        and UnreadableKey where the photo is of no use."""
        load = self.classifiers.choose(model)

        def classify() -> Classified:
            photo = self.limits.open(data)
            classifier = load()
            self.scheduler.left_s(client)
            name = f"{classifier.info.name}-{classifier.info.version}"
            return Classified(_readable(classifier.classify(photo), name), name)

        with self.scheduler.admit(1):
            return self.scheduler.beside(classify, client)


def _readable(result: T | Unreadable, model: str) -> T:
    if isinstance(result, Unreadable):
        seen = {"opinions": [_opinion(each) for each in result.opinions]} if result.opinions else {}
        raise UnreadableKey(
            result.message, reason=result.reason.value, advice=result.advice, model=model, **seen
        )
    return result


def _opinion(one: Opinion) -> dict[str, object]:
    bitting = ",".join(map(str, one.codes))
    return {
        "model": one.model,
        "keyway": one.keyway,
        "bitting": bitting,
        "probability": round(one.probability, 4),
    }
