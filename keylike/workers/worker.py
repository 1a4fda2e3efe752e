"""The main loop of a worker process: decode and read one picture after the other."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import NoReturn

from keylike.images.photo import Photo
from keylike.observability.malloc_tuning import release_free_memory
from keylike.readers.contract import Reader
from keylike.scheduling.batch_runner import run_reader
from keylike.workers.replies import Reply, encode_reply
from keylike.workers.wire import Message, receive, send

# The largest size that a header can announce; the server has already bounded the picture.
_MAX_BYTES = (1 << 32) - 1
_IDLE_S = 3.0


def serve(server: socket.socket, reader: Reader, open_photo: Callable[[bytes], Photo]) -> NoReturn:
    """Answer until the server closes the socket, then end the process.

    It never returns: the code of the zygote must not run a second time in a forked process.
    """
    try:
        while True:
            message = _next(server)
            send(server, *encode_reply(_read(bytes(message.data), reader, open_photo)))
    except (EOFError, OSError):
        os._exit(0)
    finally:
        os._exit(1)


def _next(server: socket.socket) -> Message:
    """Wait for a picture; after an idle time, return free memory to the system."""
    try:
        return receive(server, _MAX_BYTES, time.monotonic() + _IDLE_S)
    except TimeoutError:
        release_free_memory()
        return receive(server, _MAX_BYTES)


def _read(data: bytes, reader: Reader, open_photo: Callable[[bytes], Photo]) -> Reply | Exception:
    began = time.monotonic()
    try:
        photo = open_photo(data)
    except Exception as failure:
        return failure
    decoded = time.monotonic()
    results = run_reader(reader, [photo])
    result = results if isinstance(results, Exception) else results[0]
    if isinstance(result, Exception):
        return result
    return Reply(result, decoded - began, time.monotonic() - decoded)
