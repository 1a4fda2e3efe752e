"""Errors of commands: one line on stderr and exit status 2."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import typer
from rich.console import Console

from keylike.errors import KeylikeError, ModelError

USAGE = 2
_err = Console(stderr=True, soft_wrap=True, highlight=False)


def say(line: str) -> None:
    """Print a line to stderr, if that is possible."""
    with suppress(OSError):
        _err.print(f"keylike: {line}", markup=False)


def stop(*lines: str) -> typer.Exit:
    """Print why the command stops, a reason per line, and return the exception to raise."""
    for line in lines:
        say(line)
    return typer.Exit(USAGE)


@contextmanager
def exit_on_dataset_error() -> Iterator[None]:
    """Exit with one line for an error in a labelled folder, its photos or the reader."""
    try:
        yield
    except OSError as error:
        needed = "a labelled folder contains labels.jsonl and its photos, directly or in images/"
        raise stop(f"{error.filename}: {error.strerror}; {needed}") from None
    except (ValueError, ModelError) as error:
        raise stop(str(error)) from None
    except KeylikeError as error:
        raise stop(error.message) from None


def check_output(option: str, target: Path, inputs: Iterable[Path], *, force: bool) -> None:
    """Exit with one line if a file that an option names must not or cannot be written.

    Args:
        option: name of the option.
        target: file to write.
        inputs: files that the command reads; `force` does not allow to overwrite them.
        force: True if another existing file may be overwritten.
    """
    if not target.absolute().parent.is_dir():
        raise stop(f"{option}: the folder {target.parent} does not exist")
    if target.is_dir():
        raise stop(f"{option}: {target} is a folder")
    if not target.exists():
        return
    if any(each.exists() and target.samefile(each) for each in inputs):
        raise stop(f"{option}: {target} is one of the files to read; name another file")
    if not force:
        raise stop(f"{option}: {target} exists; name another file, or overwrite it with --force")


def write(option: str, target: Path, writing: Callable[[], None]) -> None:
    """Write a file that an option names, or exit with one line."""
    try:
        writing()
    except (OSError, ValueError) as error:
        raise stop(f"{option}: cannot write {target}: {error}") from None
