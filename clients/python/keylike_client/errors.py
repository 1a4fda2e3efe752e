"""Errors of the client. There is one class for each case that an application may handle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class KeylikeError(Exception):
    """Base class of all errors.

    Attributes:
        code: Error code for programs.
        status: HTTP status, or None if no server responded.
        request_id: Id of the request in the server's logs, or None.
    """

    def __init__(
        self, message: str, *, code: str, status: int | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.request_id = request_id


class Unreadable(KeylikeError):
    """The server cannot read a key in the photo.

    Attributes:
        reason: Reason of the refusal, such as too_blurred.
        advice: Sentence that tells the user how to take a better photo.
        model_used: Name and version of the model, or None.
        details: Further details for programs.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        advice: str,
        model_used: str | None,
        status: int,
        request_id: str,
        details: Mapping[str, Any],
    ) -> None:
        super().__init__(message, code="unreadable", status=status, request_id=request_id)
        self.reason = reason
        self.advice = advice
        self.model_used = model_used
        self.details = details


class Refused(KeylikeError):
    """The server reports any other failure, such as unauthorized, image_too_large or rate_limited.

    Attributes:
        details: Further details for programs.
        retry_after_s: The server's Retry-After in seconds, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int,
        request_id: str,
        details: Mapping[str, Any],
        retry_after_s: float | None,
    ) -> None:
        super().__init__(message, code=code, status=status, request_id=request_id)
        self.details = details
        self.retry_after_s = retry_after_s


class UnexpectedAnswer(KeylikeError):
    """The response is not from a Keylike server of this version.

    For example, it is the page of a proxy, a redirect, or other JSON.
    """

    def __init__(self, message: str, *, status: int, retry_after_s: float | None = None) -> None:
        super().__init__(message, code="unexpected_answer", status=status)
        self.retry_after_s = retry_after_s


class Unreachable(KeylikeError):
    """No response: the connection failed, was lost, was not trusted, or timed out."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="unreachable")


class UnusablePhoto(KeylikeError):
    """The photo has a wrong type, or its file cannot be read or became shorter while uploading."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="unusable_photo")
