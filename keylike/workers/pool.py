"""The pool of worker processes: assigns pictures to them, and replaces those that crash or hang."""

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

# Prefixes of settings, which are removed from the environment of workers. An attacker who takes
# control of a worker with a malicious picture then finds no secrets there.
_WITHHELD = ("KEYLIKE_", "NGROK_", "OTEL_")
_START = "from keylike.workers.zygote import main; main({})"
# Largest accepted reply of a worker in bytes. A reading takes a few kilobytes.
_MAX_REPLY_BYTES = 1_000_000
# Seconds after which a worker that accepts no bytes counts as failed.
_SEND_TIMEOUT_S = 5.0


class WorkerPool:
    """A pool of worker processes that decode and read pictures.

    The workers are forked from one process, the zygote, which has loaded the model. A worker that
    crashes, takes too long or takes too much memory is killed and replaced. A pool cannot be used
    again after it was closed.

    Args:
        spec: The functions that the workers run.
        count: Number of workers.
        longest_s: Maximum time limit for one photo in seconds, even if the client waits longer.
        least_s: Minimum time limit for one photo in seconds, even if the client's deadline is
            sooner, because killing and replacing a worker delays other clients more.
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
        # Free workers. None means a worker that has not been forked yet.
        self._free: list[_Worker | None] = [None] * count
        self._closed = False

    def load(self) -> ReaderInfo:
        """Start the zygote, which loads and warms up the reader.

        Returns:
            The description of the reader.

        Raises:
            ModelError: The reader could not be loaded.
            ModelLoading: The pool is closed.
        """
        with self._fork_lock:
            return self._living_zygote().info

    def start(self) -> None:
        """Fork all workers now, so that the first photos do not wait for it.

        Raises:
            ModelError: The zygote has exited, and the model cannot be loaded again.
        """
        workers = [self._fork() for _ in range(self.count)]
        with self._changed:
            self._free = list(workers)

    def read(self, data: bytes, left_s: float) -> Reply:
        """Return the result for one encoded picture.

        Args:
            data: The picture.
            left_s: Seconds that the client still waits.

        Raises:
            KeylikeError: The picture cannot be decoded, or memory is short.
            DeadlineExceeded: No worker became free in time, or the worker had to be killed.
            ModelLoading: The pool is closed.
            WorkerFailed: Two workers exited while they read this picture, or the reader crashed.
        """
        until = time.monotonic() + min(self._longest_s, max(left_s, self._least_s))
        try:
            try:
                return self._ask(data, until)
            except (EOFError, ConnectionError):
                # Either this picture crashed the worker, or something else killed it. Try it once
                # more with another worker.
                return self._ask(data, until)
        except TimeoutError:
            raise _too_late() from None
        except (EOFError, OSError, ValueError):
            raise WorkerFailed("the process that read the photo ended") from None

    def close(self) -> None:
        """Kill all workers and the zygote. `read` then raises ModelLoading."""
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
        """Send a picture to a free worker and return its reply.

        A free worker that has exited is replaced first.
        """
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
        """Wait for a free worker, and return the last used one. None means: fork a new worker.

        The last used worker has probably not yet returned its free memory to the system.
        """
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
        """Return a new worker. If the zygote has exited, a new zygote is started first."""
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
    """One worker process. Only one thread uses it at a time."""

    def __init__(self, sock: socket.socket, pidfd: int) -> None:
        self._sock = sock
        self._pidfd = pidfd
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval(_SEND_TIMEOUT_S))

    def ask(self, data: bytes, until: float) -> Reply:
        """Send a picture and return the reply.

        Raises:
            KeylikeError, WorkerFailed: The failure that the worker reports.
            EOFError, OSError, ValueError: The worker exited, was too slow, or sent an invalid
                message. It has been killed.
        """
        try:
            send(self._sock, MessageType.PICTURE, data)
            return decode_reply(receive(self._sock, _MAX_REPLY_BYTES, until))
        except (EOFError, OSError, ValueError):
            self.kill()
            raise

    def is_closed(self) -> bool:
        """Return True if the process has exited."""
        return self._sock.fileno() < 0 or is_closed(self._sock)

    def kill(self) -> None:
        """Kill the process. Further calls have no effect."""
        if self._sock.fileno() < 0:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        os.close(self._pidfd)
        self._sock.close()


class _Zygote:
    """The process that loads the model and forks the workers.

    Raises:
        ModelError: The model cannot be loaded.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        self._sock, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START.format(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=_environment(),
                # In its own process group, it does not get Ctrl-C from the terminal. It must run
                # until the server has answered its last requests.
                process_group=0,
            )
        try:
            self.info = self._load(spec)
        except BaseException:
            self.kill()
            raise

    def fork(self) -> _Worker:
        """Fork one more worker and return it.

        Raises:
            EOFError, OSError: The zygote has exited.
        """
        send(self._sock, MessageType.FORK, b"")
        _, descriptors, _, _ = socket.recv_fds(self._sock, 1, 2)
        if not descriptors:
            raise EOFError
        sock, pidfd = descriptors
        return _Worker(socket.socket(fileno=sock), pidfd)

    def kill(self) -> None:
        """Kill the zygote. The kernel then kills the workers that it has forked."""
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
    # In a checkout, the zygote needs PYTHONPATH to find the package. An installed package is found
    # anyway, and its folder site-packages must not be searched before the standard library.
    root = "" if INSTALLED else str(PACKAGE.parent)
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return {**kept, "PYTHONPATH": path} if path else kept
