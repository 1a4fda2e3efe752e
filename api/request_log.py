"""One log line a request: its id, route, status, milliseconds and model; nothing about who asked or what was answered."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, Response, g, request
from structlog.stdlib import BoundLogger

from utils.response_formatter import new_request_id


def install(app: Flask, *, log: BoundLogger, model: Callable[[], str | None], clock: Callable[[], float]) -> None:
    """Numbers each request and logs it when it is answered; `clock` counts seconds, `model` names what reads, unless a view
    says in `g.model` what answered."""

    @app.before_request
    def begin() -> None:
        g.request_id = new_request_id()
        g.started = clock()

    @app.after_request
    def end(response: Response) -> Response:
        log.info(
            "request",
            request_id=g.request_id,
            # Only those of a known route: callers can write anything where a path or a method stands.
            method=request.method if request.url_rule else None,
            route=request.url_rule.rule if request.url_rule else None,
            status=response.status_code,
            failure=g.get("failure_code"),
            ms=round((clock() - g.started) * 1e3, 1),
            model=g.get("model") or model(),
        )
        response.headers["X-Request-Id"] = g.request_id
        return response
