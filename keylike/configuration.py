"""Derive the values that the components of the service need from the settings."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from tempfile import NamedTemporaryFile

from structlog.stdlib import BoundLogger

from keylike.access.addresses import is_local_host
from keylike.access.policy import Policy, chosen_policy
from keylike.api.application import BATCH_PATHS, HEALTH_PATHS, HttpOptions
from keylike.http_server.listener import ConnectionLimits
from keylike.http_server.server import MAX_DISCARDED_BYTES, Binding
from keylike.inference import Limits
from keylike.readers import loading
from keylike.readers.contract import Reader
from keylike.resources import WEB
from keylike.settings import Settings

# Number of additional threads. They refuse further requests and answer health checks while all
# other threads wait for photos.
_SPARE_THREADS = 8
# Seconds that a shutdown adds to the deadline of a request, to send its response.
_ANSWER_S = 2.0
# Length in bytes of a random secret.
_SECRET_BYTES = 32


def policy_of(settings: Settings) -> Policy:
    """Return which requests need a token."""
    local = is_local_host(settings.host) and not settings.tunnel
    return chosen_policy(settings.policy, loopback=local, one_token=settings.token is not None)


def picture_limits(settings: Settings) -> Limits:
    """Return the limits on the size of a picture."""
    return Limits(settings.max_bytes, settings.max_pixels, settings.max_memory)


def chosen_reader(settings: Settings) -> Reader:
    """Return the reader of the model in the settings, loaded but not warmed up.

    Raises:
        ModelError: The model cannot be loaded.
    """
    embedded = settings.models / "caliper"
    choices = loading.Choices(
        settings.models,
        settings.base_model,
        settings.backend,
        settings.precision,
        settings.max_batch,
        embedded,
    )
    if settings.agree:
        return loading.load_agreeing(settings.model_folder, embedded, choices)
    return loading.load(settings.model_folder, choices)


def body_limit(settings: Settings) -> int:
    """Return the largest request body in bytes: the largest picture as base64 with line breaks."""
    return settings.max_bytes * 3 // 2 + 100_000


def batch_limit(settings: Settings) -> int:
    """Return the largest body of POST /predict/batch in bytes.

    It is enough for four pictures of the largest size: with the defaults 40 MB, or 1.25 MB for each
    of 32 photos. It is never more than the server reads of a body that it refuses.
    """
    return min(settings.max_bytes * 4 + 100_000, MAX_DISCARDED_BYTES)


def binding(settings: Settings) -> Binding:
    """Return the address and the limits of the HTTP server.

    It has one thread for each request that may be admitted, and _SPARE_THREADS more.
    """
    in_engine = max(settings.threads, settings.processes, settings.max_batch)
    return Binding(
        settings.host,
        settings.port,
        settings.queue + in_engine + _SPARE_THREADS,
        body_limit(settings),
        settings.max_bodies,
        dict.fromkeys(_with_prefix(BATCH_PATHS, settings), batch_limit(settings)),
        settings.deadline_s + _ANSWER_S,
        ConnectionLimits(
            settings.connections_per_address,
            [*split(settings.proxy or ""), *_tunnel_agents(settings)],
            _with_prefix(HEALTH_PATHS, settings),
        ),
    )


def http_options(settings: Settings, salt: bytes) -> HttpOptions:
    """Return the settings of the Flask application; `salt` is the key that hides addresses."""
    return HttpOptions(
        body_limit=body_limit(settings),
        batch_limit=batch_limit(settings),
        deadline_s=settings.deadline_s,
        origins=split(settings.origins),
        proxies=split(settings.proxy or ""),
        prefix=settings.prefix or "",
        tunnel_agents=_tunnel_agents(settings),
        limited=settings.limits,
        redis_url=settings.redis,
        salt=salt,
        web=WEB,
    )


def shared_secret(settings: Settings, log: BoundLogger) -> bytes:
    """Return the secret that all replicas share: from the settings, or from a file.

    Replicas that share a Redis need the same secret, so that they use the same name for a client.
    Without KEYLIKE_SECRET and KEYLIKE_API_KEY, a random secret is written to a file next to the
    tokens, which the replicas on one machine share. If that file cannot be used, each replica
    counts limits separately, and a warning is logged.
    """
    chosen = settings.secret or settings.api_key
    if chosen:
        return chosen.get_secret_value().encode()
    path = settings.tokens.parent / "secret"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            # The file gets its name only when it is complete, because another replica may start at
            # the same time.
            with NamedTemporaryFile(dir=path.parent, prefix=".secret-") as file:
                file.write(secrets.token_bytes(_SECRET_BYTES))
                file.flush()
                with suppress(FileExistsError):
                    os.link(file.name, path)
        secret = path.read_bytes()
    except OSError as error:
        log.warning("secret_not_shared", error=type(error).__name__)
        return secrets.token_bytes(_SECRET_BYTES)
    if len(secret) != _SECRET_BYTES:
        log.warning("secret_not_shared", error="damaged")
        return secrets.token_bytes(_SECRET_BYTES)
    return secret


def split(setting: str) -> list[str]:
    """Return the entries of a setting whose value is a list separated by commas."""
    return [entry.strip() for entry in setting.split(",") if entry.strip()]


def _tunnel_agents(settings: Settings) -> list[str]:
    """Return the networks from which the tunnel's agent connects; empty without a tunnel.

    The agent runs on this machine, so these are loopback addresses. It always names the remote
    client in X-Forwarded-For.
    """
    return ["127.0.0.0/8", "::1"] if settings.tunnel else []


def _with_prefix(paths: frozenset[str], settings: Settings) -> frozenset[str]:
    """Return each path without and with the configured prefix. The socket server sees both."""
    return paths | {f"{settings.prefix or ''}{path}" for path in paths}
