"""Keep a tunnel open while the server runs, with the ngrok agent and the watchdog."""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.request import Request, urlopen

from keylike.tunnel.agents import NgrokLauncher
from keylike.tunnel.ngrok_binary import find_ngrok
from keylike.tunnel.watchdog import Listener, Tunnel, TunnelStatus

# Path and headers of the requests to the public address. This route never needs a token. The first
# header prevents ngrok's warning page for browsers.
_ALIVE_PATH = "/health/live"
_HEADERS = {"ngrok-skip-browser-warning": "1", "User-Agent": "keylike-watchdog"}
# Largest number of bytes of a response that are read.
_MAX_BYTES = 1000
_NO_PROXY = ("no_proxy", "NO_PROXY")


@dataclass(frozen=True, slots=True)
class TunnelOptions:
    """Options of a tunnel.

    Attributes:
        local: address of the server on this machine.
        token: authtoken of the ngrok account, or None.
        domain: domain of the ngrok account; None for an address that ngrok chooses.
    """

    local: str
    token: str | None = field(repr=False)
    domain: str | None = None


@contextmanager
def open_tunnel(
    options: TunnelOptions, listener: Listener, status: TunnelStatus, stopped: threading.Event
) -> Iterator[None]:
    """Keep a tunnel open until the end of the `with` block.

    The watchdog stops when `stopped` is set, and at the latest at the end of the block.
    """
    launcher = NgrokLauncher(find_ngrok, options.token, options.local, options.domain)
    tunnel = Tunnel(
        launcher,
        is_alive,
        options.local,
        listener,
        status,
        wait=stopped.wait,
        clock=time.monotonic,
        random=random.random,
    )
    with _no_proxy_for_localhost():
        tunnel.start()
        try:
            yield
        finally:
            stopped.set()
            tunnel.close()


def is_alive(address: str, timeout_s: float = 5.0) -> bool:
    """Send one request to `address`, and return True if Keylike answers.

    Connecting and each read may take `timeout_s` seconds.
    """
    try:
        request = Request(address + _ALIVE_PATH, headers=_HEADERS)
        with urlopen(request, timeout=timeout_s) as response:
            body = json.loads(response.read(_MAX_BYTES))
    except (OSError, http.client.HTTPException, ValueError):
        return False
    return isinstance(body, dict) and body.get("status") == "alive"


@contextmanager
def _no_proxy_for_localhost() -> Iterator[None]:
    """Exclude this machine from HTTP proxies until the end of the `with` block.

    Otherwise pyngrok would send its requests to the local agent through a configured proxy.
    """
    before = {name: os.environ.get(name) for name in _NO_PROXY}
    for name, value in before.items():
        os.environ[name] = ",".join([*filter(None, [value]), "127.0.0.1", "localhost"])
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
