"""Who may pass: asks for the API token where one is set, and keeps what is for the operator alone from strangers."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable
from typing import Any

from flask import request

from utils.errors import Forbidden, Unauthorized

# Either header will do; the document offers both.
SECURITY: list[dict[str, list[str]]] = [{"token": []}, {"bearer": []}]
# Every proxy and tunnel names in one of these whom it speaks for, and a browser which site's page asks.
_FOR_OTHERS = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Origin")
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


def operator_guard(token: str | None) -> Callable[[], None]:
    """A check for what only the operator may see: with a `token` that one is asked for (Unauthorized); without, only a program on this
    machine that speaks for itself passes (Forbidden).

    Where the connection comes from is the socket's own word: no header lets anybody in. A proxy or tunnel on this machine brings callers
    from everywhere, and so does a page in a browser here, so whatever they pass on is kept out.
    """
    if token is not None:
        return token_guard(token)

    def check() -> None:
        if not _is_loopback(request.environ.get("REMOTE_ADDR", "")) or any(name in request.headers for name in _FOR_OTHERS):
            raise Forbidden("This is for callers on the server's own machine; set a token to see it from elsewhere.")

    return check


def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback


def _bearer(header: str) -> str:
    scheme, _, credential = header.partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""
