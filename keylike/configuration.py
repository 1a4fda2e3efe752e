"""Values that the components of a service derive from the settings."""

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

# Threads that refuse further requests, and answer for health, while all others wait for photos.
_SPARE_THREADS = 8
# Time to send the answer of a request that finished at its deadline.
_ANSWER_S = 2.0
_SECRET_BYTES = 32


def policy_of(settings: Settings) -> Policy:
    """Return which requests need a token."""
    local = is_local_host(settings.host) and not settings.tunnel
    return chosen_policy(settings.policy, loopback=local, one_token=settings.token is not None)


def picture_limits(settings: Settings) -> Limits:
    """Return the largest picture that is accepted."""
    return Limits(settings.max_bytes, settings.max_pixels, settings.max_memory)


def chosen_reader(settings: Settings) -> Reader:
    """Return the reader that the settings name, loaded but not warmed. Raise ModelError."""
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

    Four pictures of the largest size; with the defaults, 32 of 1.25 MB each, five times a phone's
    capture. Never more than the server reads of a body that it refuses.
    """
    return min(settings.max_bytes * 4 + 100_000, MAX_DISCARDED_BYTES)


def binding(settings: Settings) -> Binding:
    """Return where and how to listen: one thread per admitted request, and a few spare ones."""
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
    """Return what the application needs; `salt` hides the addresses of clients."""
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
    """Return the secret of all replicas: from the settings, or from a file next to the tokens.

    Replicas that share a Redis need the same secret to know a client by the same name. Without
    KEYLIKE_SECRET and KEYLIKE_API_KEY, a random one is kept in a file that replicas on one machine
    share. If that file cannot be used, limits count per replica, and the log says so.
    """
    chosen = settings.secret or settings.api_key
    if chosen:
        return chosen.get_secret_value().encode()
    path = settings.tokens.parent / "secret"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            # Written whole before it gets its name: another replica may start at the same time.
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
    """Return the entries of a setting that holds several, separated by commas."""
    return [entry.strip() for entry in setting.split(",") if entry.strip()]


def _tunnel_agents(settings: Settings) -> list[str]:
    """Return the networks of the tunnel's agent, which always names its client.

    It connects from this machine, as all local programs do.
    """
    return ["127.0.0.0/8", "::1"] if settings.tunnel else []


def _with_prefix(paths: frozenset[str], settings: Settings) -> frozenset[str]:
    """Return the paths as the socket server sees them: plain, and below the configured prefix."""
    return paths | {f"{settings.prefix or ''}{path}" for path in paths}
