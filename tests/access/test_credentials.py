"""Tests of credentials.

A token is valid if it is configured (KEYLIKE_API_KEY), generated for one run of the server with a
tunnel, or in the token store.
"""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keylike.access.credentials import Credentials
from keylike.access.tokens import Tier, Token, TokensUnreadable, generate_secret
from tests.access.stores import NOW, Clock, opened

ONE = "one-token-of-the-settings"


def test_configured_token_has_tier_admin() -> None:
    found = Credentials(ONE, None).find(ONE)
    assert found == Token("KEYLIKE_API_KEY", Tier.ADMIN, 0.0)
    assert Credentials(ONE, None).any()


def test_find_accepts_the_configured_token_and_tokens_of_the_store(tmp_path: Path) -> None:
    with opened(tmp_path / "tokens.sqlite3") as store:
        clear = store.new("phone", Tier.FREE, None)
        assert Credentials(ONE, store).find(clear) == Token("phone", Tier.FREE, NOW)
        assert Credentials(None, store).find(clear) == Token("phone", Tier.FREE, NOW, last_used=NOW)
        assert Credentials(None, store).find(ONE) is None
        assert Credentials(ONE, store).find("kl_" + "a" * 43) is None


@pytest.mark.parametrize("one", [None, ""])
def test_find_without_a_configured_token_rejects_empty_strings(one: str | None) -> None:
    credentials = Credentials(one, None)
    assert [credentials.find(sent) for sent in ("", " ", "\0", "None")] == [None] * 4
    assert not credentials.any()


@given(one=st.text(st.characters(), max_size=6), sent=st.text(st.characters(), max_size=6))
def test_find_accepts_only_the_identical_string(one: str, sent: str) -> None:
    assert (Credentials(one, None).find(sent) is not None) == (one == sent != "")


def test_find_compares_digests_in_constant_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compared: list[tuple[Any, Any]] = []
    real = hmac.compare_digest

    def watched(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    with opened(tmp_path / "tokens.sqlite3") as store:
        credentials = Credentials(ONE, store)
        sent = [ONE, ONE[:-1], "x", "", "\u00fc" * 5, store.new("phone", Tier.FREE, None)]
        assert [credentials.find(each) is not None for each in sent] == [
            True,
            False,
            False,
            False,
            False,
            True,
        ]
    # Each value is compared with the configured token. Only the last one is in the store, and is
    # also compared with the token found there. All digests have 32 bytes, so the lengths of the
    # compared values reveal nothing.
    assert len(compared) == len(sent) + 1
    assert all(len(value) == 32 for pair in compared for value in pair)


def test_any_is_false_if_all_tokens_have_expired(tmp_path: Path) -> None:
    clock = Clock()
    with opened(tmp_path / "tokens.sqlite3", clock) as store:
        credentials = Credentials(None, store)
        assert not credentials.any()
        store.new("guest", Tier.FREE, 60)
        assert credentials.any()
        clock.now += 60
        assert not credentials.any()
        assert Credentials(ONE, store).any()


def test_unreadable_store_admits_only_the_configured_token(tmp_path: Path) -> None:
    (tmp_path / "tokens.sqlite3").write_bytes(b"x" * 5000)
    with opened(tmp_path / "tokens.sqlite3") as store:
        credentials = Credentials(ONE, store)
        assert credentials.find(ONE)
        with pytest.raises(TokensUnreadable):
            credentials.find("kl_" + "a" * 43)
        with pytest.raises(TokensUnreadable):
            Credentials(None, store).any()


def test_tunnel_token_has_tier_free_and_other_tokens_stay_valid(tmp_path: Path) -> None:
    run_token = generate_secret()
    with opened(tmp_path / "tokens.sqlite3") as store:
        clear = store.new("phone", Tier.FREE, None)
        credentials = Credentials(ONE, store, run_token)
        assert credentials.find(run_token) == Token("KEYLIKE_TUNNEL", Tier.FREE, 0.0)
        found = [credentials.find(sent) for sent in (ONE, clear)]
        assert [token.name if token else None for token in found] == ["KEYLIKE_API_KEY", "phone"]
        assert [token.name for token in store.tokens()] == ["phone"]
    assert (
        Credentials(None, None, run_token).any() and Credentials(None, None).find(run_token) is None
    )
    (tmp_path / "tokens.sqlite3").write_bytes(b"no tokens in here" * 1000)
    with opened(tmp_path / "tokens.sqlite3") as store:
        assert Credentials(None, store, run_token).find(run_token) is not None, (
            "an unreadable token file must not affect the token of the tunnel"
        )
