"""Photos from files: read as the server would read them, and answered with its body."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from keylike.api.responses import new_request_id, refusal, success
from keylike.errors import KeylikeError, NoImage
from keylike.inference import Answer, Inference, Options
from keylike.terminal import tables
from keylike.terminal.cli_errors import say, stop, write


def read_file(inference: Inference, photo: Path, zipcode: str) -> Answer | KeylikeError:
    """The answer for one photo, or why there is none."""
    try:
        return inference.answer(photo.read_bytes(), Options(zipcode))
    except OSError as error:
        return NoImage(f"The file cannot be opened: {error.strerror}.")
    except KeylikeError as error:
        return error


def body(result: Answer | KeylikeError) -> dict[str, Any]:
    """The same body that the server would answer."""
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
) -> bool:
    """Reads all of them and prints what came out, as a table or a line of JSON each; a single one is drawn into `overlay`. True where all
    of them were read. Ends the command for a mistake, before anything is loaded."""
    if overlay and len(photos) > 1:
        raise stop("--overlay takes a single photo")
    if len(zipcode) != 5 or not (zipcode.isascii() and zipcode.isdigit()):
        raise stop("--zipcode takes five digits")
    inference = load()
    results = [read_file(inference, photo, zipcode) for photo in photos]
    inference.scheduler.close()
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
        say(f"nothing was read, so {overlay} was not written")
        return
    from keylike.readers.caliper.overlay import draw_overlay

    opened = inference.limits.open(photo.read_bytes())
    write("--overlay", overlay, lambda: draw_overlay(opened, result.reading).save(overlay))
