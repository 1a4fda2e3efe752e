"""One reading process: decodes and reads what the server sends, one photo after the other, until the server hangs up."""

from __future__ import annotations

import os
import pickle
import socket
import time
from collections.abc import Callable
from typing import NoReturn

from keylike.images.photo import Photo
from keylike.observability.malloc_tuning import release_free_memory
from keylike.readers.contract import Reader
from keylike.scheduling.batch_runner import ask
from keylike.workers.replies import Reply, encode_reply
from keylike.workers.wire import Message, MessageType, receive, send

# The largest frame that its head can announce: the server has bounded the picture.
_MOST_BYTES = (1 << 32) - 1
_IDLE_S = 3.0


def serve(server: socket.socket, reader: Reader, open_photo: Callable[[bytes], Photo]) -> NoReturn:
    """Never comes back; whatever happens, the rest of what was forked must not run a second time."""
    try:
        while True:
            _answer(server, _next(server), reader, open_photo)
    except (EOFError, OSError):
        os._exit(0)
    finally:
        os._exit(1)


def _next(server: socket.socket) -> Message:
    """Waits for a photo; where none comes for a while, what is free goes back to the system."""
    try:
        return receive(server, _MOST_BYTES, time.monotonic() + _IDLE_S)
    except TimeoutError:
        release_free_memory()
        return receive(server, _MOST_BYTES)


def _answer(
    server: socket.socket, frame: Message, reader: Reader, open_photo: Callable[[bytes], Photo]
) -> None:
    send(server, *encode_reply(_reply(frame, reader, open_photo)))


def _reply(
    frame: Message, reader: Reader, open_photo: Callable[[bytes], Photo]
) -> Reply | Exception:
    began = time.monotonic()
    try:
        photo = (
            pickle.loads(frame.data)
            if frame.kind is MessageType.PHOTO
            else open_photo(bytes(frame.data))
        )
    except Exception as failure:
        return failure
    decoded = time.monotonic()
    results = ask(reader, [photo])
    result = results if isinstance(results, Exception) else results[0]
    return (
        result
        if isinstance(result, Exception)
        else Reply(result, decoded - began, time.monotonic() - decoded)
    )
