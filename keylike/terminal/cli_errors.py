"""Print errors of commands as one line on stderr, and exit with status 2."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import typer
from rich.console import Console

from keylike.errors import KeylikeError, ModelError

# Exit status of a command that was used wrongly.
USAGE = 2
_err = Console(stderr=True, soft_wrap=True, highlight=False)


def say(line: str) -> None:
    """Print a line to stderr. Errors are ignored, for example if stderr is closed."""
    with suppress(OSError):
        _err.print(f"keylike: {line}", markup=False)


def stop(*lines: str) -> typer.Exit:
    """Print the reasons why the command stops, one per line, and return the exception to raise."""
    for line in lines:
        say(line)
    return typer.Exit(USAGE)


@contextmanager
def exit_on_dataset_error() -> Iterator[None]:
    """Convert errors in the `with` block to one line on stderr, and exit.

    They are errors of a labelled folder, of its photos, or of the reader.
    """
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
    """Check that the output file of an option may be written. If not, print a line and exit.

    Args:
        option: name of the option.
        target: file to write.
        inputs: files that the command reads. They are never overwritten, even with `force`.
        force: True if other existing files may be overwritten.
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
    """Write the output file of an option. If that fails, print a line and exit."""
    try:
        writing()
    except (OSError, ValueError) as error:
        raise stop(f"{option}: cannot write {target}: {error}") from None
