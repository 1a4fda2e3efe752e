"""Asks a reader so that whatever it does leaves somebody to answer for it."""

from __future__ import annotations

from collections.abc import Sequence

from readers.contract import Reader, Reading, Unreadable
from utils.image_processing import Photo


def ask(reader: Reader, photos: Sequence[Photo]) -> list[Reading | Unreadable | Exception] | Exception:
    """A result a photo, or what the reader raised; whatever that is, nobody may wait for ever."""
    try:
        results = reader.read(photos)
        if len(results) != len(photos):
            raise ValueError("the reader gave another number of results than of photos")
        return [*results]
    except Exception as error:
        return error
    except BaseException as error:  # libraries panic and exit with kinds that no server expects
        return RuntimeError(f"the reader ended with {type(error).__name__}")
