"""Answer one request: call the application, or send a JSON error if the server refuses it."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from waitress.task import ErrorTask, WSGITask

from keylike.http_server.body_budget import RequestBody

# WSGI environment key: seconds after which the client may retry. It is set if the server discarded
# the body because the queue is full or the memory for bodies is used up.
RETRY_AFTER_KEY = "keylike.retry_after_s"
# WSGI environment key: a function that reserves memory for this request from the budget of the
# bodies. Its argument is a number of bytes. It returns False if the budget is used up.
RESERVE_KEY = "keylike.reserve"
# WSGI environment key: a function that returns True if the client has disconnected. waitress sets
# it.
CLIENT_DISCONNECTED_KEY = "waitress.client_disconnected"

# Seconds after which a client may retry that was refused with 503 by the socket server.
_RETRY_AFTER_S = 1


class RequestTask(WSGITask):  # type: ignore[misc]
    """A call of the application for a request whose body has been read or discarded."""

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment."""
        environ: dict[str, Any] = super().get_environment()
        body = environ["wsgi.input"]
        if isinstance(body, RequestBody):
            environ[RESERVE_KEY] = body.reserve
            if body.retry_after_s is not None:
                environ[RETRY_AFTER_KEY] = body.retry_after_s
        return environ

    def build_response_header(self) -> bytes:
        """Return the response header, with `Connection: close` if this is the last response."""
        if self.channel.begin_response(self.request):
            self.set_close_on_finish()
        header: bytes = super().build_response_header()
        return header


class JSONErrorTask(ErrorTask):  # type: ignore[misc]
    """A JSON response to a request that the socket server refuses without the application.

    The request is malformed, too large or too slow, or there are too many connections.
    """

    def execute(self) -> None:
        """Send the response and close the connection."""
        self.channel.begin_response(self.request)
        status, headers, body = self.channel.server.render_error(
            self.request.error.code, self.request.headers.get("ORIGIN")
        )
        data = json.dumps(body).encode()
        self.status = f"{status} {HTTPStatus(status).phrase}"
        self.response_headers += [("Content-Type", "application/json"), *headers.items()]
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.response_headers.append(("Retry-After", str(_RETRY_AFTER_S)))
        self.set_close_on_finish()
        self.content_length = len(data)
        self.write(data)
