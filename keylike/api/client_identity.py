"""Client identity: the token of a request, whether it is local, and a name for rate limits."""

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

# Headers that proxies and tunnels add. All that begin with X-Forwarded count as well.
_PROXY_HEADERS = frozenset(
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
# Values of Sec-Fetch-Site for requests that no page of another site caused.
_SAME_SITE = ("none", "same-origin")
# Providers assign IPv6 networks of this prefix length or shorter to one customer.
_IPV6_NETWORK = 64


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """The sender of a request.

    Attributes:
        token: The token, or None without a valid one.
        own: True for a program on the server's own machine that sends for itself.
        name: Digest of the token's name or of the address. Replicas with the same salt agree on it.
    """

    token: Token | None
    own: bool
    name: str


def identify(request: Request, credentials: Credentials, salt: bytes) -> ClientIdentity:
    """Return the identity of a request's client.

    Args:
        request: The request.
        credentials: Finds the token.
        salt: Key of the name's digest, at most 64 bytes.

    Raises:
        TokensUnreadable: The tokens cannot be read.
    """
    sent = sent_token(request)
    token = credentials.find(sent) if sent else None
    name = _digest(f"token {token.name}", salt) if token else address_name(request, salt)
    return ClientIdentity(token, is_own(request), name)


def sent_token(request: Request) -> str:
    """Return the token that the request carries, or ""."""
    return request.headers.get("X-API-Key") or _bearer(request.headers.get("Authorization", ""))


def address_name(request: Request, salt: bytes) -> str:
    """Return the digest of the client's address."""
    return _digest(f"address {_network(request.remote_addr or '')}", salt)


def is_own(request: Request) -> bool:
    """Return True for a program on this machine; the address comes from the socket, not a header.

    Three kinds of request arrive from this machine but were caused elsewhere:

    - A proxy or tunnel here forwards remote clients. Its headers show that. A configured proxy
      counts as one without them, since Connection can make some proxies drop their own headers.
    - A page of another site in a browser here sends Origin or Sec-Fetch-Site.
    - A page whose own host name resolves to this machine (DNS rebinding) sends that name in Host.
    """
    if request.environ.get(PROXIED) or any(
        _is_proxy_header(name.lower()) for name, _ in request.headers
    ):
        return False
    if request.headers.get("Sec-Fetch-Site", "none") not in _SAME_SITE:
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


def _is_proxy_header(header: str) -> bool:
    return header in _PROXY_HEADERS or header.startswith("x-forwarded")


def _is_local_name(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return is_local_host(name)


def _digest(name: str, salt: bytes) -> str:
    return hashlib.blake2b(name.encode(errors="replace"), key=salt, digest_size=12).hexdigest()


def _network(address: str) -> str:
    """Return an IPv4 address as it is, and the network of an IPv6 address.

    All text that is no address counts as one client: a proxy that passes X-Forwarded-For through
    lets its clients choose it.
    """
    found = parse_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, _IPV6_NETWORK), strict=False))
    return "unknown" if found is None else str(found)


def _bearer(header: str) -> str:
    scheme, _, credential = header.partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""
