"""Tests of requests with wrong tokens: they are counted, and later refused with status 429."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from keylike.access import failed_attempts
from keylike.access.failed_attempts import MAX_FAILURES
from keylike.service import Load, create_app
from keylike.settings import Settings
from tests.redis_server import RedisServer
from tools.plain_pictures import plain

TOKEN = "s3cret-token-of-the-settings"
ATTACKER = {"REMOTE_ADDR": "203.0.113.7"}
OTHER = {"REMOTE_ADDR": "203.0.113.8"}


@pytest.fixture(autouse=True)
def without_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn off the delay after a wrong token."""
    monkeypatch.setattr(failed_attempts, "_DELAY_S", 0.0)


class GuardedApp:
    """An application whose photo routes require a token."""

    def __init__(self, settings: Settings, model: Load, **changes: Any) -> None:
        changes = {"api_key": SecretStr(TOKEN), "policy": "predictions", **changes}
        self.client = create_app(settings.model_copy(update=changes), load=model).test_client()

    def post(self, token: str | None, address: dict[str, str] = ATTACKER, **headers: str) -> Any:
        """Post a photo with a token, or without one if it is None."""
        sent = {"X-API-Key": token} if token is not None else {}
        return self.client.post(
            "/predict",
            data=plain(),
            content_type="image/jpeg",
            headers={**sent, **headers},
            environ_base=address,
        )

    def wrong(self, count: int, **more: Any) -> set[int]:
        """Post photos with different wrong tokens and return the set of statuses."""
        return {self.post(f"guess-{number}", **more).status_code for number in range(count)}


@pytest.fixture
def guarded(settings: Settings, model: Load) -> GuardedApp:
    """Return an application whose photo routes require a token."""
    return GuardedApp(settings, model)


def test_wrong_tokens_are_limited_with_retry_after(guarded: GuardedApp) -> None:
    assert guarded.wrong(MAX_FAILURES + 1) == {401}
    refused = guarded.post("one more")
    assert (refused.status_code, refused.get_json()["code"]) == (429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    # From the same address even the right token is refused, so a right guess is not revealed.
    assert guarded.post(TOKEN).status_code == 429
    assert guarded.post(TOKEN, OTHER).status_code == 200


def test_wrong_tokens_do_not_block_a_token_that_was_used_before(guarded: GuardedApp) -> None:
    assert guarded.post(TOKEN).status_code == 200
    guarded.wrong(MAX_FAILURES + 1)
    assert guarded.post("one more").status_code == 429
    assert guarded.post(TOKEN).status_code == 200


def test_wrong_tokens_do_not_block_requests_without_a_token(guarded: GuardedApp) -> None:
    guarded.wrong(MAX_FAILURES + 1)
    assert guarded.post(None).status_code == 401
    health = guarded.client.get("/health", headers={"X-API-Key": "x"}, environ_base=ATTACKER)
    assert health.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"X-Forwarded-For": "198.51.100.9"}, {"Authorization": "Bearer other"}, {"X-Real-IP": "::1"}],
)
def test_limit_of_wrong_tokens_ignores_headers_that_claim_an_address(
    guarded: GuardedApp, headers: dict[str, str]
) -> None:
    guarded.wrong(MAX_FAILURES + 1)
    assert guarded.post("one more", ATTACKER, **headers).status_code == 429


def test_requests_without_a_token_are_not_failed_attempts(guarded: GuardedApp) -> None:
    assert {guarded.post(None).status_code for _ in range(MAX_FAILURES + 5)} == {401}
    assert guarded.post("guess").status_code == 401


@pytest.mark.parametrize(("limited", "last"), [("auto", 401), ("off", 401), ("on", 429)])
def test_wrong_tokens_of_local_programs_are_limited_only_if_limits_are_on(
    settings: Settings, model: Load, limited: str, last: int
) -> None:
    guarded = GuardedApp(settings, model, limits=limited)
    here = {"REMOTE_ADDR": "127.0.0.1"}
    guarded.wrong(MAX_FAILURES + 1, address=here)
    assert guarded.post("one more", here).status_code == last


def test_wrong_tokens_are_counted_in_metrics(guarded: GuardedApp) -> None:
    guarded.wrong(MAX_FAILURES + 1)
    guarded.post("one more")
    text = guarded.client.get("/metrics", headers={"X-API-Key": TOKEN}).text
    assert f'keylike_failed_authentications_total{{outcome="wrong"}} {MAX_FAILURES + 1}.0' in text
    assert 'keylike_failed_authentications_total{outcome="limited"} 1.0' in text


def test_replicas_share_the_count_of_wrong_tokens(
    settings: Settings, model: Load, tmp_path: Path
) -> None:
    redis = RedisServer(tmp_path)
    redis.start()
    try:
        one, other = (GuardedApp(settings, model, redis_url=SecretStr(redis.url)) for _ in range(2))
        assert one.wrong(MAX_FAILURES) == {401}
        assert other.post("guess").status_code == 401
        assert other.post("one more").status_code == 429
    finally:
        redis.kill()
    assert one.post("without Redis").status_code == 401
