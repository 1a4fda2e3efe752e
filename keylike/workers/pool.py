"""The server's side of the worker processes: who is free, and what happens when one ends or hangs."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time

from keylike.errors import DeadlineExceeded, KeylikeError, ModelError
from keylike.readers.contract import ReaderInfo
from keylike.resources import INSTALLED, PACKAGE
from keylike.scheduling.client import shutting_down
from keylike.workers.replies import Reply, WorkerFailed, decode_reply
from keylike.workers.wire import MessageType, is_closed, receive, send, timeval
from keylike.workers.zygote import WorkerSpec

# Settings, some of them secret. An attacker who takes over a worker with a picture finds none.
_WITHHELD = ("KEYLIKE_", "NGROK_", "OTEL_")
_START = "from keylike.workers.zygote import main; main({})"
# A reading takes a few kilobytes.
_MAX_REPLY_BYTES = 1_000_000
# A worker that accepts no bytes for so many seconds never will.
_SEND_TIMEOUT_S = 5.0


class WorkerPool:
    """`count` processes that decode and read, forked from a zygote that holds the model.

    A worker that takes too long, or far too much memory, is killed and replaced, as is one that
    crashes. A pool is loaded once, started once, and closed for good.

    Parameters:
        spec: What the workers do.
        count: Number of workers.
        longest_s: Longest time for one photo in seconds.
        least_s: Shortest time for one photo, however little the client allows: to replace a worker
            costs other clients more.
    """

    def __init__(
        self, spec: WorkerSpec, count: int, *, longest_s: float, least_s: float = 5.0
    ) -> None:
        self.count = count
        self._spec = spec
        self._longest_s = longest_s
        self._least_s = least_s
        self._zygote: _Zygote | None = None
        self._fork_lock = threading.Lock()
        self._changed = threading.Condition()
        # None stands for a worker that is still to be forked.
        self._free: list[_Worker | None] = [None] * count
        self._closed = False

    def load(self) -> ReaderInfo:
        """Start the zygote, which loads and warms the reader; return the reader's info.

        Raises:
            ModelError: The reader could not be loaded.
            ModelLoading: The pool is closed.
        """
        with self._fork_lock:
            return self._living_zygote().info

    def start(self) -> None:
        """Fork all workers now rather than with the first photos. Raise ModelError."""
        workers = [self._fork() for _ in range(self.count)]
        with self._changed:
            self._free = list(workers)

    def read(self, data: bytes, left_s: float) -> Reply:
        """Return the result for one encoded picture.

        Args:
            data: The picture.
            left_s: Seconds that the client waits.

        Raises:
            KeylikeError: The picture cannot be decoded, or memory is short.
            DeadlineExceeded: No worker became free in time, or the worker had to be killed.
            ModelLoading: The pool is closed.
            WorkerFailed: Two workers ended over this picture, or the reader crashed.
        """
        until = time.monotonic() + min(self._longest_s, max(left_s, self._least_s))
        try:
            try:
                return self._ask(data, until)
            except (EOFError, ConnectionError):
                # The worker was killed from outside, or by this picture: a second one will tell.
                return self._ask(data, until)
        except TimeoutError:
            raise _too_late() from None
        except (EOFError, OSError, ValueError):
            raise WorkerFailed("the process that read the photo ended") from None

    def close(self) -> None:
        """Kill all workers and the zygote. Reads that follow raise ModelLoading."""
        with self._changed:
            self._closed = True
            for worker in self._free:
                if worker:
                    worker.kill()
            self._free = []
            self._changed.notify_all()
        with self._fork_lock:
            self._kill_zygote()

    def _ask(self, data: bytes, until: float) -> Reply:
        """Send a picture to a free worker; replace the worker first if it has ended."""
        worker = self._take(until)
        try:
            if worker and worker.is_closed():
                worker.kill()
                worker = None
            worker = worker or self._fork()
            return worker.ask(data, until)
        finally:
            self._put(worker)

    def _take(self, until: float) -> _Worker | None:
        """Return the worker that was used last, whose memory is still warm."""
        with self._changed:
            while not self._free:
                if self._closed:
                    raise shutting_down()
                if not self._changed.wait(max(0.0, until - time.monotonic())):
                    raise _too_late()
            return self._free.pop()

    def _put(self, worker: _Worker | None) -> None:
        with self._changed:
            if not self._closed:
                self._free.append(worker)
                self._changed.notify()
                return
        if worker:
            worker.kill()

    def _fork(self) -> _Worker:
        """Return a new worker, from a new zygote if the old one has ended."""
        with self._fork_lock:
            try:
                return self._living_zygote().fork()
            except (EOFError, OSError):
                self._kill_zygote()
                return self._living_zygote().fork()

    def _living_zygote(self) -> _Zygote:
        if self._closed:
            raise shutting_down()
        if self._zygote is None:
            self._zygote = _Zygote(self._spec)
        return self._zygote

    def _kill_zygote(self) -> None:
        if self._zygote:
            self._zygote.kill()
            self._zygote = None


def _too_late() -> KeylikeError:
    return DeadlineExceeded("The photo could not be read in the time that the request may take.")


class _Worker:
    """One worker process, used by one thread at a time."""

    def __init__(self, sock: socket.socket, pidfd: int) -> None:
        self._sock = sock
        self._pidfd = pidfd
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval(_SEND_TIMEOUT_S))

    def ask(self, data: bytes, until: float) -> Reply:
        """Send a picture and return the reply.

        Raises the failures that the worker reports. On EOFError, OSError and ValueError (it ended, was
        too slow, or broke the protocol) the worker has been killed.
        """
        try:
            send(self._sock, MessageType.PICTURE, data)
            return decode_reply(receive(self._sock, _MAX_REPLY_BYTES, until))
        except (EOFError, OSError, ValueError):
            self.kill()
            raise

    def is_closed(self) -> bool:
        """Return True if the process has ended."""
        return self._sock.fileno() < 0 or is_closed(self._sock)

    def kill(self) -> None:
        """Kill the process, unless it was killed before."""
        if self._sock.fileno() < 0:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        os.close(self._pidfd)
        self._sock.close()


class _Zygote:
    """The process that loads the model and from which workers are forked. Raises ModelError."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._sock, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START.format(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=_environment(),
                # Ctrl-C in the terminal must reach the server only: it drains first.
                process_group=0,
            )
        try:
            self.info = self._load(spec)
        except BaseException:
            self.kill()
            raise

    def fork(self) -> _Worker:
        """Return one more worker. Raise EOFError or OSError if the zygote has ended."""
        send(self._sock, MessageType.FORK, b"")
        _, descriptors, _, _ = socket.recv_fds(self._sock, 1, 2)
        if not descriptors:
            raise EOFError
        sock, pidfd = descriptors
        return _Worker(socket.socket(fileno=sock), pidfd)

    def kill(self) -> None:
        """Kill the zygote; the kernel then kills the workers forked from it."""
        self._sock.close()
        self._process.kill()
        self._process.wait()

    def _load(self, spec: WorkerSpec) -> ReaderInfo:
        try:
            send(self._sock, MessageType.LOAD, pickle.dumps(spec))
            message = receive(self._sock, _MAX_REPLY_BYTES)
        except (EOFError, OSError):
            raise ModelError("the process that loads the model ended") from None
        if message.kind is MessageType.UNUSABLE:
            raise ModelError(bytes(message.data).decode())
        info: ReaderInfo = pickle.loads(message.data)
        return info


def _environment() -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.upper().startswith(_WITHHELD)
    }
    # Installed, the package is on the path already, and site-packages must not precede the standard
    # library as an entry of PYTHONPATH would.
    root = "" if INSTALLED else str(PACKAGE.parent)
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return {**kept, "PYTHONPATH": path} if path else kept
