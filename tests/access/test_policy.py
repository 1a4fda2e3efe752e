"""Tests of the access rules for every policy, required access (`Need`) and token tier."""

from __future__ import annotations

import itertools

import pytest

from keylike.access.policy import Need, Policy, check, chosen_policy, tunnel_refusal
from keylike.access.tokens import Tier, Token
from keylike.errors import Forbidden, Unauthorized

TOKENS = {tier: Token(tier.value, tier, created=0.0) for tier in Tier}


def outcome(policy: Policy, need: Need, tier: Tier | None, *, own: bool) -> str:
    """Return "passes", "unauthorized" or "forbidden" as the result of an access check."""
    try:
        check(policy, need, TOKENS[tier] if tier else None, own=own)
    except Unauthorized:
        return "unauthorized"
    except Forbidden:
        return "forbidden"
    return "passes"


@pytest.mark.parametrize("need", Need)
@pytest.mark.parametrize("policy", Policy)
def test_check_admits_more_for_a_higher_tier_and_a_looser_policy(
    policy: Policy, need: Need
) -> None:
    for own in (False, True):
        opens = [outcome(policy, need, tier, own=own) == "passes" for tier in (None, *Tier)]
        assert opens == sorted(opens)
    ranks = list(Policy)
    for stricter, tier, own in itertools.product(
        ranks[ranks.index(policy) :], (None, *Tier), (False, True)
    ):
        if outcome(stricter, need, tier, own=own) == "passes":
            assert outcome(policy, need, tier, own=own) == "passes"


def test_routes_without_a_need_are_public_and_admin_always_passes() -> None:
    for policy, need, own in itertools.product(Policy, Need, (False, True)):
        assert outcome(policy, Need.NOTHING, None, own=own) == "passes"
        assert outcome(policy, need, Tier.ADMIN, own=own) == "passes"


def test_premium_route_requires_a_token_even_on_this_machine() -> None:
    assert outcome(Policy.OPEN, Need.PREMIUM, None, own=True) == "unauthorized"
    assert outcome(Policy.OPEN, Need.PREMIUM, Tier.FREE, own=True) == "forbidden"


def test_auto_policy_is_open_only_on_loopback_without_a_token() -> None:
    chosen = {
        (loop, one): chosen_policy("auto", loopback=loop, one_token=one)
        for loop in (True, False)
        for one in (True, False)
    }
    assert [at for at, policy in chosen.items() if policy is Policy.OPEN] == [(True, False)]
    assert set(chosen.values()) == {Policy.OPEN, Policy.PREDICTIONS}
    assert all(
        chosen_policy(policy.value, loopback=False, one_token=True) is policy for policy in Policy
    )


@pytest.mark.parametrize("setting", ["auto", "predictions", "all", "open"])
def test_tunnel_is_refused_on_a_public_host_or_without_tokens(
    setting: str,
) -> None:
    assert "KEYLIKE_HOST" in (tunnel_refusal(setting, loopback=False, open_allowed=True) or "")
    assert tunnel_refusal(setting, loopback=True, open_allowed=True) is None
    refused = tunnel_refusal(setting, loopback=True, open_allowed=False)
    assert (refused is None) == (setting != "open") and "KEYLIKE_TUNNEL_OPEN=1" in (
        refused or "KEYLIKE_TUNNEL_OPEN=1"
    )
