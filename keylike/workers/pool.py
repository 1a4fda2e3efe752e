"""The server's side of its reading processes: who is free, what to do where one ends or hangs, and the reader that they are together."""

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
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from keylike.errors import DeadlineExceeded, ModelError
from keylike.images.photo import Photo
from keylike.readers.contract import Reader, ReaderInfo, Reading, Unreadable
from keylike.workers.replies import ReadingFailed, Reply, decode_reply
from keylike.workers.wire import MessageType, gone, receive, send, timeval
from keylike.workers.zygote import WorkerSpec

# Settings, among them tokens and passwords: whoever takes over a process by a photo finds none.
_KEPT_BACK = ("KEYLIKE_", "NGROK_", "OTEL_")
_HOME = Path(__file__).resolve().parents[2]
_START = "from keylike.workers.zygote import main; main({})"
# A reading is of a few kilobytes.
_MOST_BYTES = 1_000_000
# Who takes nothing in for so many seconds never will.
_STALLED_S = 5.0


class ReadingProcesses:
    """`count` processes that decode with `open_photo` and read; with none of them the reader stays in this process. A photo may take
    `longest_s` seconds, and decoding it `decoding_bytes` of memory; beyond the one, or far beyond the other, its process ends, as it does
    in a crash. Another takes its place. A photo has `least_s` however little its caller gives it: a new process each time costs others.
    """

    def __init__(
        self,
        open_photo: Callable[[bytes], Photo],
        count: int,
        *,
        longest_s: float,
        decoding_bytes: int,
        least_s: float = 5.0,
    ) -> None:
        self.count, self._least_s = count, least_s
        self._open_photo, self._longest_s, self._decoding_bytes = (
            open_photo,
            longest_s,
            decoding_bytes,
        )
        self._nursery: _Nursery | None = None
        self._lock, self._work = threading.Lock(), threading.Condition()
        # None where one is still to be made.
        self._free: list[_Process | None] = [None] * count

    def begin(self, load: Callable[[], Reader]) -> Reader:
        """The reader that `load` gives, in the processes, where it is warmed as well; for them `load` is pickled. Raises ModelError."""
        if not self.count:
            return load()
        self.close()
        self._start = partial(_Nursery, WorkerSpec(load, self._open_photo, self._decoding_bytes))
        self._nursery = self._start()
        self.info: ReaderInfo = replace(self._nursery.info, workers=self.count)
        return self

    def warm(self) -> None:
        """Makes the processes: what they are made from is warm."""
        self._free = [self._made() for _ in range(self.count)]

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """As every reader, one after the other."""
        return [
            self._ask(MessageType.PHOTO, pickle.dumps(photo), self._longest_s).result
            for photo in photos
        ]

    def read_picture(self, data: bytes, left_s: float) -> Reply:
        """What became of a picture whose caller waits for so many seconds. Raises what decoding raises, ReadingFailed, and
        DeadlineExceeded where its process had to be ended."""
        return self._ask(
            MessageType.PICTURE, data, min(self._longest_s, max(left_s, self._least_s))
        )

    def close(self) -> None:
        """Ends all of them, at once."""
        with self._lock, self._work:
            for process in self._free:
                if process:
                    process.end()
            self._free = [None] * len(self._free)
            if self._nursery:
                self._nursery.end()

    def _ask(self, kind: MessageType, data: bytes, within_s: float) -> Reply:
        process = self._take()
        try:
            if process and process.gone():
                process.end()
                process = None
            process = process or self._made()
            return process.ask(kind, data, time.monotonic() + within_s)
        except TimeoutError:
            raise DeadlineExceeded(
                "The photo could not be read in the time that a request may take."
            ) from None
        except (EOFError, OSError, ValueError):
            raise ReadingFailed("the process that read the photo ended") from None
        finally:
            self._put(process)

    def _take(self) -> _Process | None:
        """The one that was used last, whose memory is still warm."""
        with self._work:
            while not self._free:
                self._work.wait()
            return self._free.pop()

    def _put(self, process: _Process | None) -> None:
        with self._work:
            self._free.append(process)
            self._work.notify()

    def _made(self) -> _Process:
        """A new one, from a new nursery where the old one is gone. Raises ModelError where that cannot load the model any more."""
        with self._lock:
            try:
                return self._nursery.fork() if self._nursery else self._again()
            except (EOFError, OSError):
                return self._again()

    def _again(self) -> _Process:
        if self._nursery:
            self._nursery.end()
            self._nursery = None
        self._nursery = self._start()
        return self._nursery.fork()


class _Process:
    """One reading process, of which one thread at a time asks."""

    def __init__(self, sock: socket.socket, process: int) -> None:
        self._sock, self._process = sock, process
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval(_STALLED_S))

    def ask(self, kind: MessageType, data: bytes, until: float) -> Reply:
        """What became of a photo. Raises what the process tells of; and EOFError, OSError and ValueError where it ended, was too slow or
        said what nobody understands: then it is ended."""
        try:
            send(self._sock, kind, data)
            return decode_reply(receive(self._sock, _MOST_BYTES, until))
        except (EOFError, OSError, ValueError):
            self.end()
            raise

    def gone(self) -> bool:
        """Whether it has ended."""
        return self._sock.fileno() < 0 or gone(self._sock)

    def end(self) -> None:
        """Kills it, unless it has ended."""
        if self._sock.fileno() < 0:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._process, signal.SIGKILL)
        os.close(self._process)
        self._sock.close()


class _Nursery:
    """The process from which the others are forked. Raises ModelError where it does not come to be."""

    def __init__(self, errand: WorkerSpec) -> None:
        self._sock, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START.format(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=_environment(),
                # Ctrl-C in the terminal is the server's business.
                process_group=0,
            )
        try:
            self.info = self._loaded(errand)
        except BaseException:
            self.end()
            raise

    def fork(self) -> _Process:
        """One more. Raises EOFError or OSError where it is gone."""
        send(self._sock, MessageType.FORK, b"")
        _, descriptors, _, _ = socket.recv_fds(self._sock, 1, 2)
        if not descriptors:
            raise EOFError
        sock, process = descriptors
        return _Process(socket.socket(fileno=sock), process)

    def end(self) -> None:
        """With it go those that were forked from it."""
        self._sock.close()
        self._process.kill()
        self._process.wait()

    def _loaded(self, errand: WorkerSpec) -> ReaderInfo:
        try:
            send(self._sock, MessageType.LOAD, pickle.dumps(errand))
            frame = receive(self._sock, _MOST_BYTES)
        except (EOFError, OSError):
            raise ModelError("the process that loads the model ended") from None
        if frame.kind is MessageType.UNUSABLE:
            raise ModelError(bytes(frame.data).decode())
        info: ReaderInfo = pickle.loads(frame.data)
        return info


def _environment() -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.upper().startswith(_KEPT_BACK)
    }
    return {
        **inherited,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(_HOME), os.environ.get("PYTHONPATH")])),
    }
