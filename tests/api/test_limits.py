"""How much may be asked for: by address and by token, told on every answer, with clocks and stores of our own."""

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

FAR = {"REMOTE_ADDR": "203.0.113.7"}


class Replica:
    """An application that counts; `now` is the time by which it does."""

    def __init__(self, settings: Settings, model: Load, **changes: Any) -> None:
        self.now = 1000.0
        changed = settings.model_copy(
            update={"limit_address": "3 per minute; 5 per hour", "policy": "open", **changes}
        )
        self.service = Service(changed, load=model, clock=lambda: self.now)
        self.service.load()
        self.client: FlaskClient = self.service.app.test_client()

    def post(
        self, path: str = "/predict", *, far: dict[str, str] = FAR, **more: Any
    ) -> TestResponse:
        """Sends a photo from elsewhere."""
        return self.client.post(
            path, **{"data": plain(), "content_type": "image/jpeg", "environ_base": far, **more}
        )

    def statuses(self, count: int, **more: Any) -> list[int]:
        """What becomes of so many."""
        return [self.post(**more).status_code for _ in range(count)]


@pytest.fixture
def replica(settings: Settings, model: Load) -> Replica:
    """One with limits in memory."""
    return Replica(settings, model)


def test_the_fourth_in_a_minute_is_too_many(replica: Replica) -> None:
    assert replica.statuses(3) == [200, 200, 200]
    refused = replica.post()
    check_failure(replica.client, refused, 429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 61
    replica.now += 60.5
    assert replica.statuses(2) == [200, 200]
    # The hour is used up now.
    assert replica.statuses(1) == [429]
    replica.now += 3601
    assert replica.statuses(4) == [200, 200, 200, 429]


def test_the_window_moves(replica: Replica) -> None:
    assert replica.statuses(1) == [200]
    replica.now += 40
    assert replica.statuses(3) == [200, 200, 429]
    replica.now += 21
    assert replica.statuses(2) == [200, 429]


def test_answers_say_how_much_is_left(replica: Replica) -> None:
    told = [replica.post().headers for _ in range(4)]
    assert [headers["X-RateLimit-Limit"] for headers in told] == ["3"] * 4
    assert [headers["X-RateLimit-Remaining"] for headers in told] == ["2", "1", "0", "0"]
    assert all(headers["X-RateLimit-Reset"].isdigit() for headers in told)
    assert ["Retry-After" in headers for headers in told] == [False, False, False, True]
    assert not any("X-RateLimit-After" in headers for headers in told)


def test_all_ways_to_send_a_photo_are_counted_together_and_nothing_else_is(
    replica: Replica,
) -> None:
    assert [
        replica.post(path).status_code for path in ("/", "/predict", "/classify/image", "/predict")
    ] == [200, 200, 200, 429]
    for path in (
        "/health",
        "/health/live",
        "/health/ready",
        "/",
        "/docs",
        "/openapi.json",
        "/web/docs.js",
        "/nothing",
    ):
        answers = [replica.client.get(path, environ_base=FAR, buffered=True) for _ in range(8)]
        assert {answer.status_code for answer in answers} <= {200, 404}
        assert not any("X-RateLimit-Limit" in answer.headers for answer in answers)
    asked = {"Origin": "https://app.example.org", "Access-Control-Request-Method": "POST"}
    assert replica.client.options("/predict", headers=asked, environ_base=FAR).status_code == 200


def test_a_refused_photo_counts_too(replica: Replica) -> None:
    assert replica.statuses(4, data=b"no picture") == [415, 415, 415, 429]


def test_addresses_are_counted_each_for_itself_and_ipv6_by_network(replica: Replica) -> None:
    assert replica.statuses(4) == [200, 200, 200, 429]
    assert replica.statuses(1, far={"REMOTE_ADDR": "203.0.113.8"}) == [200]
    neighbours = [{"REMOTE_ADDR": f"2001:db8:1:2::{host:x}"} for host in range(4)]
    assert [replica.post(far=address).status_code for address in neighbours] == [200, 200, 200, 429]
    assert replica.statuses(1, far={"REMOTE_ADDR": "2001:db8:1:3::1"}) == [200]


@pytest.mark.parametrize(
    "header",
    ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-API-Key", "Authorization", "User-Agent"],
)
def test_no_header_makes_somebody_else_of_a_caller(replica: Replica, header: str) -> None:
    sent = [
        replica.post(headers={header: f"Bearer 198.51.100.{number}"}).status_code
        for number in range(4)
    ]
    assert sent == [200, 200, 200, 429]


def test_programs_on_this_machine_are_not_limited_but_what_a_tunnel_brings_is(
    replica: Replica,
) -> None:
    here = {"REMOTE_ADDR": "127.0.0.1"}
    assert set(replica.statuses(8, far=here)) == {200}
    assert replica.statuses(4, far=here, headers={"X-Forwarded-For": "203.0.113.7"}) == [
        200,
        200,
        200,
        429,
    ]


def test_a_named_proxy_is_believed_and_only_the_address_that_it_wrote_itself(
    settings: Settings, model: Load
) -> None:
    replica = Replica(settings, model, proxy="127.0.0.1, 10.0.0.0/8")
    for peer in ("127.0.0.1", "10.1.2.3"):
        for client in (f"203.0.113.{len(peer)}", f"198.51.100.{len(peer)}"):
            sent = [
                replica.post(
                    far={"REMOTE_ADDR": peer},
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


@pytest.mark.parametrize(
    ("limited", "address", "last"),
    [("on", "127.0.0.1", 429), ("off", "203.0.113.7", 200), ("auto", "127.0.0.1", 200)],
)
def test_who_is_limited_is_a_setting(
    settings: Settings, model: Load, limited: str, address: str, last: int
) -> None:
    replica = Replica(settings, model, limits=limited)
    assert replica.statuses(4, far={"REMOTE_ADDR": address}) == [200, 200, 200, last]


def test_tiers_raise_the_limits(settings: Settings, model: Load, tmp_path: Path) -> None:
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
    # A token is counted, not where it is sent from; and its use leaves the address its own.
    assert replica.statuses(
        1, headers={"X-API-Key": tokens[Tier.FREE]}, far={"REMOTE_ADDR": "198.51.100.1"}
    ) == [429]
    assert replica.statuses(1) == [200]


def test_a_batch_counts_its_photos(replica: Replica) -> None:
    two = form(("image", plain()), ("image", plain()))
    first = replica.post("/predict/batch", **two)
    assert (first.status_code, first.headers["X-RateLimit-Remaining"]) == (200, "1")
    second = replica.post("/predict/batch", **two)
    refused = check_described(replica.client, second, "/predict/batch", "post")
    assert (second.status_code, refused["code"]) == (429, "rate_limited")
    assert 1 <= int(second.headers["Retry-After"]) <= 61


def test_batches_at_the_same_time_share_what_is_left(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    both, real = threading.Barrier(2), MovingWindowRateLimiter.test

    def test(*asked: Any, **more: Any) -> bool:
        found = real(*asked, **more)
        both.wait(20)
        return found

    monkeypatch.setattr(MovingWindowRateLimiter, "test", test)
    with ThreadPoolExecutor(2) as callers:
        two = [("image", plain()), ("image", plain())]
        sent = [callers.submit(replica.post, "/predict/batch", **form(*two)) for _ in range(2)]
    assert sorted(each.result().status_code for each in sent) == [200, 429]


def test_a_full_queue_says_its_own_time_to_come_back(settings: Settings, model: Load) -> None:
    replica = Replica(settings, model, queue=1, threads=1)
    with replica.service.slots.admit(2):
        refused = replica.post()
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")


def test_two_replicas_share_a_limit_in_redis_and_go_on_without(
    settings: Settings, model: Load, frail_redis: RedisServer
) -> None:
    frail_redis.start()
    shared = {"redis_url": SecretStr(frail_redis.url), "cache_ttl_s": 0}
    first, second = Replica(settings, model, **shared), Replica(settings, model, **shared)
    assert first.statuses(2) + second.statuses(2) == [200, 200, 200, 429]
    with frail_redis.client() as redis:
        kept = [name.decode() for name in redis.scan_iter()]
    assert kept and not any("203.0.113" in name for name in kept)
    frail_redis.kill()
    for replica in (first, second):
        assert replica.statuses(4) == [200, 200, 200, 429]
        assert replica.statuses(2, far={"REMOTE_ADDR": "198.51.100.1"}) == [200, 200]


def test_settings_of_the_house_are_the_guides(settings: Settings) -> None:
    assert settings.limit_address == "10 per minute; 50 per hour; 200 per day"
    assert settings.limits == "auto"
