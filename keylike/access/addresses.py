"""Parse client addresses, and recognize addresses that only this machine can reach."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

# Some proxies append the port of the connection to the client's address. It is removed, because it
# differs between the requests of one client.
_WITH_PORT = re.compile(r"\[(?P<ipv6>[^]]*)\](?::\d+)?|(?P<ipv4>[\d.]+):\d+")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@lru_cache(4096)
def parse_address(text: str) -> Address | None:
    """Return the address in `text`, or None if there is none.

    A port after the address is ignored. An IPv4 address mapped into IPv6 is returned as IPv4.
    """
    port = _WITH_PORT.fullmatch(text)
    try:
        found = ipaddress.ip_address(port["ipv6"] or port["ipv4"] or "" if port else text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def is_loopback(address: str) -> bool:
    """Return True if `address` is an IP address that only this machine can reach."""
    found = parse_address(address)
    return found is not None and found.is_loopback


def is_local_host(host: str) -> bool:
    """Return True if `host` is "localhost" or a loopback address."""
    return host == "localhost" or is_loopback(host)
