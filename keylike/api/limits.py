"""How much may be asked for: photos in a time, by token or address; says so on every answer that counts, and 429 beyond."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from flask import Flask, Response, g, request
from flask_limiter import HeaderNames, Limiter, RequestLimit

from keylike.access.policy import Need
from keylike.access.quotas import Quotas
from keylike.api.authentication import need_of
from keylike.errors import RateLimited

# The library writes Retry-After on all that counts, 200 and 503 too: under a name of our own first, then where it belongs.
_AFTER = "X-RateLimit-After"
_COUNTED = (Need.PHOTOS, Need.PREMIUM)
# What the store in Redis is given, in seconds: whoever waits for it is a request.
_REDIS = {"socket_timeout": 0.25, "socket_connect_timeout": 0.25}

Charge = Callable[[int], None]


def install(
    app: Flask,
    quotas: Quotas,
    *,
    limited: str,
    redis_url: str | None,
    clock: Callable[[], float],
    wall: Callable[[], float],
) -> Charge:
    """Counts each request with a photo, once keylike.api.authentication has said who sends it. `limited` is "on", "off", or "auto" for all but programs on
    this machine. Hits are kept in Redis where `redis_url` names one, and here while it is away.

    Gives what counts the further photos of a request; that raises RateLimited where they are too many.
    """

    def is_free() -> bool:
        counted = need_of(request.endpoint) in _COUNTED and request.method != "OPTIONS"
        return not counted or limited == "off" or (limited == "auto" and g.visitor.own)

    # What is registered earlier runs later after a request: behind the library's own.
    @app.after_request
    def say_when(response: Response) -> Response:
        after = response.headers.pop(_AFTER, None)
        if response.status_code == 429 and after is not None:
            response.headers.setdefault("Retry-After", str(max(int(after), 1)))
        return response

    store = (
        {"storage_uri": redis_url, "storage_options": dict(_REDIS)}
        if redis_url
        else {"storage_uri": "keylike-memory://"}
    )
    limiter = Limiter(
        lambda: g.visitor.name,
        application_limits=[lambda: quotas.of(g.visitor.token)],
        strategy="moving-window",
        headers_enabled=True,
        header_name_mapping={HeaderNames.RETRY_AFTER: _AFTER},
        in_memory_fallback_enabled=redis_url is not None,
        key_prefix="keylike",
        **({"storage_options": {"clock": clock, "wall": wall}} | store),
    )
    limiter.request_filter(is_free)
    limiter.init_app(app)

    failures = limiter.storage.base_exceptions
    away = failures if isinstance(failures, tuple) else (failures,)

    def too_many(window: RequestLimit) -> RateLimited:
        after_s = max(int(window.reset_at - wall()), 1)
        return RateLimited(
            f"Each photo counts, and only {window.limit} may be sent.", retry_after_s=after_s
        )

    def charge(photos: int) -> None:
        if not photos:
            return
        # A Redis that goes away between two questions is found out by the next request.
        with contextlib.suppress(*away):
            for window in limiter.current_limits:
                if not limiter.limiter.test(window.limit, *window.request_args, cost=photos):
                    raise too_many(window)
            for window in limiter.current_limits:
                # Others may have been counted since.
                if not limiter.limiter.hit(window.limit, *window.request_args, cost=photos):
                    raise too_many(window)

    return charge
