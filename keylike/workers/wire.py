"""What goes over the socket between the server and a reading process: one frame at a time, a kind and bytes."""

from __future__ import annotations

import socket
import struct
import time
from enum import IntEnum
from typing import NamedTuple

_HEAD = struct.Struct("<BI")
# Up to here a frame goes out and comes in with one call: each of them hands the interpreter's lock over.
_AT_ONCE = 65_536
_TIMEVAL = struct.Struct("@ll")


class MessageType(IntEnum):
    """To a reading process: a picture's bytes, or a pickled Photo. Back: a result, a failure with a name, or a crash. With the nursery:
    what to load, what was loaded, why it could not be, and the wish for one more process."""

    PICTURE, PHOTO, RESULT, FAILURE, CRASH, LOAD, LOADED, UNUSABLE, FORK = range(9)


class Message(NamedTuple):
    """One message."""

    kind: MessageType
    data: bytes | bytearray


def send(sock: socket.socket, kind: MessageType, data: bytes) -> None:
    """Raises OSError where nobody reads any more."""
    head = _HEAD.pack(kind, len(data))
    if len(data) <= _AT_ONCE:
        sock.sendall(head + data)
    else:
        sock.sendall(head)
        sock.sendall(data)


def receive(sock: socket.socket, most: int, until: float | None = None) -> Message:
    """The next frame, of `most` bytes at most. Raises EOFError where nobody is there any more, TimeoutError once time.monotonic() passes
    `until`, and ValueError for what is no frame: then nothing can be received any more."""
    got = _some(sock, _AT_ONCE, until)
    while len(got) < _HEAD.size:
        got += _some(sock, _AT_ONCE, until)
    kind, size = _HEAD.unpack_from(got)
    if size > most or len(got) - _HEAD.size > size:
        raise ValueError("no frame")
    if len(got) == _HEAD.size + size:
        return Message(MessageType(kind), got[_HEAD.size :])
    data = bytearray(size)
    at = len(got) - _HEAD.size
    data[:at] = got[_HEAD.size :]
    view = memoryview(data)
    while at < size:
        _allow(sock, until)
        try:
            count = sock.recv_into(view[at:])
        except BlockingIOError:
            raise TimeoutError from None
        if not count:
            raise EOFError
        at += count
    return Message(MessageType(kind), data)


def timeval(seconds: float | None) -> bytes:
    """For a socket's SO_RCVTIMEO and SO_SNDTIMEO; None waits for ever."""
    # Nought would mean for ever, too.
    return (
        _TIMEVAL.pack(0, 0)
        if seconds is None
        else _TIMEVAL.pack(int(seconds), max(1, int(seconds % 1 * 1e6)))
    )


def gone(sock: socket.socket) -> bool:
    """Whether the other end hung up, or says what nobody asked for."""
    try:
        sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _some(sock: socket.socket, most: int, until: float | None) -> bytes:
    _allow(sock, until)
    try:
        got = sock.recv(most)
    except BlockingIOError:
        raise TimeoutError from None
    if not got:
        raise EOFError
    return got


def _allow(sock: socket.socket, until: float | None) -> None:
    """Sets how long the next call may wait, in the kernel: Python's own timeouts take a second call each time."""
    left = None if until is None else until - time.monotonic()
    if left is not None and left <= 0:
        raise TimeoutError
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval(left))
