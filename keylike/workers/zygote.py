"""The zygote: a process that loads the reader and forks workers, which share its memory.

It has only one thread and never decodes a picture, so a worker that is forked later is in the same
state as the first one. It exits when the server closes the socket.
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

# Largest accepted message to the zygote in bytes. A message takes a few hundred bytes.
_MAX_BYTES = 1_000_000
# Option of prctl for the signal that a process gets when its parent exits (linux/prctl.h).
_PR_SET_PDEATHSIG = 1
# Address space in bytes that a worker may use for reading, in addition to that for decoding.
_READING_BYTES = 500_000_000


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """The functions that workers run. It is pickled and sent to the zygote.

    Attributes:
        load: Returns the reader.
        open_photo: Decodes a picture.
        decoding_bytes: Largest memory for decoding one picture, in bytes.
    """

    load: Callable[[], Reader]
    open_photo: Callable[[bytes], Photo]
    decoding_bytes: int


def main(descriptor: int) -> NoReturn:
    """Load the reader, and fork a worker for each message from the server.

    `descriptor` is the file descriptor of the socket that is connected to the server.
    """
    forbid_core_dumps()
    _ignore_signals()
    tune_malloc()
    configure_image_libraries()
    with socket.socket(fileno=descriptor) as server:
        try:
            spec: WorkerSpec = pickle.loads(receive(server, _MAX_BYTES).data)
            reader = _load(server, spec)
            # Forked processes share pages until they write to them. gc.freeze prevents the garbage
            # collector from writing to the shared objects.
            gc.collect()
            gc.freeze()
            release_free_memory()
            while True:
                receive(server, _MAX_BYTES)
                _fork(server, spec, reader)
        except (EOFError, OSError):
            os._exit(0)


def _ignore_signals() -> None:
    """Ignore the signals that stop the server, because the last photos must still be read.

    SIGCHLD is ignored so that the kernel removes workers that have exited.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def _load(server: socket.socket, spec: WorkerSpec) -> Reader:
    try:
        reader = spec.load()
        reader.warm()
    except Exception as error:
        # The message of a library may contain paths.
        if isinstance(error, ModelError):
            reason = str(error)
        else:
            reason = f"the model could not be loaded ({type(error).__name__})"
        send(server, MessageType.UNUSABLE, reason.encode())
        os._exit(1)
    send(server, MessageType.LOADED, pickle.dumps(reader.info))
    return reader


def _fork(server: socket.socket, spec: WorkerSpec, reader: Reader) -> None:
    """Fork a worker, and send its socket and its pidfd to the server.

    A pidfd is used because a process id may be reused when the worker has exited.
    """
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
    """Limit the memory of this worker, and make the kernel kill it when the zygote exits.

    The limit is on address space. It includes twice the memory for decoding, because freed blocks
    leave gaps.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + 2 * decoding_bytes + _READING_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
