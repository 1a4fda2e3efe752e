"""Access rules: the tier that each kind of request needs under each policy."""

from __future__ import annotations

from enum import Enum, StrEnum

from keylike.access.tokens import Tier, Token
from keylike.errors import Forbidden, Unauthorized

_SEND = "send it as X-API-Key or as Authorization: Bearer."


class Policy(StrEnum):
    """A rule for which requests need a token.

    OPEN: none; PREDICTIONS: predictions; ALL: all requests except liveness and the web page.
    """

    OPEN = "open"
    PREDICTIONS = "predictions"
    ALL = "all"


class Need(Enum):
    """The kind of access that a request needs. The values describe what the response contains."""

    NOTHING = "liveness, and the web page, which contains no secret"
    PUBLIC = "health and documentation"
    PHOTOS = "readings"
    PREMIUM = "readings of tier premium"
    OPERATOR = "information for the operator"


def chosen_policy(setting: str, *, loopback: bool, one_token: bool) -> Policy:
    """Return the policy for the value of KEYLIKE_POLICY.

    "auto" means OPEN if only this machine can reach the server and no token is configured, and
    PREDICTIONS otherwise.

    Args:
        setting: Value of KEYLIKE_POLICY.
        loopback: True if only this machine can reach the server.
        one_token: True if KEYLIKE_API_KEY is set.
    """
    if setting != "auto":
        return Policy(setting)
    return Policy.OPEN if loopback and not one_token else Policy.PREDICTIONS


def tunnel_refusal(setting: str, *, loopback: bool, open_allowed: bool) -> str | None:
    """Return why the settings forbid a tunnel, or None if they allow one.

    Args:
        setting: Value of KEYLIKE_POLICY.
        loopback: True if only this machine can reach the server.
        open_allowed: True if a tunnel without tokens is allowed (KEYLIKE_TUNNEL_OPEN).
    """
    if not loopback:
        return (
            "a tunnel needs KEYLIKE_HOST=127.0.0.1, since its requests are recognised "
            "by their local address"
        )
    if setting == "open" and not open_allowed:
        return (
            "with KEYLIKE_POLICY=open anyone who finds the tunnel's address can read "
            "keys: set it to auto, or set KEYLIKE_TUNNEL_OPEN=1 as well"
        )
    return None


def required_tier(policy: Policy, need: Need, *, own: bool) -> Tier | None:
    """Return the lowest tier that is admitted, or None if no token is needed.

    `own` is True if a program on the server's machine sent the request for itself, not for a remote
    client.
    """
    if need is Need.OPERATOR:
        return None if own and policy is not Policy.ALL else Tier.ADMIN
    if need is Need.PREMIUM:
        return Tier.PREMIUM
    guarded = policy is Policy.ALL or (need is Need.PHOTOS and policy is Policy.PREDICTIONS)
    return Tier.FREE if guarded and need is not Need.NOTHING else None


def check(policy: Policy, need: Need, token: Token | None, *, own: bool) -> None:
    """Check that a request may pass.

    Raises:
        Unauthorized: The request needs a token and has none.
        Forbidden: The tier of its token is too low.
    """
    tier = required_tier(policy, need, own=own)
    if tier is None:
        return
    if token is None:
        raise Unauthorized(f"A valid token is required: {_SEND}")
    if not token.tier.includes(tier):
        raise Forbidden(
            f"This request needs a token of tier {tier.value}; yours is of tier {token.tier.value}."
        )
