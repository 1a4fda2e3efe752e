"""Every setting of the server, once, typed, with a sentence each; read from the environment and from .env."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import sys
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from keylike.resources import COMMAND, MODELS, state_folder

_PREFIX = "KEYLIKE_"
_SHORTEST_TOKEN = 16
# No pattern, nor anything that flask-cors would take for one: https://*.example.org would let in https://xexample.org.evil.example.
_ORIGIN = re.compile(r"https?://[a-z0-9][a-z0-9._-]*(:[0-9]{1,5})?")


def _cores() -> int:
    """Those that this process may use; more photos at a time than that would only take more memory."""
    return min(
        64,
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
    )


class SettingsError(ValueError):
    """A setting that is unknown or has a bad value; the message is one line for whoever starts the server."""


class Settings(BaseSettings):
    """Values from KEYLIKE_* (and MODEL_PATH, NGROK_TOKEN); the environment goes before .env, an empty value counts as unset."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_ignore_empty=True, extra="ignore", frozen=True
    )

    host: str = Field(
        "127.0.0.1", description="Address to listen on; 0.0.0.0 opens the server to the network."
    )
    port: int = Field(5000, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")
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
        description="Processes that decode and read in place of threads, where the embedded reader reads; 0: threads.",
    )
    queue: int = Field(
        64,
        ge=1,
        le=256,
        description="Photos that may wait for the model; what comes beyond them is refused at once.",
    )
    deadline_s: float = Field(
        30.0,
        gt=0,
        le=600,
        description="Seconds that a request may take; X-Request-Timeout may ask for less.",
    )
    models: Path = Field(MODELS, description="Folder that holds one folder a model.")
    logs: Path = Field(
        default_factory=lambda: state_folder() / "logs",
        description="Folder that api.log is written to.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least important line that is logged."
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
        description="Most memory that decoding one picture may take, in bytes.",
    )
    max_bodies: int = Field(
        300_000_000,
        ge=1_000_000,
        description="Most bytes of request bodies held at the same time; more large ones are refused at once.",
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
        description="What asks for a token; auto: predictions, but nothing where only this machine reaches the server.",
    )
    proxy: str | None = Field(
        None,
        description="Addresses or networks of reverse proxies whose X-Forwarded-For is believed.",
    )
    origins: str = Field(
        "*",
        description="Origins of web pages that may ask, with commas between them; * is every page.",
    )
    limits: Literal["auto", "on", "off"] = Field(
        "auto", description="Who is limited; auto: all but programs on this machine."
    )
    limit_address: str = Field(
        "10 per minute; 50 per hour; 200 per day",
        description="Photos of an address that has no token.",
    )
    limit_free: str = Field(
        "30 per minute; 300 per hour; 2000 per day",
        description="Photos of a token of the tier free.",
    )
    limit_premium: str = Field(
        "120 per minute; 3000 per hour; 20000 per day",
        description="Photos of a token of the tier premium.",
    )
    model_path: Path | None = Field(
        None,
        validation_alias="MODEL_PATH",
        description="Model folder; otherwise caliper in `models`.",
    )
    base_model: Path | None = Field(
        None,
        description="Folder of the base of a LoRA model, in place of the one its manifest names.",
    )
    backend: Literal["auto", "transformers", "unsloth"] = Field(
        "auto", description="What runs Gemma; auto is Unsloth where a GPU has it."
    )
    precision: Literal["auto", "bf16", "nf4", "fp32"] = Field(
        "auto", description="How Gemma's weights are held; auto goes by memory."
    )
    max_batch: int = Field(4, ge=1, le=64, description="Most photos that Gemma reads in one go.")
    cache_ttl_s: int = Field(
        600,
        ge=0,
        le=86_400,
        description="Seconds that a reading is kept for the same photo; 0 keeps none.",
    )
    cache_size: int = Field(
        1000,
        ge=1,
        le=1_000_000,
        description="Most readings kept; where there is no room, the oldest goes.",
    )
    redis_url: SecretStr | None = Field(
        None, description="Redis that keeps them in place of memory, for many replicas: redis://…"
    )
    otel_endpoint: SecretStr | None = Field(
        None, description="OpenTelemetry collector that takes traces by HTTP: http://…:4318"
    )
    strict: bool = Field(
        False,
        description="A model that cannot be loaded stops the start; otherwise the embedded reader answers.",
    )
    agree: bool = Field(
        False,
        description="The embedded reader reads too, and confidence goes by whether both agree.",
    )
    tunnel: bool = Field(
        False,
        description="Opens an ngrok tunnel, a public address for this server, as the option --tunnel does.",
    )
    ngrok_token: SecretStr | None = Field(
        None,
        validation_alias="NGROK_TOKEN",
        description="Token of the ngrok account for the tunnel.",
    )
    tunnel_domain: str | None = Field(
        None, description="Domain of that account to take; otherwise the address is ngrok's choice."
    )
    tunnel_open: bool = Field(
        False,
        description="Lets a server whose policy is open, so that nobody needs a token, go public.",
    )

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_capitals(cls, level: object) -> object:
        return level.upper() if isinstance(level, str) else level

    @field_validator("processes")
    @classmethod
    def _where_they_can_be_bounded(cls, count: int) -> int:
        if count and sys.platform != "linux":
            raise ValueError(
                "processes that read are for Linux alone; leave it out, or set it to 0"
            )
        return count

    @field_validator("redis_url")
    @classmethod
    def _an_address(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            from redis import Redis

            try:
                Redis.from_url(
                    url.get_secret_value()
                ).connection_pool.make_connection()  # which connects to nothing yet
            except (ValueError, TypeError):
                raise ValueError(
                    "not an address of Redis, such as redis://127.0.0.1:6379/0"
                ) from None
        return url

    @field_validator("api_key")
    @classmethod
    def _hard_to_guess(cls, token: SecretStr | None) -> SecretStr | None:
        clear = token.get_secret_value() if token else None
        # Others never come through a header as they were sent.
        if clear is not None and (
            len(clear) < _SHORTEST_TOKEN or not clear.isascii() or not clear.isprintable()
        ):
            raise ValueError(
                f"a token of {_SHORTEST_TOKEN} or more plain characters; {COMMAND} tokens new makes good ones"
            )
        return token

    @field_validator("limit_address", "limit_free", "limit_premium")
    @classmethod
    def _limits_in_words(cls, text: str) -> str:
        from limits import parse_many

        try:
            parse_many(text)
        except ValueError:
            raise ValueError('not limits, such as "10 per minute; 50 per hour"') from None
        return text

    @field_validator("proxy")
    @classmethod
    def _networks(cls, text: str | None) -> str | None:
        try:
            for network in (text or "").split(","):
                if network.strip():
                    ipaddress.ip_network(network.strip())
        except ValueError:
            raise ValueError("not addresses or networks, such as 127.0.0.1, 10.0.0.0/8") from None
        return text

    @field_validator("origins")
    @classmethod
    def _web_origins(cls, text: str) -> str:
        for origin in (entry.strip() for entry in text.split(",")):
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError("not * and no origins, such as https://app.example.org")
        return text

    @field_validator("tunnel_domain")
    @classmethod
    def _a_domain(cls, text: str | None) -> str | None:
        if text is not None and not re.fullmatch(
            r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", text.lower()
        ):
            raise ValueError("not a domain, such as keys.example.org")
        return text.lower() if text else text

    @field_validator("otel_endpoint")
    @classmethod
    def _an_address_of_http(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            parts = urlsplit(url.get_secret_value())
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("not an address of a collector, such as http://127.0.0.1:4318")
        return url

    @property
    def model_folder(self) -> Path:
        """The folder of the model to serve."""
        return self.model_path or self.models / "caliper"

    @property
    def redis(self) -> str | None:
        """Redis' address in clear, password and all, or None."""
        return self.redis_url.get_secret_value() if self.redis_url else None

    @property
    def token(self) -> str | None:
        """The API token in clear, or None where none is asked for."""
        return self.api_key.get_secret_value() if self.api_key else None


def load_settings(env_file: Path = Path(".env")) -> Settings:
    """Reads the settings. Raises SettingsError for an unknown KEYLIKE_ name or a bad value, never showing a secret."""
    try:
        written = dotenv_values(env_file) if env_file.is_file() else {}
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{env_file} cannot be read: it must be a text file in UTF-8") from None
    _refuse_unknown([*os.environ, *written])
    try:
        return Settings(_env_file=env_file)
    except ValidationError as errors:
        first = errors.errors(include_url=False, include_input=False)[0]
        raise SettingsError(f"{_name(str(first['loc'][0]))}: {first['msg']}") from None


def _name(field: str) -> str:
    """The name in the environment of a field, or of an alias as errors give it."""
    alias = (
        Settings.model_fields[field].validation_alias if field in Settings.model_fields else field
    )
    return str(alias or _PREFIX + field.upper())


def _refuse_unknown(names: list[str]) -> None:
    known = [_name(field) for field in Settings.model_fields]
    for name in names:
        if name.upper().startswith(_PREFIX) and name.upper() not in known:
            # The shared prefix would make every name look like every other.
            ends = {one.removeprefix(_PREFIX): one for one in known}
            near = [
                ends[end]
                for end in difflib.get_close_matches(name.upper().removeprefix(_PREFIX), ends, n=1)
            ]
            hint = f" (did you mean {near[0]}?)" if near else f" (known: {', '.join(known)})"
            raise SettingsError(f"unknown setting {name}{hint}")
