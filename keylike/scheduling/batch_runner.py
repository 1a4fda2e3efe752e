"""Asks a reader so that whatever it does leaves somebody to answer for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from keylike.errors import RETRY_AFTER_S, Overloaded
from keylike.images.photo import Photo
from keylike.keys.bitting import Bitting
from keylike.keys.keyways import keyway
from keylike.readers.contract import Reader, Reading, Unreadable
from keylike.scheduling.job import Job, closing
from keylike.scheduling.queue_metrics import LoadMeter

Outcome = Reading | Unreadable | Exception


def ask(reader: Reader, photos: Sequence[Photo]) -> list[Outcome] | Exception:
    """A result or an error a photo, or what the reader raised; whatever that is, nobody may wait for ever. Overloaded where its memory
    did not suffice."""
    try:
        results = reader.read(photos)
        if len(results) != len(photos):
            raise ValueError("the reader gave another number of results than of photos")
        return [_checked(result) for result in results]
    except MemoryError:
        return Overloaded(
            "There is not enough memory for this photo now.", retry_after_s=RETRY_AFTER_S
        )
    except Exception as error:
        return error
    except BaseException as error:  # libraries panic and exit with kinds that no server expects
        return RuntimeError(f"the reader ended with {type(error).__name__}")


def ask_batch(
    reader: Reader, batch: Sequence[Job], meter: LoadMeter, clock: Callable[[], float]
) -> list[Outcome]:
    """One result or error a photo, in order; where one of several may have spoilt it for all, each is asked for alone."""
    with meter.batch(len(batch)):
        outcomes = ask(reader, [job.photo for job in batch if job.photo])
    if not isinstance(outcomes, Exception):
        return outcomes
    return (
        [outcomes] if len(batch) == 1 else [_ask_alone(reader, job, meter, clock) for job in batch]
    )


def _ask_alone(reader: Reader, job: Job, meter: LoadMeter, clock: Callable[[], float]) -> Outcome:
    lost = job.client.lost(clock())
    if lost or job.photo is None:
        return lost or closing()
    with meter.batch(1):
        alone = ask(reader, [job.photo])
    return alone if isinstance(alone, Exception) else alone[0]


def _checked(result: object) -> Outcome:
    """What no reader should say is an error here, before it is kept for those who send the same photo."""
    if isinstance(result, Reading):
        return _possible(result)
    return (
        result
        if isinstance(result, Unreadable)
        else TypeError(f"the reader gave {type(result).__name__} for a photo")
    )


def _possible(reading: Reading) -> Outcome:
    try:
        Bitting(keyway(reading.keyway), reading.codes).validate()
        if not 0 <= reading.confidence <= 1:
            raise ValueError("the reader gave a confidence that is no probability")
    except Exception as error:
        return error
    return reading
