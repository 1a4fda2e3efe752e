"""Encode and decode the replies of workers as JSON.

Pickle is not used, because unpickling bytes from a process that an attacker controls could run code
in the server.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter

from keylike.errors import (
    BadImage,
    ImageTooLarge,
    KeylikeError,
    NoImage,
    Overloaded,
    UnsupportedImageType,
)
from keylike.observability.logs import places
from keylike.readers.contract import Reading, Unreadable
from keylike.workers.wire import Message, MessageType

_NAMED: dict[str, type[KeylikeError]] = {
    kind.code: kind for kind in (BadImage, ImageTooLarge, NoImage, UnsupportedImageType)
}


class WorkerFailed(Exception):
    """An error for a worker that exited or whose reader crashed.

    `places` are the code locations of the crash in the worker.
    """

    def __init__(self, message: str, places: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.places = places


@dataclass(frozen=True, slots=True)
class Reply:
    """The result for a picture, and the seconds that decoding and reading took."""

    result: Reading | Unreadable
    decode_s: float
    read_s: float


@dataclass(frozen=True, slots=True)
class _Failure:
    """A KeylikeError of a worker: a failure of the photo, or a lack of memory."""

    code: str
    message: str
    details: dict[str, int | float | str | list[str]]
    retry_after_s: int = 0


@dataclass(frozen=True, slots=True)
class _Crash:
    error: str
    places: tuple[str, ...]


_REPLY = TypeAdapter(Reply)
_FAILURE = TypeAdapter(_Failure)
_CRASH = TypeAdapter(_Crash)


def encode_reply(reply: Reply | BaseException) -> tuple[MessageType, bytes]:
    """Return the type and the bytes of the message for a reply or an exception."""
    if isinstance(reply, Reply):
        return MessageType.RESULT, _REPLY.dump_json(reply)
    if isinstance(reply, Overloaded):
        overloaded = _Failure(reply.code, reply.message, {}, reply.retry_after_s)
        return MessageType.FAILURE, _FAILURE.dump_json(overloaded)
    if isinstance(reply, KeylikeError) and reply.code in _NAMED:
        details = dict(reply.details)
        failure = _Failure(reply.code, reply.message, details)  # type: ignore[arg-type]
        return MessageType.FAILURE, _FAILURE.dump_json(failure)
    return MessageType.CRASH, _CRASH.dump_json(_Crash(type(reply).__name__, tuple(places(reply))))


def decode_reply(message: Message) -> Reply:
    """Return the reply in a message.

    Raises:
        KeylikeError: The failure that the worker reports.
        WorkerFailed: The reader crashed.
        ValueError: The message is not a reply.
    """
    match message.kind:
        case MessageType.RESULT:
            return _REPLY.validate_json(message.data)
        case MessageType.FAILURE:
            failure = _FAILURE.validate_json(message.data)
            if failure.code == Overloaded.code:
                raise Overloaded(failure.message, retry_after_s=failure.retry_after_s)
            if failure.code in _NAMED:
                raise _NAMED[failure.code](failure.message, **failure.details)
        case MessageType.CRASH:
            crash = _CRASH.validate_json(message.data)
            raise WorkerFailed(f"the reader ended with {crash.error}", crash.places)
    raise ValueError("not a reply")
