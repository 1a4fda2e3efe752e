"""Who may do what: what each kind of request needs, under each policy. Plain rules; HTTP asks them in api/access.py."""

from __future__ import annotations

from enum import Enum, StrEnum

from keylike.access.tokens import Tier, Token
from keylike.errors import Forbidden, Unauthorized

_SEND = "send it as X-API-Key or as Authorization: Bearer."


class Policy(StrEnum):
    """What asks for a token: nothing, whatever takes photos, or everything but /health/live and the page itself."""

    OPEN = "open"
    PREDICTIONS = "predictions"
    ALL = "all"


class Need(Enum):
    """What a request is for."""

    NOTHING = "whether the process lives, and the page, which holds no secret"
    PUBLIC = "health, documents"
    PHOTOS = "readings"
    PREMIUM = "readings for the tier premium"
    OPERATOR = "what only whoever runs the server sees"


def chosen_policy(setting: str, *, loopback: bool, one_token: bool) -> Policy:
    """The policy of a setting; "auto" leaves readings open where only this machine reaches the server, unless the settings have a token."""
    if setting != "auto":
        return Policy(setting)
    return Policy.OPEN if loopback and not one_token else Policy.PREDICTIONS


def why_not_public(setting: str, *, loopback: bool, open_allowed: bool) -> str | None:
    """Why a server with these settings does not go public through a tunnel; None where it may. `open_allowed`: that it may even be open."""
    if not loopback:
        return "a tunnel needs KEYLIKE_HOST=127.0.0.1: what comes through it is told by coming from this machine"
    if setting == "open" and not open_allowed:
        return "with KEYLIKE_POLICY=open whoever finds the tunnel's address may read keys: set it to auto, or KEYLIKE_TUNNEL_OPEN=1 as well"
    return None


def asked_tier(policy: Policy, need: Need, *, own: bool) -> Tier | None:
    """The lowest tier that is let in, None where everybody is. `own`: a program on the server's own machine asks, and speaks for itself."""
    if need is Need.OPERATOR:
        return None if own and policy is not Policy.ALL else Tier.ADMIN
    if need is Need.PREMIUM:
        return Tier.PREMIUM
    guarded = policy is Policy.ALL or (need is Need.PHOTOS and policy is Policy.PREDICTIONS)
    return Tier.FREE if guarded and need is not Need.NOTHING else None


def check(policy: Policy, need: Need, token: Token | None, *, own: bool) -> None:
    """Raises Unauthorized where a `token` is missing, Forbidden where its tier does not reach."""
    tier = asked_tier(policy, need, own=own)
    if tier is None:
        return
    if token is None:
        raise Unauthorized(f"A valid token is needed: {_SEND}")
    if not token.tier.reaches(tier):
        raise Forbidden(
            f"This needs a token of the tier {tier.value}; the one that was sent is of the tier {token.tier.value}."
        )
