"""Rate limits: the number of photos per period, counted by token or by address."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, Response, g, request
from flask_limiter import HeaderNames, Limiter, RequestLimit
from limits import RateLimitItemPerMinute

from keylike.access.failed_attempts import MAX_FAILURES
from keylike.access.policy import Need
from keylike.access.quotas import Quotas
from keylike.api.authentication import need_of
from keylike.errors import RateLimited

# The library would set Retry-After on every counted response, even on 200 and 503. It is configured
# to write to this header instead, and `move_retry_after` copies the value for status 429 only.
_LIBRARY_RETRY_AFTER = "X-RateLimit-After"
_COUNTED = (Need.PHOTOS, Need.PREMIUM)
# Timeouts of the Redis store, in seconds. They are short because each request waits for Redis.
_REDIS = {"socket_timeout": 0.25, "socket_connect_timeout": 0.25}

_FAILURES = RateLimitItemPerMinute(MAX_FAILURES, namespace="keylike")

Charge = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Functions of the rate limits of an application.

    Attributes:
        charge: Counts the photos of a request after its first. It raises RateLimited if there are
            too many.
        count_failure: Counts a failed authentication of a client in Redis. It returns False if
            there are too many, and True if Redis is not configured or does not answer.
        degraded: Returns True while counts are kept in memory because Redis does not answer in
            time.
    """

    charge: Charge
    count_failure: Callable[[str], bool]
    degraded: Callable[[], bool]


def install(
    app: Flask,
    quotas: Quotas,
    *,
    limited: str,
    redis_url: str | None,
    clock: Callable[[], float],
    wall: Callable[[], float],
) -> RateLimits:
    """Count each photo request of `app`, and refuse requests beyond the limit.

    Authentication must be installed before this.

    Args:
        app: The application.
        quotas: The limits of each tier.
        limited: "on", "off", or "auto" to exempt programs on this machine.
        redis_url: Address of the Redis server that keeps the counts. They are kept in memory if
            this is None or Redis does not answer.
        clock: Returns monotonic seconds, for the counts in memory.
        wall: Returns seconds since 1970, for the time of reset.
    """

    def is_exempt() -> bool:
        counted = need_of(request.endpoint) in _COUNTED and request.method != "OPTIONS"
        return not counted or limited == "off" or (limited == "auto" and g.client.own)

    # Flask runs after_request functions in reverse order, so this one runs after the library's.
    @app.after_request
    def move_retry_after(response: Response) -> Response:
        after = response.headers.pop(_LIBRARY_RETRY_AFTER, None)
        if response.status_code == 429 and after is not None:
            response.headers.setdefault("Retry-After", str(max(int(after), 1)))
        return response

    store = (
        {"storage_uri": _storage_uri(redis_url), "storage_options": dict(_REDIS)}
        if redis_url
        else {"storage_uri": "keylike-memory://"}
    )
    limiter = Limiter(
        lambda: g.client.name,
        application_limits=[lambda: quotas.of(g.client.token)],
        strategy="moving-window",
        headers_enabled=True,
        header_name_mapping={HeaderNames.RETRY_AFTER: _LIBRARY_RETRY_AFTER},
        in_memory_fallback_enabled=redis_url is not None,
        key_prefix="keylike",
        **({"storage_options": {"clock": clock, "wall": wall}} | store),
    )
    limiter.request_filter(is_exempt)
    limiter.init_app(app)
    primary = limiter.limiter

    failures = limiter.storage.base_exceptions
    store_errors = failures if isinstance(failures, tuple) else (failures,)

    def too_many(window: RequestLimit) -> RateLimited:
        after_s = max(int(window.reset_at - wall()), 1)
        return RateLimited(
            f"Each photo counts, and the limit is {window.limit}.", retry_after_s=after_s
        )

    def charge(photos: int) -> None:
        if not photos:
            return
        # If Redis fails here, these photos are not counted. The library switches to memory with the
        # next request.
        with contextlib.suppress(*store_errors):
            for window in limiter.current_limits:
                if not limiter.limiter.test(window.limit, *window.request_args, cost=photos):
                    raise too_many(window)
            for window in limiter.current_limits:
                # Another request may have been counted since the test.
                if not limiter.limiter.hit(window.limit, *window.request_args, cost=photos):
                    raise too_many(window)

    def count_failure(client: str) -> bool:
        if redis_url is None or limiter.limiter is not primary:
            return True
        try:
            return primary.hit(_FAILURES, "failed authentications", client)
        except store_errors:
            return True

    return RateLimits(charge, count_failure, degraded=lambda: limiter.limiter is not primary)


def _storage_uri(redis_url: str) -> str:
    """Return the address in the form that the library expects: redis+unix:// for unix://.

    The library would show an address that it does not know, with its password, in an error.
    """
    return f"redis+{redis_url}" if redis_url.startswith("unix://") else redis_url
