"""What became of a photo in a reading process, as JSON: nothing that a process which parses strangers' bytes says is unpickled."""

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


class ReadingFailed(Exception):
    """A reading process ended, or its reader crashed; `places` are where, in that process."""

    def __init__(self, message: str, places: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.places = places


@dataclass(frozen=True, slots=True)
class Reply:
    """A result, and the seconds that decoding and reading took."""

    result: Reading | Unreadable
    decode_s: float
    read_s: float


@dataclass(frozen=True, slots=True)
class _Failure:
    """A failure of the photo's, or a full memory."""

    code: str
    message: str
    details: dict[str, int | float | str | list[str]]
    retry_after_s: int = 0


@dataclass(frozen=True, slots=True)
class _Crash:
    error: str
    places: tuple[str, ...]


_REPLY, _FAILURE, _CRASH = TypeAdapter(Reply), TypeAdapter(_Failure), TypeAdapter(_Crash)


def encode_reply(reply: Reply | BaseException) -> tuple[MessageType, bytes]:
    """The frame for it."""
    if isinstance(reply, Reply):
        return MessageType.RESULT, _REPLY.dump_json(reply)
    if isinstance(reply, Overloaded):
        return MessageType.FAILURE, _FAILURE.dump_json(
            _Failure(reply.code, reply.message, {}, reply.retry_after_s)
        )
    if isinstance(reply, KeylikeError) and reply.code in _NAMED:
        return MessageType.FAILURE, _FAILURE.dump_json(
            _Failure(reply.code, reply.message, dict(reply.details))  # type: ignore[arg-type]
        )
    return MessageType.CRASH, _CRASH.dump_json(_Crash(type(reply).__name__, tuple(places(reply))))


def decode_reply(frame: Message) -> Reply:
    """What the frame says. Raises the failure that it tells of, ReadingFailed for a crash, and ValueError for what is none of these."""
    match frame.kind:
        case MessageType.RESULT:
            return _REPLY.validate_json(frame.data)
        case MessageType.FAILURE:
            failure = _FAILURE.validate_json(frame.data)
            if failure.code == Overloaded.code:
                raise Overloaded(failure.message, retry_after_s=failure.retry_after_s)
            if failure.code in _NAMED:
                raise _NAMED[failure.code](failure.message, **failure.details)
        case MessageType.CRASH:
            crash = _CRASH.validate_json(frame.data)
            raise ReadingFailed(f"the reader ended with {crash.error}", crash.places)
    raise ValueError("no reply")
