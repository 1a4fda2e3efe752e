"""The process that loads the reader and forks workers, which share its memory.

It has one thread and never sees a picture. A worker forked after hours is therefore in the same state
as one forked right after the reader was warmed. It ends when the server closes the socket.
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
from keylike.observability.core_dumps import forbid_core_dumps
from keylike.observability.malloc_tuning import release_free_memory, tune_malloc
from keylike.readers.contract import Reader
from keylike.workers.wire import MessageType, receive, send
from keylike.workers.worker import serve

# A request to the zygote takes a few hundred bytes.
_MAX_BYTES = 1_000_000
# linux/prctl.h
_PR_SET_PDEATHSIG = 1
# Address space for reading, in addition to what decoding may take.
_READING_BYTES = 500_000_000


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """Task of the workers; sent pickled to the zygote.

    Attributes:
        load: Returns the reader.
        open_photo: Decodes a picture.
        decoding_bytes: Memory that decoding one picture may take.
    """

    load: Callable[[], Reader]
    open_photo: Callable[[bytes], Photo]
    decoding_bytes: int


def main(descriptor: int) -> NoReturn:
    """Serve the server's requests on the socket of this descriptor."""
    forbid_core_dumps()
    _ignore_signals()
    tune_malloc()
    configure_image_libraries()
    with socket.socket(fileno=descriptor) as server:
        try:
            spec: WorkerSpec = pickle.loads(receive(server, _MAX_BYTES).data)
            reader = _load(server, spec)
            # A forked process copies only the pages it writes to: keep the collector away from the
            # objects that all of them share.
            gc.collect()
            gc.freeze()
            release_free_memory()
            while True:
                receive(server, _MAX_BYTES)
                _fork(server, spec, reader)
        except (EOFError, OSError):
            os._exit(0)


def _ignore_signals() -> None:
    """Leave signals to the server: photos in flight are still to be read. Reap no children."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def _load(server: socket.socket, spec: WorkerSpec) -> Reader:
    try:
        reader = spec.load()
        reader.warm()
    except Exception as error:
        # A library's own message may contain paths.
        if isinstance(error, ModelError):
            reason = str(error)
        else:
            reason = f"the model could not be loaded ({type(error).__name__})"
        send(server, MessageType.UNUSABLE, reason.encode())
        os._exit(1)
    send(server, MessageType.LOADED, pickle.dumps(reader.info))
    return reader


def _fork(server: socket.socket, spec: WorkerSpec, reader: Reader) -> None:
    """Fork a worker; send its socket and its pidfd, since a process id may be reused."""
    mine, theirs = socket.socketpair()
    pid = os.fork()
    if not pid:
        server.close()
        theirs.close()
        _limit(spec.decoding_bytes)
        serve(mine, reader, spec.open_photo)
    mine.close()
    pidfd = os.pidfd_open(pid)
    socket.send_fds(server, [b"."], [theirs.fileno(), pidfd])
    theirs.close()
    os.close(pidfd)


def _limit(decoding_bytes: int) -> None:
    """Bound this worker: it dies with the zygote and has limited memory.

    Decoding gets twice its memory as address space, because freed blocks leave gaps.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + 2 * decoding_bytes + _READING_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
