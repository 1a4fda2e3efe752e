"""Build objects from the settings for the commands: token store, reader and inference."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from keylike.settings import Settings, SettingsError, load_settings
from keylike.terminal.cli_errors import stop

if TYPE_CHECKING:
    from keylike.access.store import TokenStore
    from keylike.inference import Inference
    from keylike.readers.contract import Reader


def checked_settings(**options: Any) -> Settings:
    """Return the settings, with values from command line options.

    If a setting is wrong, print the mistakes and exit.
    """
    try:
        return load_settings(**options)
    except SettingsError as error:
        raise stop(*error.mistakes) from None


def token_store(settings: Settings | None = None) -> TokenStore:
    """Return the store of tokens. It reads the settings if none are passed."""
    from keylike.access.store import TokenStore

    return TokenStore((settings or checked_settings()).tokens, time.time)


def any_token(settings: Settings) -> bool | None:
    """Return True if a token is valid now, False if none is, None if their file is unreadable."""
    from keylike.access.credentials import Credentials
    from keylike.access.tokens import TokensUnreadable

    store = token_store(settings)
    try:
        return Credentials(settings.token, store).any()
    except TokensUnreadable:
        return None
    finally:
        store.close()


def why_not_public(settings: Settings) -> str | None:
    """Return why a tunnel may not be opened, or None."""
    from keylike.access.addresses import is_local_host
    from keylike.access.policy import tunnel_refusal

    if settings.host.startswith("unix:"):
        return "A tunnel needs a TCP port, and KEYLIKE_HOST is a unix socket."
    return tunnel_refusal(
        settings.policy, loopback=is_local_host(settings.host), open_allowed=settings.tunnel_open
    )


def loaded_reader(settings: Settings) -> Reader:
    """Return the reader of the model in the settings.

    If it cannot be loaded, print the reason and exit.
    """
    from keylike.configuration import chosen_reader
    from keylike.images.libraries import configure_image_libraries
    from keylike.readers.loading import why

    configure_image_libraries()
    try:
        return chosen_reader(settings)
    except Exception as error:
        raise stop(f"{settings.model_folder}: {why(error)}") from None


def local_inference(settings: Settings) -> Inference:
    """Return an `Inference` without HTTP and cache, which reads one photo at a time."""
    from keylike.configuration import picture_limits
    from keylike.inference import Inference

    return Inference.local(loaded_reader(settings), picture_limits(settings))
