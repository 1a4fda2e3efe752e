"""Run a reader on a batch, so that each photo gets a result or an error in every case."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from keylike.errors import RETRY_AFTER_S, KeylikeError, Overloaded
from keylike.images.photo import Photo
from keylike.keys.bitting import Bitting
from keylike.keys.keyways import keyway
from keylike.readers.contract import Reader, Reading, Unreadable
from keylike.scheduling.queue_metrics import LoadMeter

Result = Reading | Unreadable
Outcome = Result | Exception


def run_reader(reader: Reader, photos: Sequence[Photo]) -> list[Outcome] | Exception:
    """Return a result or an error for each photo, or one exception if the whole batch failed.

    Every result is checked. `BaseException` is caught too, because some native libraries raise it
    and the waiting clients need a response. A MemoryError is returned as Overloaded.
    """
    try:
        results = reader.read(photos)
        if len(results) != len(photos):
            raise ValueError("the reader returned another number of results than of photos")
        return [check_result(result) for result in results]
    except MemoryError:
        return Overloaded(
            "There is not enough memory for this photo now.", retry_after_s=RETRY_AFTER_S
        )
    except Exception as error:
        return error
    except BaseException as error:
        return RuntimeError(f"the reader ended with {type(error).__name__}")


def run_batch(
    reader: Reader,
    photos: Sequence[Photo],
    meter: LoadMeter,
    unwanted: Callable[[int], KeylikeError | None],
) -> list[Outcome]:
    """Return a result or an error for each photo, in order.

    If a batch of several photos fails, each photo is read again in a batch of one, so that a bad
    photo does not affect the others.

    Args:
        reader: The reader.
        photos: The photos of the batch.
        meter: Measures the batches.
        unwanted: Returns, for the index of a photo, why it need not be read again, or None.
    """
    with meter.batch(len(photos)):
        outcomes = run_reader(reader, photos)
    if not isinstance(outcomes, Exception):
        return outcomes
    if len(photos) == 1:
        return [outcomes]
    return [unwanted(index) or _run_one(reader, photo, meter) for index, photo in enumerate(photos)]


def _run_one(reader: Reader, photo: Photo, meter: LoadMeter) -> Outcome:
    with meter.batch(1):
        outcomes = run_reader(reader, [photo])
    return outcomes if isinstance(outcomes, Exception) else outcomes[0]


def check_result(result: object) -> Outcome:
    """Return the result, or an error if it is not possible, such as an unknown keyway."""
    if isinstance(result, Unreadable):
        return result
    if not isinstance(result, Reading):
        return TypeError(f"the reader returned {type(result).__name__} for a photo")
    try:
        Bitting(keyway(result.keyway), result.codes).validate()
        if not 0 <= result.confidence <= 1:
            raise ValueError("the reader returned a confidence that is not a probability")
    except Exception as error:
        return error
    return result
