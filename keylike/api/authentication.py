"""Lets requests in: finds out who asks, holds that against what their route needs, and leaves the visitor in `g.visitor`."""

from __future__ import annotations

from typing import Any

from flask import Flask, g, request
from structlog.stdlib import BoundLogger

from keylike.access.credentials import Credentials
from keylike.access.policy import Need, Policy, check, required_tier
from keylike.access.tokens import TokensUnreadable
from keylike.api.client_identity import visitor
from keylike.api.schemas import Failure
from keylike.api.web_pages import wants_page
from keylike.errors import RETRY_AFTER_S, Overloaded
from keylike.observability.logs import places

# In the document: either header will do.
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
    """Asks everybody who comes before any view of `app` runs. While the file of tokens cannot be read, nobody passes by one. `salt` is what
    the names of visitors are made with, so that nobody finds an address by trying all of them."""

    @app.before_request
    def ask() -> None:
        try:
            g.visitor = visitor(request, credentials, salt)
        except TokensUnreadable as error:
            log.error("tokens unreadable", reason=str(error), places=places(error))
            raise Overloaded("Tokens cannot be checked now.", retry_after_s=RETRY_AFTER_S) from None
        # Browsers send no token with the question whether they may ask.
        if request.method != "OPTIONS":
            # Nor can they with the way to the page, which holds no secret, asks for the token itself and sends it from then on.
            need = Need.NOTHING if wants_page(request) else need_of(request.endpoint)
            check(policy, need, g.visitor.token, own=g.visitor.own)


def need_of(endpoint: str | None) -> Need:
    """What a route needs. An address that leads nowhere needs what any page does; a route that nobody thought of is the operator's."""
    return Need.PUBLIC if endpoint is None else _NEEDS.get(endpoint, Need.OPERATOR)


def security(policy: Policy, need: Need) -> list[dict[str, list[str]]] | None:
    """What the document says of a route: None where no token is asked for, and an empty way where there is one without."""
    if required_tier(policy, need, own=True) is not None:
        return SECURITY
    return None if required_tier(policy, need, own=False) is None else [{}, *SECURITY]
