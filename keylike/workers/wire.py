"""The protocol between the server and a worker process. A message has a type and bytes."""

from __future__ import annotations

import socket
import struct
import time
from enum import IntEnum
from typing import NamedTuple

_HEAD = struct.Struct("<BI")
# Size in bytes up to which a message is sent and received with one system call. Fewer calls are
# faster, because Python releases the interpreter lock for each call.
_ONE_CALL_BYTES = 65_536
_TIMEVAL = struct.Struct("@ll")


class MessageType(IntEnum):
    """The type of a message.

    To a worker: PICTURE, an encoded picture. From a worker: RESULT, FAILURE (an expected failure)
    or CRASH. To the zygote: LOAD with a pickled WorkerSpec, or FORK, which requests one more
    worker. From the zygote: LOADED with a pickled ReaderInfo, or UNUSABLE with the reason.
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
    """Send one message.

    Raises:
        OSError: The other process has closed the socket.
    """
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
        EOFError: The other process has closed the socket.
        TimeoutError: `until` has passed.
        ValueError: The bytes are not a message. Nothing more can be received.
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
    """Return `seconds` as a value for SO_RCVTIMEO and SO_SNDTIMEO. None means without limit."""
    if seconds is None:
        return _TIMEVAL.pack(0, 0)
    # At least one microsecond, because zero means without limit.
    return _TIMEVAL.pack(int(seconds), max(1, int(seconds % 1 * 1e6)))


def is_closed(sock: socket.socket) -> bool:
    """Return True if the other process has closed the socket, or has sent unexpected bytes."""
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
    """Set the kernel's timeout for the next call. Python's timeouts need a second system call."""
    left = None if until is None else until - time.monotonic()
    if left is not None and left <= 0:
        raise TimeoutError
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval(left))
