"""Authentication: identifies the client of each request and checks what the route requires."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Request, g, request
from structlog.stdlib import BoundLogger

from keylike.access.credentials import Credentials
from keylike.access.failed_attempts import FailedAttempts
from keylike.access.policy import Need, Policy, check, required_tier
from keylike.access.tokens import TokensUnreadable
from keylike.api.client_identity import (
    ClientIdentity,
    address_name,
    identify,
    is_own,
    sent_token,
)
from keylike.api.schemas import Failure
from keylike.api.web_pages import wants_page
from keylike.errors import RETRY_AFTER_S, Overloaded, RateLimited
from keylike.observability.logs import places

# OpenAPI security requirements of a route: one of the two headers is enough.
SECURITY: list[dict[str, list[str]]] = [{"token": []}, {"bearer": []}]
SCHEMES: dict[str, Any] = {
    "token": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}
# Outcomes for the metrics: "wrong" for a request with a wrong token, and "limited" for a request
# whose token was not checked because its client had sent too many wrong ones.
FAILURES = ("wrong", "limited")
REFUSALS: dict[Any, Any] = {401: Failure, 403: Failure, 429: Failure}
_NEEDS = {
    "health.live": Need.NOTHING,
    "health.overview": Need.PUBLIC,
    "health.ready": Need.PUBLIC,
    "health.startup": Need.PUBLIC,
    "detailed.detailed": Need.PUBLIC,
    "predict.welcome": Need.PUBLIC,
    "predict.version": Need.PUBLIC,
    "docs.openapi": Need.PUBLIC,
    "docs.page": Need.PUBLIC,
    "docs.static": Need.PUBLIC,
    "web.static": Need.NOTHING,
    "web.favicon": Need.NOTHING,
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


@dataclass(frozen=True, slots=True)
class Authentication:
    """The rules for identifying clients and for admitting their requests.

    Attributes:
        credentials: The valid tokens.
        policy: Decides which routes require a token.
        salt: Secret key of the hash of client names. Without it, addresses could be found by
            hashing all of them.
        attempts: Counts wrong tokens.
        limited: Whose wrong tokens are counted: "on" for all clients, "off" for none, or "auto" for
            all except programs on this machine.
        record_failure: Called with each outcome of FAILURES.
    """

    credentials: Credentials
    policy: Policy
    salt: bytes = field(repr=False)
    attempts: FailedAttempts
    limited: str
    record_failure: Callable[[str], None]

    def check_attempts(self, request: Request) -> None:
        """Refuse a client that has sent too many wrong tokens.

        Raises:
            RateLimited: The client is blocked and has not used this token successfully before.
        """
        token = sent_token(request)
        if not token or not self._counts(request):
            return
        blocked_s = self.attempts.blocked_s(address_name(request, self.salt), token)
        if blocked_s:
            self.record_failure("limited")
            raise RateLimited(
                "Too many requests with a wrong token came from your address.",
                retry_after_s=blocked_s,
            )

    def record(self, request: Request, client: ClientIdentity) -> None:
        """Count the token of a request if it is wrong, or remember it if it is valid."""
        token = sent_token(request)
        if not token:
            return
        if client.token is None:
            self.record_failure("wrong")
        if self._counts(request):
            address = address_name(request, self.salt)
            if client.token is None:
                self.attempts.record_failure(address)
            else:
                self.attempts.record_success(address, token)

    def early_status(self, request: Request, need: Need) -> int | None:
        """Return 401 or 429 if the headers already show that the request will be refused.

        The event loop calls this before it reads a large body, so this method never waits.

        Args:
            request: A request without a body.
            need: Kind of access that its route requires.
        """
        if required_tier(self.policy, need, own=is_own(request)) is None:
            return None
        token = sent_token(request)
        if not token:
            return 401
        limited = self._counts(request)
        address = address_name(request, self.salt)
        if limited and self.attempts.blocked_s(address, token):
            self.record_failure("limited")
            return 429
        if self.credentials.may_match(token):
            return None
        self.record_failure("wrong")
        if limited:
            self.attempts.record_failure_at_once(address)
        return 401

    def _counts(self, request: Request) -> bool:
        return self.limited == "on" or (self.limited == "auto" and not is_own(request))


def install(app: Flask, authentication: Authentication, log: BoundLogger) -> None:
    """Authenticate every request before a view of `app` runs, and store the identity in `g.client`.

    Args:
        app: The application.
        authentication: The rules.
        log: Receives the reason when tokens cannot be read.
    """
    credentials, policy = authentication.credentials, authentication.policy
    salt = authentication.salt

    @app.before_request
    def authenticate() -> None:
        guarded = _is_guarded(policy, need_of(request.endpoint))
        if guarded:
            authentication.check_attempts(request)
        try:
            g.client = identify(request, credentials, salt)
        except TokensUnreadable as error:
            log.error("tokens unreadable", reason=str(error), places=places(error))
            raise Overloaded("Tokens cannot be checked now.", retry_after_s=RETRY_AFTER_S) from None
        if guarded:
            authentication.record(request, g.client)
        # Browsers send no token with a CORS preflight request (OPTIONS).
        if request.method != "OPTIONS":
            # Browsers send no token when they open the web page. It contains no secret, and asks
            # the user for the token.
            need = Need.NOTHING if wants_page(request) else need_of(request.endpoint)
            check(policy, need, g.client.token, own=g.client.own)


def need_of(endpoint: str | None) -> Need:
    """Return what an endpoint requires: PUBLIC for unknown paths, OPERATOR for unlisted routes."""
    return Need.PUBLIC if endpoint is None else _NEEDS.get(endpoint, Need.OPERATOR)


def _is_guarded(policy: Policy, need: Need) -> bool:
    """Return True if sending a valid token can change the response of the route."""
    return need in (Need.PHOTOS, Need.PREMIUM, Need.OPERATOR) or (
        policy is Policy.ALL and need is not Need.NOTHING
    )


def security(policy: Policy, need: Need) -> list[dict[str, list[str]]] | None:
    """Return the OpenAPI security of a route.

    None means that no client needs a token. A list that starts with {} means that programs on this
    machine need none.
    """
    if required_tier(policy, need, own=True) is not None:
        return SECURITY
    return None if required_tier(policy, need, own=False) is None else [{}, *SECURITY]
