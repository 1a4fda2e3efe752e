"""Tests of rate limits by address and by token, with controlled clocks and real stores."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from limits.strategies import MovingWindowRateLimiter
from pydantic import SecretStr
from werkzeug.test import TestResponse

from keylike.access.store import TokenStore
from keylike.access.tokens import Tier
from keylike.service import Load, Service
from keylike.settings import Settings
from tests.contract import check_described, check_failure
from tests.redis_server import RedisServer
from tools.fuzzing.forms import form
from tools.plain_pictures import plain

REMOTE = {"REMOTE_ADDR": "203.0.113.7"}


class Replica:
    """An application with rate limits and a clock that the test sets."""

    def __init__(self, settings: Settings, model: Load, **changes: Any) -> None:
        self.now = 1000.0
        changed = settings.model_copy(
            update={"limit_address": "3 per minute; 5 per hour", "policy": "open", **changes}
        )
        self.service = Service(changed, load=model, clock=lambda: self.now)
        self.service.load()
        self.client: FlaskClient = self.service.app.test_client()

    def post(
        self, path: str = "/predict", *, address: dict[str, str] = REMOTE, **more: Any
    ) -> TestResponse:
        """Post a photo from a remote address."""
        return self.client.post(
            path, **{"data": plain(), "content_type": "image/jpeg", "environ_base": address, **more}
        )

    def statuses(self, count: int, **more: Any) -> list[int]:
        """Post several photos and return their statuses."""
        return [self.post(**more).status_code for _ in range(count)]


@pytest.fixture
def replica(settings: Settings, model: Load) -> Replica:
    """Return an application with limits in memory."""
    return Replica(settings, model)


def test_fourth_photo_in_a_minute_is_refused(replica: Replica) -> None:
    assert replica.statuses(3) == [200, 200, 200]
    refused = replica.post()
    check_failure(replica.client, refused, 429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 61
    replica.now += 60.5
    assert replica.statuses(2) == [200, 200]
    # This is the sixth photo, and the limit is five per hour.
    assert replica.statuses(1) == [429]
    replica.now += 3601
    assert replica.statuses(4) == [200, 200, 200, 429]


def test_limit_uses_a_moving_window(replica: Replica) -> None:
    assert replica.statuses(1) == [200]
    replica.now += 40
    assert replica.statuses(3) == [200, 200, 429]
    replica.now += 21
    assert replica.statuses(2) == [200, 429]


def test_response_headers_show_the_remaining_limit(replica: Replica) -> None:
    responses = [replica.post().headers for _ in range(4)]
    assert [headers["X-RateLimit-Limit"] for headers in responses] == ["3"] * 4
    assert [headers["X-RateLimit-Remaining"] for headers in responses] == ["2", "1", "0", "0"]
    assert all(headers["X-RateLimit-Reset"].isdigit() for headers in responses)
    assert ["Retry-After" in headers for headers in responses] == [False, False, False, True]
    assert not any("X-RateLimit-After" in headers for headers in responses)


def test_limit_counts_all_photo_routes_together_but_no_other_routes(
    replica: Replica,
) -> None:
    assert [
        replica.post(path).status_code
        for path in ("/", "/v1/predict", "/v1/classify/image", "/predict/cached")
    ] == [200, 200, 200, 429]
    assert replica.post("/v1/predict/batch").status_code == 429
    for path in (
        "/health",
        "/health/live",
        "/health/ready",
        "/",
        "/docs",
        "/openapi.json",
        "/web/docs.js",
        "/nothing",
        "/v1/health",
    ):
        answers = [replica.client.get(path, environ_base=REMOTE, buffered=True) for _ in range(8)]
        assert {answer.status_code for answer in answers} <= {200, 404}
        assert not any("X-RateLimit-Limit" in answer.headers for answer in answers)
    preflight = {"Origin": "https://app.example.org", "Access-Control-Request-Method": "POST"}
    assert (
        replica.client.options("/predict", headers=preflight, environ_base=REMOTE).status_code
        == 200
    )


def test_limit_counts_refused_photos(replica: Replica) -> None:
    assert replica.statuses(4, data=b"no picture") == [415, 415, 415, 429]


def test_limit_is_per_address_and_per_ipv6_network(replica: Replica) -> None:
    assert replica.statuses(4) == [200, 200, 200, 429]
    assert replica.statuses(1, address={"REMOTE_ADDR": "203.0.113.8"}) == [200]
    neighbours = [{"REMOTE_ADDR": f"2001:db8:1:2::{host:x}"} for host in range(4)]
    assert [replica.post(address=address).status_code for address in neighbours] == [
        200,
        200,
        200,
        429,
    ]
    assert replica.statuses(1, address={"REMOTE_ADDR": "2001:db8:1:3::1"}) == [200]


@pytest.mark.parametrize(
    "header",
    ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-API-Key", "Authorization", "User-Agent"],
)
def test_limit_ignores_headers_that_claim_another_address(replica: Replica, header: str) -> None:
    sent = [
        replica.post(headers={header: f"Bearer 198.51.100.{number}"}).status_code
        for number in range(4)
    ]
    assert sent == [200, 200, 200, 429]


def test_limit_exempts_local_programs_but_not_tunnel_clients(
    replica: Replica,
) -> None:
    here = {"REMOTE_ADDR": "127.0.0.1"}
    assert set(replica.statuses(8, address=here)) == {200}
    assert replica.statuses(4, address=here, headers={"X-Forwarded-For": "203.0.113.7"}) == [
        200,
        200,
        200,
        429,
    ]


def test_limit_behind_a_configured_proxy_uses_the_last_forwarded_address(
    settings: Settings, model: Load
) -> None:
    replica = Replica(settings, model, proxy="127.0.0.1, 10.0.0.0/8")
    for peer in ("127.0.0.1", "10.1.2.3"):
        for client in (f"203.0.113.{len(peer)}", f"198.51.100.{len(peer)}"):
            sent = [
                replica.post(
                    address={"REMOTE_ADDR": peer},
                    headers={"X-Forwarded-For": f"192.0.2.{number}, {client}"},
                ).status_code
                for number in range(4)
            ]
            assert sent == [200, 200, 200, 429]
    forged = [
        replica.post(headers={"X-Forwarded-For": f"192.0.2.{number}"}).status_code
        for number in range(4)
    ]
    assert forged == [200, 200, 200, 429]


def test_clients_with_garbage_as_forwarded_address_share_a_limit(
    settings: Settings, model: Load
) -> None:
    """Send garbage in X-Forwarded-For, which nginx passes on if it does not set this header."""
    replica = Replica(settings, model, proxy="127.0.0.1")
    sent = [
        replica.post(
            address={"REMOTE_ADDR": "127.0.0.1"}, headers={"X-Forwarded-For": garbage}
        ).status_code
        for garbage in ("garbage", "unknown", "203.0.113.1.2", "_hidden-7")
    ]
    assert sent == [200, 200, 200, 429]


@pytest.mark.parametrize(
    ("limited", "address", "last"),
    [("on", "127.0.0.1", 429), ("off", "203.0.113.7", 200), ("auto", "127.0.0.1", 200)],
)
def test_limits_setting_decides_which_clients_are_limited(
    settings: Settings, model: Load, limited: str, address: str, last: int
) -> None:
    replica = Replica(settings, model, limits=limited)
    assert replica.statuses(4, address={"REMOTE_ADDR": address}) == [200, 200, 200, last]


def test_limit_depends_on_the_tier_of_the_token(
    settings: Settings, model: Load, tmp_path: Path
) -> None:
    replica = Replica(
        settings,
        model,
        tokens=tmp_path / "tokens.sqlite3",
        limit_free="4 per minute",
        limit_premium="5 per minute",
    )
    store = TokenStore(tmp_path / "tokens.sqlite3", lambda: 0.0)
    tokens = {tier: store.new(tier.value, tier, None) for tier in Tier}
    for tier, allowed in ((Tier.FREE, 4), (Tier.PREMIUM, 5), (Tier.ADMIN, 8)):
        sent = replica.statuses(8, headers={"X-API-Key": tokens[tier]})
        assert sent == [200] * allowed + [429] * (8 - allowed)
    # A token has the same count from every address, and it does not use up an address's limit.
    assert replica.statuses(
        1, headers={"X-API-Key": tokens[Tier.FREE]}, address={"REMOTE_ADDR": "198.51.100.1"}
    ) == [429]
    assert replica.statuses(1) == [200]


def test_limit_counts_each_photo_of_a_batch(replica: Replica) -> None:
    two = form(("image", plain()), ("image", plain()))
    first = replica.post("/predict/batch", **two)
    assert (first.status_code, first.headers["X-RateLimit-Remaining"]) == (200, "1")
    second = replica.post("/predict/batch", **two)
    refused = check_described(replica.client, second, "/predict/batch", "post")
    assert (second.status_code, refused["code"]) == (429, "rate_limited")
    assert 1 <= int(second.headers["Retry-After"]) <= 61


def test_concurrent_batches_share_the_remaining_limit(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    barrier, real = threading.Barrier(2), MovingWindowRateLimiter.test

    def test(*args: Any, **more: Any) -> bool:
        found = real(*args, **more)
        barrier.wait(20)
        return found

    monkeypatch.setattr(MovingWindowRateLimiter, "test", test)
    with ThreadPoolExecutor(2) as clients:
        two = [("image", plain()), ("image", plain())]
        sent = [clients.submit(replica.post, "/predict/batch", **form(*two)) for _ in range(2)]
    assert sorted(each.result().status_code for each in sent) == [200, 429]


def test_full_queue_returns_the_retry_after_of_the_queue(settings: Settings, model: Load) -> None:
    replica = Replica(settings, model, queue=1, threads=1)
    with replica.service.slots.admit(2):
        refused = replica.post()
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")


def test_replicas_share_a_limit_in_redis_and_keep_limiting_without_it(
    settings: Settings, model: Load, frail_redis: RedisServer
) -> None:
    frail_redis.start()
    shared = {"redis_url": SecretStr(frail_redis.url), "cache_ttl_s": 0}
    first, second = Replica(settings, model, **shared), Replica(settings, model, **shared)
    assert first.statuses(2) + second.statuses(2) == [200, 200, 200, 429]
    with frail_redis.client() as redis:
        names = [name.decode() for name in redis.scan_iter()]
    assert names and not any("203.0.113" in name for name in names)
    frail_redis.kill()
    for replica in (first, second):
        assert replica.statuses(4) == [200, 200, 200, 429]
        assert replica.statuses(2, address={"REMOTE_ADDR": "198.51.100.1"}) == [200, 200]


def test_default_limits_are_10_per_minute_50_per_hour_and_200_per_day(settings: Settings) -> None:
    assert settings.limit_address == "10 per minute; 50 per hour; 200 per day"
    assert settings.limits == "auto"
