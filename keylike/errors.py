"""Expected failures: one exception class per failure code. They know nothing about HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

# Seconds after which a client should try again after a temporary failure.
RETRY_AFTER_S = 5


class KeylikeError(Exception):
    """A failure with a code for programs, a sentence for people, and details for the client.

    `message` and `details` are sent to the client. They must never contain a path, a picture, a
    token or the error text of a library. The code of a key may only appear in `details`, if two
    readers disagreed about that key.
    """

    code: ClassVar[str]

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, object] = details


class BadRequest(KeylikeError):
    """The request is malformed: broken JSON, or a field of the wrong type."""

    code = "bad_request"


class NoImage(KeylikeError):
    """The request contains no picture, or an empty one."""

    code = "no_image"


class BadImage(KeylikeError):
    """The bytes claim to be a picture but cannot be decoded: truncated, corrupt, or not base64."""

    code = "bad_image"


class BadZipcode(KeylikeError):
    """The zipcode is not five digits."""

    code = "bad_zipcode"


class NotFound(KeylikeError):
    """The requested resource does not exist."""

    code = "not_found"


class ImageTooLarge(KeylikeError):
    """The picture has more bytes or pixels than allowed; `details` contains the limit."""

    code = "image_too_large"


class UnsupportedImageType(KeylikeError):
    """The type of the picture is not supported; `details` lists the supported types."""

    code = "unsupported_image_type"


class Unauthorized(KeylikeError):
    """A required token is missing or wrong."""

    code = "unauthorized"


class Forbidden(KeylikeError):
    """The token does not permit this request."""

    code = "forbidden"


class RateLimited(KeylikeError):
    """The client has used up its quota; retry after `retry_after_s` seconds."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnreadableKey(KeylikeError):
    """The reader found no reliable code in the photo.

    `reason` is a word for programs. `advice` tells the user how to take a better photo.
    """

    code = "unreadable"

    def __init__(
        self, message: str, *, reason: str, advice: str, model: str, **details: object
    ) -> None:
        super().__init__(message, **details)
        self.reason = reason
        self.advice = advice
        self.model = model


class ModelLoading(KeylikeError):
    """The reader is still loading, or the server shuts down. Retry after `retry_after_s`."""

    code = "model_loading"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(KeylikeError):
    """The queue is full or memory is short; retry after `retry_after_s` seconds."""

    code = "overloaded"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(KeylikeError):
    """The deadline of the request has passed. Work that has not started is dropped."""

    code = "deadline_exceeded"


class ClientGone(KeylikeError):
    """The client disconnected before the response. This failure appears only in log and metrics."""

    code = "caller_gone"


class ModelError(Exception):
    """A model folder cannot be used: its files are missing, changed or contradictory, for example.

    The message contains names of files and folders without their path, because /health shows it.
    """
