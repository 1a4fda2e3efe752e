"""The protocol between the server and a worker process: one message at a time, a type and bytes."""

from __future__ import annotations

import socket
import struct
import time
from enum import IntEnum
from typing import NamedTuple

_HEAD = struct.Struct("<BI")
# Messages up to this size take one system call each way: every call hands over the interpreter lock.
_ONE_CALL_BYTES = 65_536
_TIMEVAL = struct.Struct("@ll")


class MessageType(IntEnum):
    """Type of a message.

    To a worker: an encoded picture. From a worker: a result, a named failure, or a crash. To the
    zygote: a pickled WorkerSpec, or the request for one more worker. From the zygote: the pickled
    ReaderInfo, or why the model cannot be used.
    """

    PICTURE = 0
    RESULT = 1
    FAILURE = 2
    CRASH = 3
    LOAD = 4
    LOADED = 5
    UNUSABLE = 6
    FORK = 7


class Message(NamedTuple):
    """One message."""

    kind: MessageType
    data: bytes | bytearray


def send(sock: socket.socket, kind: MessageType, data: bytes) -> None:
    """Send one message. Raise OSError if the other end is closed."""
    head = _HEAD.pack(kind, len(data))
    if len(data) <= _ONE_CALL_BYTES:
        sock.sendall(head + data)
    else:
        sock.sendall(head)
        sock.sendall(data)


def receive(sock: socket.socket, max_bytes: int, until: float | None = None) -> Message:
    """Return the next message.

    Args:
        sock: A connected stream socket.
        max_bytes: Largest size to accept.
        until: Time of `time.monotonic()` at which to give up; None waits without limit.

    Raises:
        EOFError: The other end is closed.
        TimeoutError: `until` has passed.
        ValueError: The bytes are no message; nothing more can be received.
    """
    got = _receive_some(sock, _ONE_CALL_BYTES, until)
    while len(got) < _HEAD.size:
        got += _receive_some(sock, _ONE_CALL_BYTES, until)
    kind, size = _HEAD.unpack_from(got)
    if size > max_bytes or len(got) - _HEAD.size > size:
        raise ValueError("not a message")
    if len(got) == _HEAD.size + size:
        return Message(MessageType(kind), got[_HEAD.size :])
    data = bytearray(size)
    filled = len(got) - _HEAD.size
    data[:filled] = got[_HEAD.size :]
    view = memoryview(data)
    while filled < size:
        _set_timeout(sock, until)
        try:
            count = sock.recv_into(view[filled:])
        except BlockingIOError:
            raise TimeoutError from None
        if not count:
            raise EOFError
        filled += count
    return Message(MessageType(kind), data)


def timeval(seconds: float | None) -> bytes:
    """Return `seconds` for SO_RCVTIMEO and SO_SNDTIMEO; None waits without limit."""
    if seconds is None:
        return _TIMEVAL.pack(0, 0)
    # Zero would mean no limit as well.
    return _TIMEVAL.pack(int(seconds), max(1, int(seconds % 1 * 1e6)))


def is_closed(sock: socket.socket) -> bool:
    """Return True if the other end is closed, or has sent something out of turn."""
    try:
        sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _receive_some(sock: socket.socket, max_bytes: int, until: float | None) -> bytes:
    _set_timeout(sock, until)
    try:
        got = sock.recv(max_bytes)
    except BlockingIOError:
        raise TimeoutError from None
    if not got:
        raise EOFError
    return got


def _set_timeout(sock: socket.socket, until: float | None) -> None:
    """Bound the next call in the kernel: Python's own timeouts cost a second system call."""
    left = None if until is None else until - time.monotonic()
    if left is not None and left <= 0:
        raise TimeoutError
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval(left))
