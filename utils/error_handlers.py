"""Error handlers, under function names of the older guide.

The older guide is an earlier tutorial for a Keylike server. This module keeps its function names,
so that code written for it still runs.
"""

from __future__ import annotations

from flask import Flask, Response, jsonify
from werkzeug.exceptions import InternalServerError, RequestEntityTooLarge

from keylike.api.error_handlers import code_and_message
from keylike.api.responses import new_request_id
from utils.response_formatter import format_error_response


def register_error_handlers(app: Flask) -> None:
    """Make a Flask application answer 413 and 500 with JSON.

    It is not needed for Keylike's application, which does this already.
    """
    app.register_error_handler(413, handle_file_too_large)
    app.register_error_handler(500, handle_internal_error)


def handle_file_too_large(error: RequestEntityTooLarge) -> tuple[Response, int]:
    """Return the response for a request body that is too large."""
    return _response(413)


def handle_internal_error(error: InternalServerError) -> tuple[Response, int]:
    """Return the response for an unexpected error. It does not contain the text of the error."""
    return _response(500)


def _response(status: int) -> tuple[Response, int]:
    _, message = code_and_message(status)
    return jsonify(format_error_response(message, new_request_id())), status
