"""API versions: every path is also served under /v1, and the header API-Version is checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, request

from keylike.api.responses import API_VERSION, VERSION_HEADER
from keylike.errors import BadRequest

PREFIX = "/v1"
ACCEPTED = ("1", API_VERSION)


class VersionPrefix:
    """WSGI middleware that serves /v1/… as the same path without the prefix.

    Routing, access rules, limits and metrics see only the path without the prefix, so both paths
    are treated in the same way.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        path = environ.get("PATH_INFO", "")
        # /v1//… is excluded: routing would accept it, but the socket server would not recognize it.
        if path == PREFIX or (path.startswith(f"{PREFIX}/") and path[len(PREFIX) + 1 :][:1] != "/"):
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + PREFIX
            environ["PATH_INFO"] = path.removeprefix(PREFIX) or "/"
        return self._application(environ, start_response)


def install(app: Flask) -> None:
    """Serve every route of `app` under /v1 too, and refuse requests for an unknown API version.

    Error handlers and the request log must be installed before this.
    """
    app.wsgi_app = VersionPrefix(app.wsgi_app)  # type: ignore[method-assign]

    @app.before_request
    def check_version() -> None:
        if request.headers.get(VERSION_HEADER, API_VERSION) not in ACCEPTED:
            raise BadRequest(f"{VERSION_HEADER} must be {' or '.join(ACCEPTED)}.")


def with_prefix(paths: Iterable[str]) -> frozenset[str]:
    """Return each path without and with the prefix /v1. The socket server sees both forms."""
    plain = frozenset(paths)
    bare = {PREFIX} if "/" in plain else set()
    return plain | {PREFIX + path for path in plain} | bare
