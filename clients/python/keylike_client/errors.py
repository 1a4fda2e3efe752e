"""What can go wrong, one class for each thing that a caller would do differently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class KeylikeError(Exception):
    """A failure. `code` is for programs; `status` (HTTP) and `request_id` are None where no server answered."""

    def __init__(
        self, message: str, *, code: str, status: int | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.request_id = request_id


class Unreadable(KeylikeError):
    """The server looked at the photo and cannot read a key on it: `reason` for programs, `advice` for whoever takes the next photo."""

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
    """Any other failure that the server names: unauthorized, image_too_large, rate_limited … `retry_after_s` is when to come back, in
    seconds, where the server said so."""

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
    """Something answered that is no Keylike server, or one of another version: a proxy's own page, a redirect, other JSON."""

    def __init__(self, message: str, *, status: int, retry_after_s: float | None = None) -> None:
        super().__init__(message, code="unexpected_answer", status=status)
        self.retry_after_s = retry_after_s


class Unreachable(KeylikeError):
    """No answer: no connection, one that was cut, a certificate that is not trusted, or silence for longer than the client waits."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="unreachable")


class UnusablePhoto(KeylikeError):
    """The photo could not be read from its file, or changed while it was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="unusable_photo")
