"""Errors of the client: one class per case that an application handles differently."""

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
    """The server examined the photo and cannot read a key on it.

    Attributes:
        reason: Reason for programs.
        advice: What to do better on the next photo.
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
    """Any other failure that the server reports, such as unauthorized, image_too_large or
    rate_limited.

    `retry_after_s` is the server's Retry-After in seconds, or None.
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
    """The response is not from a Keylike server of this version: a proxy's page, a redirect or
    other JSON."""

    def __init__(self, message: str, *, status: int, retry_after_s: float | None = None) -> None:
        super().__init__(message, code="unexpected_answer", status=status)
        self.retry_after_s = retry_after_s


class Unreachable(KeylikeError):
    """No response: the connection failed, was lost, was not trusted, or timed out."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="unreachable")


class UnusablePhoto(KeylikeError):
    """The photo cannot be read from its file, or changed during the upload."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="unusable_photo")
