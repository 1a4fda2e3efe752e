"""Log and count each request: one line per request, without client address and reading."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from flask import Flask, Response, current_app, g, request
from structlog.stdlib import BoundLogger
from werkzeug.exceptions import MethodNotAllowed

from keylike.api.responses import new_request_id
from keylike.observability.metrics import OTHER, RequestRecord

_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"}
)
# Blueprints whose successful requests are logged at level DEBUG.
_ROUTINE = frozenset({"health", "detailed", "web", "docs"})


def install(
    app: Flask,
    *,
    log: BoundLogger,
    model: Callable[[], str | None],
    clock: Callable[[], float],
    watchers: Sequence[Callable[[RequestRecord], None]] = (),
) -> None:
    """Give each request of `app` an id, and log and count it when it is answered.

    Args:
        app: The application.
        log: Receives the lines.
        model: Returns the name of the model. A view may set `g.model` instead.
        clock: Returns monotonic seconds.
        watchers: Called with the outcome of each request.
    """

    @app.before_request
    def begin() -> None:
        g.request_id = new_request_id()
        g.started = clock()

    @app.after_request
    def end(response: Response) -> Response:
        seconds, route = clock() - g.started, request.url_rule.rule if request.url_rule else None
        for watcher in watchers:
            watcher(
                RequestRecord(
                    request.method, route, response.status_code, seconds, g.get("crashed", False)
                )
            )
        # At level INFO, the many requests for health and for the page would hide the photos.
        routine = request.blueprint in _ROUTINE and response.status_code < 400
        log.log(
            logging.DEBUG if routine else logging.INFO,
            "request",
            request_id=g.request_id,
            # A client can send any text as the method, so unknown methods are not logged.
            method=request.method if request.method in _METHODS else OTHER,
            route=route or _route_of_other_methods(),
            status=response.status_code,
            failure=g.get("failure_code"),
            ms=round(seconds * 1e3, 1),
            model=g.get("model") or model(),
        )
        response.headers["X-Request-Id"] = g.request_id
        return response


def _route_of_other_methods() -> str | None:
    """Return the route at the path of a request whose method is wrong, or None."""
    if not isinstance(request.routing_exception, MethodNotAllowed):
        return None
    methods = request.routing_exception.valid_methods or ()
    rules = current_app.create_url_adapter(request)
    for method in methods:
        rule, _ = rules.match(method=method, return_rule=True)  # type: ignore[union-attr]
        return str(rule.rule)
    return None
