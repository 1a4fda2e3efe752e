"""How a command ends for a mistake: one line on stderr that says which, and status 2."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console

from keylike.errors import KeylikeError, ModelError

USAGE = 2
_err = Console(stderr=True, soft_wrap=True, highlight=False)


def say(line: str) -> None:
    """A line on stderr, as it is."""
    _err.print(f"keylike: {line}", markup=False)


def stop(line: str) -> typer.Exit:
    """Says in one line why nothing was done, for `raise`."""
    say(line)
    return typer.Exit(USAGE)


@contextmanager
def labelled_photos() -> Iterator[None]:
    """Says in one line what is wrong with a labelled folder, its photos, or what reads them."""
    try:
        yield
    except OSError as error:
        needed = (
            "a labelled folder holds labels.jsonl and the photos it names, in images/ or beside it"
        )
        raise stop(f"{error.filename}: {error.strerror}; {needed}") from None
    except (ValueError, ModelError) as error:
        raise stop(str(error)) from None
    except KeylikeError as error:
        raise stop(error.message) from None


def write(option: str, target: Path, writing: Callable[[], None]) -> None:
    """Writes a file that an option names, or says in one line why not."""
    try:
        writing()
    except (OSError, ValueError) as error:
        raise stop(f"{option}: cannot write {target}: {error}") from None
