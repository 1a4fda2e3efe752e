"""Photos from files: read as the server would read them, and answered with its body."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from inference_handler import Answer, Inference, Options
from utils.errors import KeylikeError, NoImage
from utils.response_formatter import new_request_id, refusal, success


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
