"""Expected failures: one class per failure code, with details and without HTTP status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

# Default Retry-After in seconds for temporary failures.
RETRY_AFTER_S = 5


class KeylikeError(Exception):
    """A failure with a code for programs, a sentence for people, and details for the client.

    `message` and `details` are sent as they are. They must never contain a path, a picture, a token
    or a library's error text. A key's code may only appear in the details of a refusal of that key.
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
    """The client has used up its quota; `retry_after_s` says when the next request is possible."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnreadableKey(KeylikeError):
    """The reader refuses to read the photo.

    `reason` is for programs; `advice` helps the user to take a better photo.
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
    """The reader is not loaded yet, or the server is draining; retry after `retry_after_s`."""

    code = "model_loading"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(KeylikeError):
    """The server lacks memory or queue capacity for this request; retry after `retry_after_s`."""

    code = "overloaded"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(KeylikeError):
    """The request's deadline has passed; work that had not started is dropped."""

    code = "deadline_exceeded"


class ClientGone(KeylikeError):
    """The client disconnected before the response; only the log records this failure."""

    code = "caller_gone"


class ModelError(Exception):
    """An unusable model folder: missing, altered or contradictory files, or a bad
    manifest.

    The message names files and folders without their path, since /health shows it.
    """
