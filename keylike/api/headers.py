"""Response headers: CORS, content security policy, caching, transport security and API version."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from flask import Flask, Response, request
from flask_cors import CORS
from flask_cors.core import get_cors_headers, get_cors_options
from werkzeug.datastructures import Headers

from keylike.api.responses import API_VERSION, VERSION_HEADER

# Request headers that pages of other origins may send: the headers of this API, and headers that
# upload and tracing libraries add to every request.
_REQUEST_HEADERS = [
    "Accept",
    "Authorization",
    "Cache-Control",
    "Content-Encoding",
    "Content-Type",
    "Pragma",
    "X-API-Key",
    "X-Request-Id",
    "X-Request-Timeout",
    "X-Requested-With",
    VERSION_HEADER,
    "baggage",
    "ngrok-skip-browser-warning",
    "sentry-trace",
    "traceparent",
    "tracestate",
]
_EXPOSED_HEADERS = [
    "X-Request-Id",
    "Retry-After",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    VERSION_HEADER,
]
# Paths that pages of other origins may read: all except /health/detailed, which contains figures
# for the operator.
_READABLE = r"^(?!/health/detailed/?$)"
# Seconds for which browsers may cache the answer to a CORS preflight request.
_PREFLIGHT_S = 86_400
_ALWAYS = [
    (VERSION_HEADER, API_VERSION),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(self), geolocation=(), microphone=()"),
]
_PAGES = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
# Content security policy of /docs. Swagger UI sets style attributes, which need 'unsafe-inline'.
_DOCUMENTATION = _PAGES.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
# Content security policy of the service worker. Browsers take it from the response with the
# worker's script, not from the page.
_WORKER = "default-src 'none'; connect-src 'self'; frame-ancestors 'none'"
_NOTHING = "default-src 'none'; frame-ancestors 'none'"
_TLS = "max-age=31536000"


def install(app: Flask, origins: Sequence[str]) -> None:
    """Set the headers on every response of `app`.

    Args:
        app: The application.
        origins: Origins whose pages may send requests; ["*"] for all. Two things are allowed for
            named origins only: sending credentials, which browsers forbid with a wildcard, and
            reaching a server in a private network from a public page.
    """
    CORS(app, resources={_READABLE: {}}, **_cors_options(origins))

    @app.after_request
    def add_headers(response: Response) -> Response:
        headers = [*_ALWAYS, ("Content-Security-Policy", _policy(response))]
        if "Cache-Control" not in response.headers:
            # A bitting is enough to cut the key, so no browser or proxy may store a reading.
            headers.append(("Cache-Control", "no-store"))
        if request.is_secure:
            headers.append(("Strict-Transport-Security", _TLS))
        # One call for all headers, because each single assignment searches the existing headers.
        response.headers.extend(headers)
        return response


def cors_headers(app: Flask, origins: Sequence[str]) -> Callable[[str | None], dict[str, str]]:
    """Return a function from a request's Origin to the CORS headers of its response.

    It is for responses that the socket server sends without `app`. `origins` is as for `install`.
    """
    options = get_cors_options(app, _cors_options(origins))

    def of(origin: str | None) -> dict[str, str]:
        request_headers = Headers({"Origin": origin} if origin else {})
        found = get_cors_headers(options, request_headers, "POST")
        return {name: str(value) for name, value in found.items()}

    return of


def _cors_options(origins: Sequence[str]) -> dict[str, Any]:
    named = "*" not in origins
    return {
        "origins": [_exactly(origin) for origin in origins] if named else "*",
        "send_wildcard": not named,
        "supports_credentials": named,
        "allow_headers": _REQUEST_HEADERS,
        "expose_headers": _EXPOSED_HEADERS,
        "max_age": _PREFLIGHT_S,
        "allow_private_network": named,
    }


def _exactly(origin: str) -> str | re.Pattern[str]:
    """Return an origin so that it matches only itself.

    flask-cors would treat the brackets of an IPv6 address as a regular expression.
    """
    return re.compile(re.escape(origin) + r"\Z", re.IGNORECASE) if "[" in origin else origin


def _policy(response: Response) -> str:
    if response.mimetype != "text/html":
        return _WORKER if request.path == "/sw.js" else _NOTHING
    return _DOCUMENTATION if request.path in ("/docs", "/docs/") else _PAGES
