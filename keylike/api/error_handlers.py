"""Translate errors to HTTP: statuses, headers and JSON bodies of failures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Response, g, jsonify
from structlog.stdlib import BoundLogger
from werkzeug.exceptions import HTTPException

from keylike.access.failed_attempts import WINDOW_S
from keylike.api.responses import API_VERSION, VERSION_HEADER, failure, new_request_id, refusal
from keylike.errors import KeylikeError, ModelLoading, Overloaded, RateLimited
from keylike.observability.logs import places

STATUS = {
    "no_image": 400,
    "bad_image": 400,
    "bad_zipcode": 400,
    "bad_request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "image_too_large": 413,
    "unsupported_image_type": 415,
    "unreadable": 422,
    "rate_limited": 429,
    # Not standard HTTP. Proxies such as nginx log this status for a client that disconnected before
    # the response. No client receives it.
    "caller_gone": 499,
    "internal": 500,
    "model_loading": 503,
    "overloaded": 503,
    "deadline_exceeded": 504,
}

# Codes of requests that are refused whatever their photo is.
REJECTIONS = tuple(
    code for code, status in STATUS.items() if status in (401, 403, 429, 499, 503, 504)
)

# Failures that Flask or the socket server finds before a view runs: status -> code and message.
_BY_STATUS = {
    400: ("bad_request", "The request is malformed."),
    401: (
        "unauthorized",
        "A valid token is required: send it as X-API-Key or as Authorization: Bearer.",
    ),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not support the method; see Allow."),
    408: ("request_timeout", "The request arrived too slowly. Try again on a better connection."),
    413: ("image_too_large", "The request is too large."),
    415: ("unsupported_image_type", "This content type is not accepted."),
    429: ("rate_limited", "Too many requests; see Retry-After."),
    431: ("bad_request", "The headers of the request are too large."),
    501: ("bad_request", "This transfer encoding is not accepted."),
    503: ("overloaded", "The server has too many connections; see Retry-After."),
}


def install(
    app: Flask, *, clock: Callable[[], float], log: BoundLogger, rejected: Callable[[str], None]
) -> Callable[[Exception], dict[str, Any]]:
    """Register handlers that turn every failure of `app` into JSON.

    Args:
        app: The application.
        clock: Returns seconds since 1970.
        log: Receives errors that are not a KeylikeError.
        rejected: Called with the code of each failure in REJECTIONS.

    Returns:
        A function from an error to the body of its failure. A view calls it for each failed photo
        of a batch. It logs and counts the error as the handlers do.
    """

    def failure_body(error: Exception) -> dict[str, Any]:
        if isinstance(error, KeylikeError):
            if error.code in REJECTIONS:
                rejected(error.code)
            return refusal(error, request_id=g.request_id, now=clock())
        g.crashed = True
        log.error(
            "crash", request_id=g.request_id, error=type(error).__name__, places=places(error)
        )
        return failure(*code_and_message(500), request_id=g.request_id, now=clock())

    def respond(body: dict[str, Any]) -> Response:
        g.failure_code = body["code"]
        response = jsonify(body)
        response.status_code = STATUS[body["code"]]
        return response

    def on_failure(error: KeylikeError) -> Response:
        response = respond(failure_body(error))
        if isinstance(error, ModelLoading | Overloaded | RateLimited):
            response.headers["Retry-After"] = str(error.retry_after_s)
        if "accepted_encodings" in error.details:
            # RFC 9110, 12.5.3
            response.headers["Accept-Encoding"] = "gzip"
        if error.code == "unauthorized":
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    def on_http(error: HTTPException) -> Response | HTTPException:
        status = error.code or 500
        if status < 400:
            return error
        code, message = code_and_message(status)
        if code in REJECTIONS:
            rejected(code)
        response = respond(failure(code, message, request_id=g.request_id, now=clock()))
        allow = [value for name, value in error.get_headers() if name == "Allow"]
        if allow:
            response.headers["Allow"] = allow[0]
        return response

    def on_crash(error: Exception) -> Response:
        return respond(failure_body(error))

    app.register_error_handler(KeylikeError, on_failure)
    app.register_error_handler(HTTPException, on_http)
    app.register_error_handler(Exception, on_crash)
    return failure_body


def code_and_message(status: int) -> tuple[str, str]:
    """Return the failure code and message for an HTTP status that was not set by a view."""
    if status >= 500 and status not in _BY_STATUS:
        return (
            "internal",
            "Something went wrong inside Keylike. Search the log for the request_id.",
        )
    return _BY_STATUS.get(status, _BY_STATUS[400])


def error_renderer(
    clock: Callable[[], float],
    log: BoundLogger,
    refused: Callable[[int], None] = lambda status: None,
    cors: Callable[[str | None], dict[str, str]] = lambda origin: {},
) -> Callable[[int, str | None], tuple[int, dict[str, str], dict[str, object]]]:
    """Return a function that builds the responses to requests that the socket server refuses.

    Args:
        clock: Returns seconds since 1970.
        log: Receives one line per refusal.
        refused: Called with the HTTP status of each refusal.
        cors: Returns the CORS headers for a request's Origin.

    Returns:
        A function. Its arguments are the status that the socket server chose and the request's
        Origin. It returns the status, the headers and the body to send.
    """

    def refuse(found: int, origin: str | None) -> tuple[int, dict[str, str], dict[str, object]]:
        code, message = code_and_message(found)
        body = failure(code, message, request_id=new_request_id(), now=clock())
        log.info("refused", request_id=body["request_id"], status=STATUS[code], failure=code)
        refused(STATUS[code])
        headers = {VERSION_HEADER: API_VERSION, **cors(origin)}
        if STATUS[code] == 429:
            headers["Retry-After"] = str(WINDOW_S)
        return STATUS[code], headers, body

    return refuse
