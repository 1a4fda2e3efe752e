"""The settings of the server, read from the environment and from .env."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from keylike.observability.processors import find_processors
from keylike.resources import MODELS, state_folder
from keylike.secret_strength import LEAST_BITS, estimate_bits
from keylike.setting_mistakes import PREFIX, bad_value, is_service_link, unknown_names

# Longest path of a unix socket, in bytes: the size of sockaddr_un.sun_path on macOS, which is the
# smallest of all systems, without its final zero.
_LONGEST_SOCKET = 103
# Smallest length of a token or secret, in characters.
_SHORTEST_TOKEN = 16
# Pattern of an origin. It excludes * inside an origin, because flask-cors would use it as a regular
# expression: https://*.example.org would also match https://xexample.org.evil.example. Schemes
# other than http and https are for apps with a built-in browser, such as capacitor://localhost.
_ORIGIN = re.compile(
    r"[a-z][a-z0-9+.-]*://([a-z0-9][a-z0-9._-]*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.IGNORECASE
)


def _cores() -> int:
    """Return the number of cores that this process may use, at most 64.

    More threads than cores would only take more memory.
    """
    return min(64, find_processors().usable)


class SettingsError(ValueError):
    """An error for unknown settings or bad values. `mistakes` contains one line per mistake."""

    def __init__(self, *mistakes: str) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


class Settings(BaseSettings):
    """The values of the variables KEYLIKE_*, MODEL_PATH and NGROK_TOKEN.

    A variable in the environment takes precedence over the file .env. An empty value counts as
    unset.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True
    )

    host: str = Field(
        "127.0.0.1",
        description="Address to listen on; 0.0.0.0 opens the server to the network, "
        "unix:/path listens on a unix socket.",
    )
    port: int = Field(5000, ge=0, le=65535, description="Port to listen on; 0 chooses a free one.")
    threads: int = Field(
        default_factory=_cores,
        ge=1,
        le=64,
        description="Photos decoded, and read by the embedded reader, at the same time.",
    )
    processes: int = Field(
        0,
        ge=0,
        le=64,
        description="Worker processes of the embedded reader, in place of threads (Linux); 0 uses threads.",
    )
    queue: int = Field(
        64,
        ge=1,
        le=256,
        description="Photos that may wait for the model; further ones are refused at once.",
    )
    deadline_s: float = Field(
        30.0,
        gt=0,
        le=600,
        description="Seconds that a request may take; X-Request-Timeout may ask for less.",
    )
    models: Path = Field(MODELS, description="Folder that contains one folder per model.")
    logs: Path = Field(
        default_factory=lambda: state_folder() / "logs",
        description="Folder of the log file api.log.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Lowest level that is logged."
    )
    max_bytes: int = Field(
        10_000_000, ge=1_000, le=100_000_000, description="Largest picture accepted, in bytes."
    )
    max_pixels: int = Field(
        50_000_000, ge=1_000, le=89_000_000, description="Largest picture accepted, in pixels."
    )
    max_memory: int = Field(
        250_000_000,
        ge=1_000_000,
        description="Memory that decoding one picture may take, in bytes.",
    )
    max_bodies: int = Field(
        300_000_000,
        ge=1_000_000,
        description="Bytes of request bodies held at the same time; further large ones are refused at once.",
    )
    connections_per_address: int = Field(
        128,
        ge=1,
        le=512,
        description="Open connections per address; trusted proxies and the tunnel may have more.",
    )
    api_key: SecretStr | None = Field(
        None, description="One token for everything (X-API-Key, or Authorization: Bearer)."
    )
    tokens: Path = Field(
        default_factory=lambda: state_folder() / "tokens.sqlite3",
        description="File with the hashed tokens of the command `tokens`.",
    )
    policy: Literal["auto", "open", "predictions", "all"] = Field(
        "auto",
        description="Requests that need a token; auto: predictions, or none if only this machine can connect.",
    )
    proxy: str | None = Field(
        None,
        description="Addresses or networks of trusted reverse proxies (X-Forwarded-For).",
    )
    prefix: str | None = Field(
        None,
        description="Path under which a reverse proxy publishes the server, such as /keys.",
    )
    origins: str = Field(
        "*",
        description="Origins of web pages that may send requests, separated by commas; * allows all.",
    )
    limits: Literal["auto", "on", "off"] = Field(
        "auto", description="Rate limits; auto: for all clients except programs on this machine."
    )
    limit_address: str = Field(
        "10 per minute; 50 per hour; 200 per day",
        description="Photos per address without a token.",
    )
    limit_free: str = Field(
        "30 per minute; 300 per hour; 2000 per day",
        description="Photos per token of tier free.",
    )
    limit_premium: str = Field(
        "120 per minute; 3000 per hour; 20000 per day",
        description="Photos per token of tier premium.",
    )
    model_path: Path | None = Field(
        None,
        validation_alias="MODEL_PATH",
        description="Model folder; by default caliper in `models`.",
    )
    base_model: Path | None = Field(
        None,
        description="Folder of a LoRA model's base, in place of the one in its manifest.",
    )
    backend: Literal["auto", "transformers", "unsloth"] = Field(
        "auto",
        description="Library that runs Gemma; auto: Unsloth if it is installed and there is a GPU.",
    )
    precision: Literal["auto", "bf16", "nf4", "fp32"] = Field(
        "auto", description="Format of Gemma's weights in memory; auto: the best that fits."
    )
    max_batch: int = Field(
        4, ge=1, le=64, description="Largest number of photos in one of Gemma's batches."
    )
    cache_ttl_s: int = Field(
        600,
        ge=0,
        le=86_400,
        description="Seconds that a reading is cached; 0 disables the cache.",
    )
    cache_size: int = Field(
        1000,
        ge=1,
        le=1_000_000,
        description="Largest number of cached readings; the oldest is evicted.",
    )
    redis_url: SecretStr | None = Field(
        None,
        description="Redis for the cache and the limits of several replicas: redis://… or unix://…",
    )
    secret: SecretStr | None = Field(
        None,
        description="Secret shared by replicas that use one Redis; by default one is made and kept.",
    )
    otel_endpoint: SecretStr | None = Field(
        None, description="OpenTelemetry collector that receives traces over HTTP: http://…:4318"
    )
    strict: bool = Field(
        False,
        description="Exit if the model cannot be loaded; otherwise the embedded reader answers.",
    )
    agree: bool = Field(
        False,
        description="Read with the embedded reader too; agreement raises the confidence.",
    )
    tunnel: bool = Field(
        False,
        description="Open an ngrok tunnel, a public address for this server, as --tunnel does.",
    )
    ngrok_token: SecretStr | None = Field(
        None,
        validation_alias="NGROK_TOKEN",
        description="Token of the ngrok account.",
    )
    tunnel_domain: str | None = Field(
        None, description="Domain of that account; by default ngrok chooses one."
    )
    tunnel_open: bool = Field(
        False,
        description="Allow a tunnel although the policy is open, so that nobody needs a token.",
    )

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper_case(cls, level: object) -> object:
        return level.upper() if isinstance(level, str) else level

    @field_validator("processes")
    @classmethod
    def _linux_only(cls, count: int) -> int:
        if count and sys.platform != "linux":
            raise ValueError("worker processes need Linux; leave it out, or set it to 0")
        return count

    @field_validator("redis_url")
    @classmethod
    def _redis_address(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            from redis import Redis

            # Other libraries write redis+unix:// for the address of a unix socket.
            url = SecretStr(
                re.sub(r"(?i)\Aredis\+unix(?=://)", "unix", url.get_secret_value(), count=1)
            )
            try:
                # This checks the options in the address, but does not connect.
                Redis.from_url(url.get_secret_value()).connection_pool.make_connection()
                if url.get_secret_value().startswith("unix://") and not urlsplit(
                    url.get_secret_value()
                ).path.strip("/"):
                    raise ValueError("no path")
            except (ValueError, TypeError):
                raise ValueError(
                    "not an address of Redis, such as redis://127.0.0.1:6379/0 or unix:///run/redis.sock"
                ) from None
        return url

    @field_validator("api_key", "secret")
    @classmethod
    def _long_enough(cls, token: SecretStr | None) -> SecretStr | None:
        clear = token.get_secret_value() if token else None
        # Other characters cannot be sent in an HTTP header.
        if clear is not None and (
            len(clear) < _SHORTEST_TOKEN or not clear.isascii() or not clear.isprintable()
        ):
            raise ValueError(
                f"must have {_SHORTEST_TOKEN} or more plain characters, such as the output of: "
                "openssl rand -hex 32"
            )
        if clear is not None and estimate_bits(clear) < LEAST_BITS:
            raise ValueError(
                "is too easy to guess: choose random characters, such as the output of: "
                "openssl rand -hex 32"
            )
        return token

    @field_validator("limit_address", "limit_free", "limit_premium")
    @classmethod
    def _valid_limits(cls, text: str) -> str:
        from limits import parse_many

        try:
            parse_many(text)
        except ValueError:
            raise ValueError('not limits, such as "10 per minute; 50 per hour"') from None
        return text

    @field_validator("proxy")
    @classmethod
    def _valid_networks(cls, text: str | None) -> str | None:
        try:
            for network in (text or "").split(","):
                if network.strip() not in ("", "unix"):
                    ipaddress.ip_network(network.strip())
        except ValueError:
            raise ValueError("not addresses or networks, such as 127.0.0.1, 10.0.0.0/8") from None
        return text

    @field_validator("host")
    @classmethod
    def _valid_socket(cls, host: str) -> str:
        path = host.removeprefix("unix:")
        if path != host and (not path.startswith("/") or len(path.encode()) > _LONGEST_SOCKET):
            raise ValueError(
                f"not the absolute path of a socket, at most {_LONGEST_SOCKET} bytes, "
                "such as unix:/run/keylike.sock"
            )
        return host

    @field_validator("prefix")
    @classmethod
    def _valid_prefix(cls, text: str | None) -> str | None:
        prefix = (text or "").strip("/")
        if prefix and not re.fullmatch(r"[A-Za-z0-9_~.-]+(/[A-Za-z0-9_~.-]+)*", prefix):
            raise ValueError("not a path, such as /keys")
        return f"/{prefix}" if prefix else None

    @field_validator("origins")
    @classmethod
    def _valid_origins(cls, text: str) -> str:
        for origin in (entry.strip() for entry in text.split(",")):
            if origin != "*" and not _is_origin(origin):
                raise ValueError("neither * nor origins, such as https://app.example.org")
        return text

    @field_validator("tunnel_domain")
    @classmethod
    def _valid_domain(cls, text: str | None) -> str | None:
        if text is not None and not re.fullmatch(
            r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", text.lower()
        ):
            raise ValueError("not a domain, such as keys.example.org")
        return text.lower() if text else text

    @field_validator("otel_endpoint")
    @classmethod
    def _http_address(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            parts = urlsplit(url.get_secret_value())
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("not an address of a collector, such as http://127.0.0.1:4318")
        return url

    @property
    def model_folder(self) -> Path:
        """Folder of the model to serve."""
        return self.model_path or self.models / "caliper"

    @property
    def redis(self) -> str | None:
        """Address of Redis in clear text, with its password, or None."""
        return self.redis_url.get_secret_value() if self.redis_url else None

    @property
    def token(self) -> str | None:
        """The API token in clear text, or None."""
        return self.api_key.get_secret_value() if self.api_key else None


def _is_origin(text: str) -> bool:
    if not _ORIGIN.fullmatch(text):
        return False
    try:
        # urlsplit raises ValueError if there are brackets around anything but an IPv6 address.
        return urlsplit(text).hostname is not None
    except ValueError:
        return False


def load_settings(env_file: Path = Path(".env"), **options: Any) -> Settings:
    """Return the settings.

    Args:
        env_file: file with settings that are not in the environment.
        options: values by field name, which take precedence over both.

    Raises:
        SettingsError: There are unknown names or bad values. The message lists all of them, but it
            shows no secret.
    """
    try:
        in_file = dotenv_values(env_file) if env_file.is_file() else {}
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{env_file} cannot be read: it must be a text file in UTF-8") from None
    names = [name for name, value in os.environ.items() if not is_service_link(name, value)]
    mistakes = [*unknown_names(dict.fromkeys([*names, *in_file]), _FIELDS)]
    try:
        settings = Settings(_env_file=env_file, **options)
    except ValidationError as error:
        for each in error.errors(include_url=False):
            name = _name(str(each["loc"][0]))
            mistakes.append(bad_value(name, _FIELDS[name], each))
    if mistakes:
        raise SettingsError(*mistakes)
    return settings


def _name(field: str) -> str:
    """Return the environment variable of a field. An error names a field by its alias, if any."""
    alias = (
        Settings.model_fields[field].validation_alias if field in Settings.model_fields else field
    )
    return str(alias or PREFIX + field.upper())


_FIELDS = {_name(field): info for field, info in Settings.model_fields.items()}
