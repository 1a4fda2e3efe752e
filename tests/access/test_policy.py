"""The access rules for every policy, need and tier, and the default policy."""

from __future__ import annotations

import itertools

import pytest

from keylike.access.policy import Need, Policy, check, chosen_policy, tunnel_refusal
from keylike.access.tokens import Tier, Token
from keylike.errors import Forbidden, Unauthorized

TOKENS = {tier: Token(tier.value, tier, created=0.0) for tier in Tier}


def outcome(policy: Policy, need: Need, tier: Tier | None, *, own: bool) -> str:
    """Return the result of a check as a word."""
    try:
        check(policy, need, TOKENS[tier] if tier else None, own=own)
    except Unauthorized:
        return "unauthorized"
    except Forbidden:
        return "forbidden"
    return "passes"


@pytest.mark.parametrize("need", Need)
@pytest.mark.parametrize("policy", Policy)
def test_check_is_monotonic_in_tier_and_policy(policy: Policy, need: Need) -> None:
    for own in (False, True):
        opens = [outcome(policy, need, tier, own=own) == "passes" for tier in (None, *Tier)]
        assert opens == sorted(opens)
    ranks = list(Policy)
    for stricter, tier, own in itertools.product(
        ranks[ranks.index(policy) :], (None, *Tier), (False, True)
    ):
        if outcome(stricter, need, tier, own=own) == "passes":
            assert outcome(policy, need, tier, own=own) == "passes"


def test_check_liveness_is_public_and_admin_always_passes() -> None:
    for policy, need, own in itertools.product(Policy, Need, (False, True)):
        assert outcome(policy, Need.NOTHING, None, own=own) == "passes"
        assert outcome(policy, need, Tier.ADMIN, own=own) == "passes"


def test_check_premium_needs_a_token_even_on_this_machine() -> None:
    assert outcome(Policy.OPEN, Need.PREMIUM, None, own=True) == "unauthorized"
    assert outcome(Policy.OPEN, Need.PREMIUM, Tier.FREE, own=True) == "forbidden"


def test_chosen_policy_auto_is_open_only_locally_and_without_a_token() -> None:
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
def test_tunnel_refusal_requires_a_local_host_and_tokens(
    setting: str,
) -> None:
    assert "KEYLIKE_HOST" in (tunnel_refusal(setting, loopback=False, open_allowed=True) or "")
    assert tunnel_refusal(setting, loopback=True, open_allowed=True) is None
    refused = tunnel_refusal(setting, loopback=True, open_allowed=False)
    assert (refused is None) == (setting != "open") and "KEYLIKE_TUNNEL_OPEN=1" in (
        refused or "KEYLIKE_TUNNEL_OPEN=1"
    )
