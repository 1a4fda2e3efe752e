"""What browsers are told with every answer: which pages may ask; that nothing is to be kept, guessed at or framed; TLS where there is."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Flask, Response, request
from flask_cors import CORS

_ASKED = [
    "Content-Type",
    "Cache-Control",
    "Authorization",
    "X-API-Key",
    "X-Request-Timeout",
    "ngrok-skip-browser-warning",
]
_TOLD = [
    "X-Request-Id",
    "Retry-After",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
]
_PREFLIGHT_S = 86_400
_ALL = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(self), geolocation=(), microphone=()"),
]
_PAGES = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; manifest-src 'self'; "
    "worker-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
# Swagger UI writes style attributes into what it draws.
_DOCUMENTATION = _PAGES.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
# A worker goes by its own file's policy, not by the page's.
_WORKER = "default-src 'none'; connect-src 'self'; frame-ancestors 'none'"
_NOTHING = "default-src 'none'; frame-ancestors 'none'"
_TLS = "max-age=31536000"


def install(app: Flask, origins: Sequence[str]) -> None:
    """Sets them on every answer of `app`; pages of `origins` may ask it, those of any where it is ["*"].

    A page that sends credentials is answered only where its origin is named, as browsers want it: then, and never for all.
    """
    named = "*" not in origins
    CORS(
        app,
        origins=list(origins) if named else "*",
        send_wildcard=not named,
        supports_credentials=named,
        allow_headers=_ASKED,
        expose_headers=_TOLD,
        max_age=_PREFLIGHT_S,
    )

    @app.after_request
    def tell(response: Response) -> Response:
        told = [*_ALL, ("Content-Security-Policy", _policy(response))]
        if "Cache-Control" not in response.headers:
            # A reading opens a door: no cache between here and whoever asked for it keeps one.
            told.append(("Cache-Control", "no-store"))
        if request.is_secure:
            told.append(("Strict-Transport-Security", _TLS))
        # All at once, since looking for each that is there already takes as long as the rest of an answer's headers.
        response.headers.extend(told)
        return response


def _policy(response: Response) -> str:
    if response.mimetype != "text/html":
        return _WORKER if request.path == "/sw.js" else _NOTHING
    return _DOCUMENTATION if request.path == "/docs" else _PAGES
