"""Who asks: the token they send, whether they are a program on the server's own machine, and a name to tell callers apart by."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Request

from keylike.access.addresses import is_local_host, is_loopback, parse_address
from keylike.access.credentials import Credentials
from keylike.access.tokens import Token
from keylike.api.proxies import PROXIED

# Proxies and tunnels name in these whom they speak for, or how they were asked. All that begin with X-Forwarded count as well.
_FOR_OTHERS = frozenset(
    {
        "forwarded",
        "via",
        "x-real-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "true-client-ip",
        "cf-connecting-ip",
    }
)
# What a browser says of requests that no other site's page had it make.
_FIRST_HAND = ("none", "same-origin")
# Whoever has an IPv6 address has at least so many bits of others.
_IPV6_NETWORK = 64


@dataclass(frozen=True, slots=True)
class Visitor:
    """`token` is None without a valid one. `own`: a program on the server's machine, which speaks for itself. `name` is a digest of the
    token's name or of the address, and the same in all replicas that have the same salt."""

    token: Token | None
    own: bool
    name: str


def visitor(request: Request, credentials: Credentials, salt: bytes) -> Visitor:
    """Who sends a request; `salt`, of 64 bytes at most, is in every name. Raises TokensUnreadable where the tokens cannot be read."""
    sent = request.headers.get("X-API-Key") or _bearer(request.headers.get("Authorization", ""))
    token = credentials.find(sent) if sent else None
    name = f"token {token.name}" if token else f"address {_network(request.remote_addr or '')}"
    return Visitor(
        token,
        _is_own(request),
        hashlib.blake2b(name.encode(errors="replace"), key=salt, digest_size=12).hexdigest(),
    )


def _is_own(request: Request) -> bool:
    """Where the connection comes from is the socket's own word: no header lets anybody in.

    A proxy or tunnel on this machine brings callers from everywhere, and so does a page of another site in a browser here: it says so in
    Origin or Sec-Fetch-Site, or has had its own name point to this machine, which Host then tells. A proxy that is named is one whatever
    it says: some can be asked to leave out its own headers, by naming them in Connection.
    """
    if request.environ.get(PROXIED) or any(
        _for_others(name.lower()) for name, _ in request.headers
    ):
        return False
    if request.headers.get("Sec-Fetch-Site", "none") not in _FIRST_HAND:
        return False
    address, host, origin = (
        request.environ.get("REMOTE_ADDR", ""),
        request.host,
        request.headers.get("Origin"),
    )
    return (
        is_loopback(address)
        and _is_local_name(host)
        and origin in (None, f"{request.scheme}://{host}")
    )


def _for_others(header: str) -> bool:
    return header in _FOR_OTHERS or header.startswith("x-forwarded")


def _is_local_name(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return is_local_host(name)


def _network(address: str) -> str:
    """An IPv4 address, or the network of an IPv6 one."""
    found = parse_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, _IPV6_NETWORK), strict=False))
    return address if found is None else str(found)


def _bearer(header: str) -> str:
    scheme, _, credential = header.partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""
