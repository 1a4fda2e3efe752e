"""The process that loads the reader and forks reading processes, which share its memory; it ends when the server hangs up.

It has one thread and never sees a photo, so what is forked from it, also after hours, is as it was when the reader had been warmed.
"""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import resource
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from keylike.errors import ModelError
from keylike.images.libraries import configure_image_libraries
from keylike.images.photo import Photo
from keylike.observability.malloc_tuning import release_free_memory, tune_malloc
from keylike.readers.contract import Reader
from keylike.workers.wire import MessageType, receive, send
from keylike.workers.worker import serve

# What a server asks of its nursery is of a few hundred bytes.
_MOST_BYTES = 1_000_000
_PR_SET_PDEATHSIG = 1
# Of addresses, beside decoding: for reading, and as much again as decoding takes for what lies between freed blocks.
_READING_BYTES = 500_000_000


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What to load and how to decode, which is pickled; `decoding_bytes` is the most memory that decoding should take."""

    load: Callable[[], Reader]
    open_photo: Callable[[bytes], Photo]
    decoding_bytes: int


def main(descriptor: int) -> NoReturn:
    """Serves the server's end of this socket."""
    _leave_signals_to_the_server()
    tune_malloc()
    configure_image_libraries()
    with socket.socket(fileno=descriptor) as server:
        try:
            errand: WorkerSpec = pickle.loads(receive(server, _MOST_BYTES).data)
            reader = _loaded(server, errand)
            # Only what is written to is copied when a child is forked: no collection may go through what all of them share.
            gc.collect()
            gc.freeze()
            release_free_memory()
            while True:
                receive(server, _MOST_BYTES)
                _fork(server, errand, reader)
        except (EOFError, OSError):
            os._exit(0)


def _leave_signals_to_the_server() -> None:
    """Ctrl-C and the end of a service reach all processes; the photos under way are still to be read. Children are not waited for."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def _loaded(server: socket.socket, errand: WorkerSpec) -> Reader:
    try:
        reader = errand.load()
        reader.warm()
    except Exception as error:
        # What a library says itself may hold paths.
        why = (
            str(error)
            if isinstance(error, ModelError)
            else f"the model could not be loaded ({type(error).__name__})"
        )
        send(server, MessageType.UNUSABLE, why.encode())
        os._exit(1)
    send(server, MessageType.LOADED, pickle.dumps(reader.info))
    return reader


def _fork(server: socket.socket, errand: WorkerSpec, reader: Reader) -> None:
    """Sends the socket of one more, and the process as a descriptor: a number may come to be another's."""
    mine, theirs = socket.socketpair()
    pid = os.fork()
    if not pid:
        server.close()
        theirs.close()
        _bound(errand.decoding_bytes)
        serve(mine, reader, errand.open_photo)
    mine.close()
    process = os.pidfd_open(pid)
    socket.send_fds(server, [b"."], [theirs.fileno(), process])
    theirs.close()
    os.close(process)


def _bound(decoding_bytes: int) -> None:
    """Ends with the nursery, takes so much memory at most, and leaves no image of it behind where it crashes: a photo would be in it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + 2 * decoding_bytes + _READING_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
