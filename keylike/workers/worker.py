"""The main loop of a worker process: it decodes and reads one picture after another."""

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

# Largest accepted message in bytes: the largest size that a header can state. The server has
# already limited the size of the picture.
_MAX_BYTES = (1 << 32) - 1
# Seconds without a picture after which free memory is returned to the system.
_IDLE_S = 3.0


def serve(server: socket.socket, reader: Reader, open_photo: Callable[[bytes], Photo]) -> NoReturn:
    """Answer messages until the server closes the socket, and then exit the process.

    It never returns, because the forked process must not continue with the code of the zygote.
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
    """Wait for a picture. After _IDLE_S seconds, return free memory to the system."""
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
