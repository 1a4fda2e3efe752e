"""Whether Keylike answers at an address, asked as any program on the network would ask."""

from __future__ import annotations

import http.client
import json
from urllib.request import Request, urlopen

# The one route that asks for no token under any policy. ngrok shows browsers a page of its own first; the header says this is none.
_PATH = "/health/live"
_HEADERS = {"ngrok-skip-browser-warning": "1", "User-Agent": "keylike-watchdog"}
_MOST_BYTES = 1000


def answers(address: str, timeout_s: float = 5.0) -> bool:
    """Asks once; each step of it may take `timeout_s`."""
    try:
        with urlopen(Request(address + _PATH, headers=_HEADERS), timeout=timeout_s) as response:
            body = json.loads(response.read(_MOST_BYTES))
    except (OSError, http.client.HTTPException, ValueError):
        return False
    return isinstance(body, dict) and body.get("status") == "alive"
