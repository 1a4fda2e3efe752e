"""What is sent as a credential: the settings' one token, or one of the store's, and nothing else."""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keylike.access.credentials import Credentials
from keylike.access.tokens import Tier, Token, TokensUnreadable, new_clear
from tests.access.stores import NOW, Clock, opened

ONE = "one-token-of-the-settings"


def test_the_one_token_is_an_admins() -> None:
    found = Credentials(ONE, None).find(ONE)
    assert found == Token("KEYLIKE_API_KEY", Tier.ADMIN, 0.0)
    assert Credentials(ONE, None).any()


def test_the_store_is_asked_for_what_is_not_that(tmp_path: Path) -> None:
    with opened(tmp_path / "tokens.sqlite3") as store:
        clear = store.new("phone", Tier.FREE, None)
        assert Credentials(ONE, store).find(clear) == Token("phone", Tier.FREE, NOW)
        assert Credentials(None, store).find(clear) == Token("phone", Tier.FREE, NOW, last_used=NOW)
        assert Credentials(None, store).find(ONE) is None
        assert Credentials(ONE, store).find("kl_" + "a" * 43) is None


@pytest.mark.parametrize("one", [None, ""])
def test_no_token_is_not_an_empty_token(one: str | None) -> None:
    credentials = Credentials(one, None)
    assert [credentials.find(sent) for sent in ("", " ", "\0", "None")] == [None] * 4
    assert not credentials.any()


@given(one=st.text(st.characters(), max_size=6), sent=st.text(st.characters(), max_size=6))
def test_only_the_same_string_passes(one: str, sent: str) -> None:
    assert (Credentials(one, None).find(sent) is not None) == (one == sent != "")


def test_comparisons_take_the_same_time_whatever_is_sent(
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
    # Once each with the one token, and the last with the store's; digests, so that lengths do not tell either.
    assert len(compared) == len(sent) + 1
    assert all(len(value) == 32 for pair in compared for value in pair)


def test_any_token_is_one_that_would_pass(tmp_path: Path) -> None:
    clock = Clock()
    with opened(tmp_path / "tokens.sqlite3", clock) as store:
        credentials = Credentials(None, store)
        assert not credentials.any()
        store.new("guest", Tier.FREE, 60)
        assert credentials.any()
        clock.now += 60
        assert not credentials.any()
        assert Credentials(ONE, store).any()


def test_a_store_that_cannot_be_read_lets_the_one_token_in_alone(tmp_path: Path) -> None:
    (tmp_path / "tokens.sqlite3").write_bytes(b"x" * 5000)
    with opened(tmp_path / "tokens.sqlite3") as store:
        credentials = Credentials(ONE, store)
        assert credentials.find(ONE)
        with pytest.raises(TokensUnreadable):
            credentials.find("kl_" + "a" * 43)
        with pytest.raises(TokensUnreadable):
            Credentials(None, store).any()


def test_the_token_of_a_run_is_a_free_one_that_passes_beside_all_others(tmp_path: Path) -> None:
    once = new_clear()
    with opened(tmp_path / "tokens.sqlite3") as store:
        clear = store.new("phone", Tier.FREE, None)
        credentials = Credentials(ONE, store, once)
        assert credentials.find(once) == Token("KEYLIKE_TUNNEL", Tier.FREE, 0.0)
        found = [credentials.find(sent) for sent in (ONE, clear)]
        assert [token.name if token else None for token in found] == ["KEYLIKE_API_KEY", "phone"]
        assert [token.name for token in store.tokens()] == ["phone"]
    assert Credentials(None, None, once).any() and Credentials(None, None).find(once) is None
    (tmp_path / "tokens.sqlite3").write_bytes(b"no tokens in here" * 1000)
    with opened(tmp_path / "tokens.sqlite3") as store:
        assert Credentials(None, store, once).find(once) is not None, (
            "whatever is wrong with the store"
        )
