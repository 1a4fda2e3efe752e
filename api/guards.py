"""Who may pass: asks for the API token where one is set."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

from flask import request

from utils.errors import Unauthorized

# Either header will do; the document offers both.
SECURITY: list[dict[str, list[str]]] = [{"token": []}, {"bearer": []}]
SCHEMES: dict[str, Any] = {
    "token": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}


def token_guard(token: str | None) -> Callable[[], None]:
    """A check that raises Unauthorized unless the request carries `token`; with None everybody passes."""

    def check() -> None:
        if token is None:
            return
        given = request.headers.get("X-API-Key") or _bearer(request.headers.get("Authorization", ""))
        # Compared in constant time, so that answers do not tell how much of a guess was right.
        if not hmac.compare_digest(given.encode(), token.encode()):
            raise Unauthorized("A valid token is needed: send it as X-API-Key or as Authorization: Bearer.")

    return check


def _bearer(header: str) -> str:
    scheme, _, credential = header.partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""
