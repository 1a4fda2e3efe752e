"""Authentication: identifies the client of each request and checks what the route requires."""

from __future__ import annotations

from typing import Any

from flask import Flask, g, request
from structlog.stdlib import BoundLogger

from keylike.access.credentials import Credentials
from keylike.access.policy import Need, Policy, check, required_tier
from keylike.access.tokens import TokensUnreadable
from keylike.api.client_identity import identify
from keylike.api.schemas import Failure
from keylike.api.web_pages import wants_page
from keylike.errors import RETRY_AFTER_S, Overloaded
from keylike.observability.logs import places

# OpenAPI security requirements: either header is enough.
SECURITY: list[dict[str, list[str]]] = [{"token": []}, {"bearer": []}]
SCHEMES: dict[str, Any] = {
    "token": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}
REFUSALS: dict[Any, Any] = {401: Failure, 403: Failure, 429: Failure}
_NEEDS = {
    "health.live": Need.NOTHING,
    "health.overview": Need.PUBLIC,
    "health.ready": Need.PUBLIC,
    "health.startup": Need.PUBLIC,
    "detailed.detailed": Need.PUBLIC,
    "predict.welcome": Need.PUBLIC,
    "docs.document": Need.PUBLIC,
    "docs.page": Need.PUBLIC,
    "docs.static": Need.PUBLIC,
    "web.static": Need.NOTHING,
    "web.service_worker": Need.NOTHING,
    "predict.predict": Need.PHOTOS,
    "predict.predict_cached": Need.PHOTOS,
    "predict.predict_premium": Need.PREMIUM,
    "batch.predict_batch": Need.PHOTOS,
    "classify.classify_image": Need.PHOTOS,
    "cache.stats": Need.OPERATOR,
    "operator.show_metrics": Need.OPERATOR,
    "operator.performance": Need.OPERATOR,
    "operator.memory": Need.OPERATOR,
}


def install(
    app: Flask, credentials: Credentials, policy: Policy, *, salt: bytes, log: BoundLogger
) -> None:
    """Authenticate every request before a view of `app` runs, and keep the identity in `g.client`.

    Args:
        app: The application.
        credentials: Finds tokens. While its file cannot be read, no request passes.
        policy: Decides which routes require a token.
        salt: Keys the hash of client names, so that addresses cannot be found by enumeration.
        log: Receives the reason when tokens cannot be read.
    """

    @app.before_request
    def authenticate() -> None:
        try:
            g.client = identify(request, credentials, salt)
        except TokensUnreadable as error:
            log.error("tokens unreadable", reason=str(error), places=places(error))
            raise Overloaded("Tokens cannot be checked now.", retry_after_s=RETRY_AFTER_S) from None
        # Browsers send no token with a preflight request.
        if request.method != "OPTIONS":
            # Nor when they open the page, which holds no secret and asks for the token itself.
            need = Need.NOTHING if wants_page(request) else need_of(request.endpoint)
            check(policy, need, g.client.token, own=g.client.own)


def need_of(endpoint: str | None) -> Need:
    """Return what an endpoint requires: PUBLIC for unknown paths, OPERATOR for unlisted routes."""
    return Need.PUBLIC if endpoint is None else _NEEDS.get(endpoint, Need.OPERATOR)


def security(policy: Policy, need: Need) -> list[dict[str, list[str]]] | None:
    """Return the OpenAPI security of a route.

    None means that no token is required; an empty alternative means that some clients need none.
    """
    if required_tier(policy, need, own=True) is not None:
        return SECURITY
    return None if required_tier(policy, need, own=False) is None else [{}, *SECURITY]
