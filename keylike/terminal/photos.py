"""The `read` command: reads photo files in the same way as the server, and prints the results."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from keylike.api.responses import new_request_id, refusal, success
from keylike.errors import KeylikeError, NoImage
from keylike.images.photo import read_photo_file
from keylike.inference import Answer, Inference, Options
from keylike.terminal import tables
from keylike.terminal.cli_errors import check_output, say, stop, write


def read_file(inference: Inference, photo: Path, zipcode: str) -> Answer | KeylikeError:
    """Return the answer for one photo, or the error."""
    try:
        return inference.answer(
            read_photo_file(photo, inference.limits.max_bytes), Options(zipcode)
        )
    except OSError as error:
        return NoImage(f"The file cannot be opened: {error.strerror}.")
    except KeylikeError as error:
        return error


def body(result: Answer | KeylikeError) -> dict[str, Any]:
    """Return the response body that the server would send."""
    request_id, now = new_request_id(), time.time()
    if isinstance(result, KeylikeError):
        return refusal(result, request_id=request_id, now=now)
    return success(result, request_id=request_id, now=now)


def show(
    console: Console,
    load: Callable[[], Inference],
    photos: Sequence[Path],
    zipcode: str,
    overlay: Path | None,
    *,
    as_json: bool,
    force: bool,
) -> bool:
    """Read all photos and print the results.

    The arguments are checked before the model is loaded. If one is wrong, the command exits.

    Args:
        console: receives the table.
        load: loads the model.
        photos: files to read.
        zipcode: five digits, for the market figures.
        overlay: file for a picture with the reading of a single photo, or None.
        as_json: True to print one line of JSON per photo instead of a table.
        force: True to overwrite `overlay` if it exists.

    Returns:
        True if every photo was read.
    """
    if overlay and len(photos) > 1:
        raise stop("--overlay takes a single photo")
    if len(zipcode) != 5 or not (zipcode.isascii() and zipcode.isdigit()):
        raise stop("--zipcode takes five digits")
    if overlay:
        check_output("--overlay", overlay, photos, force=force)
    inference = load()
    results = [read_file(inference, photo, zipcode) for photo in photos]
    inference.close()
    if as_json:
        for photo, result in zip(photos, results, strict=True):
            print(json.dumps({"file": str(photo), **body(result)}))
    else:
        console.print(tables.readings(photos, results))
        for line in tables.refusals(photos, results):
            console.print(line, markup=False)
    if overlay:
        _draw(inference, photos[0], results[0], overlay)
    return not any(isinstance(result, KeylikeError) for result in results)


def _draw(inference: Inference, photo: Path, result: Answer | KeylikeError, overlay: Path) -> None:
    if isinstance(result, KeylikeError):
        say(f"the photo was not read, so {overlay} was not written")
        return
    from keylike.readers.caliper.overlay import draw_overlay

    opened = inference.limits.open(read_photo_file(photo, inference.limits.max_bytes))
    write("--overlay", overlay, lambda: draw_overlay(opened, result.reading).save(overlay))
