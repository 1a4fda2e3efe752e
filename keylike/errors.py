"""The failures Keylike can name: one class a failure code, each carrying its evidence and no HTTP status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

# Default Retry-After, in seconds, for failures that pass by themselves.
RETRY_AFTER_S = 5


class KeylikeError(Exception):
    """A failure with a code for programs, a sentence for people and evidence that is safe to show to the caller.

    `message` and `details` go into the answer as they are: never put a path, a picture, a token or the text of a library's
    own error into them, and a code of a key only into the details of a refusal that is about it.
    """

    code: ClassVar[str]

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, object] = details


class BadRequest(KeylikeError):
    """The request itself is malformed: broken JSON, a field of the wrong type."""

    code = "bad_request"


class NoImage(KeylikeError):
    """The request holds no picture, or an empty one."""

    code = "no_image"


class BadImage(KeylikeError):
    """Bytes that claim to be a picture but cannot be decoded: truncated, corrupt, or not base64."""

    code = "bad_image"


class BadZipcode(KeylikeError):
    """The zipcode is not five digits."""

    code = "bad_zipcode"


class NotFound(KeylikeError):
    """What the request names is not there."""

    code = "not_found"


class ImageTooLarge(KeylikeError):
    """More bytes or more pixels than are accepted; `details` says how many are."""

    code = "image_too_large"


class UnsupportedImageType(KeylikeError):
    """Not a picture, or a kind of picture that is not read; `details` lists those that are."""

    code = "unsupported_image_type"


class Unauthorized(KeylikeError):
    """A token is asked for and is missing or wrong."""

    code = "unauthorized"


class Forbidden(KeylikeError):
    """Not for the token that was sent."""

    code = "forbidden"


class RateLimited(KeylikeError):
    """This caller has sent as much as may be sent in a time; `retry_after_s` says when the next is counted."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnreadableKey(KeylikeError):
    """A reader's honest refusal: `reason` for programs, `advice` for whoever takes the next photo."""

    code = "unreadable"

    def __init__(
        self, message: str, *, reason: str, advice: str, model: str, **details: object
    ) -> None:
        super().__init__(message, **details)
        self.reason = reason
        self.advice = advice
        self.model = model


class ModelLoading(KeylikeError):
    """The reader is not loaded and warmed yet, or the server is draining; `retry_after_s` says when to ask again."""

    code = "model_loading"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(KeylikeError):
    """There is not enough memory or room for this request now; `retry_after_s` says when to ask again."""

    code = "overloaded"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(KeylikeError):
    """The answer was not there in the time that the request may take; what was not begun is not done."""

    code = "deadline_exceeded"


class ClientGone(KeylikeError):
    """The caller hung up before the answer was there: nobody sees this failure but the log."""

    code = "caller_gone"


class ModelError(Exception):
    """A model folder that cannot be used: missing, altered or contradictory files, a bad manifest. Its line names files and folder
    names, never a whole path, since /health shows it as the reason why another reader answers."""
