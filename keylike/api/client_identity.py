"""Identify the client of a request: its token, a name for rate limits, and whether it is local."""

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

# Headers that proxies and tunnels add, in lower case. Headers that begin with X-Forwarded are
# treated in the same way.
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
# Values of the header Sec-Fetch-Site for requests that were not caused by a page of another site.
_NOT_CROSS_SITE = ("none", "same-origin")
# Prefix length, in bits, of the IPv6 networks that count as one client. Providers assign a network
# of this size or a larger one to each customer.
_IPV6_NETWORK = 64


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """The sender of a request.

    Attributes:
        token: The token, or None without a valid one.
        own: True if a program on the server's machine sent the request for itself, not for a remote
            client.
        name: Digest of the token's name or of the address. It is the same on all replicas with the
            same salt.
    """

    token: Token | None
    own: bool
    name: str


def identify(request: Request, credentials: Credentials, salt: bytes) -> ClientIdentity:
    """Return the identity of a request's client.

    Args:
        request: The request.
        credentials: The valid tokens.
        salt: Key of the name's digest, at most 64 bytes.

    Raises:
        TokensUnreadable: The tokens cannot be read.
    """
    sent = sent_token(request)
    token = credentials.find(sent) if sent else None
    name = _digest(f"token {token.name}", salt) if token else address_name(request, salt)
    return ClientIdentity(token, is_own(request), name)


def sent_token(request: Request) -> str:
    """Return the token in the headers of a request, or an empty string."""
    return request.headers.get("X-API-Key") or _bearer(request.headers.get("Authorization", ""))


def address_name(request: Request, salt: bytes) -> str:
    """Return the digest of the client's address."""
    return _digest(f"address {_network(request.remote_addr or '')}", salt)


def is_own(request: Request) -> bool:
    """Return True if a program on this machine sent the request for itself.

    The address of the connection must be a loopback address. Three kinds of request have one, but
    come from elsewhere and are recognized by their headers:

    - A proxy or tunnel on this machine forwards a remote client and adds headers. The requests of a
      configured proxy are never local, even without such headers, because a client can use the
      header Connection to make some proxies drop them.
    - A page of another site in a browser on this machine sends Origin or Sec-Fetch-Site.
    - A page whose host name resolves to this machine (DNS rebinding) sends that name in Host.
    """
    host = request.host
    return (
        _is_direct(request)
        and request.headers.get("Sec-Fetch-Site", "none") in _NOT_CROSS_SITE
        and _is_local_name(host)
        and request.headers.get("Origin") in (None, f"{request.scheme}://{host}")
    )


def is_rebound(request: Request) -> bool:
    """Return True if a browser on this machine sent the request for a page of another site.

    The page's host name resolves to this machine (DNS rebinding), so the browser takes the server
    for the page's own. CORS headers do not protect against this.
    """
    return _is_direct(request) and not _is_local_name(request.host)


def _is_direct(request: Request) -> bool:
    """Return True if a program on this machine connected to the server without a proxy."""
    return (
        is_loopback(request.environ.get("REMOTE_ADDR", ""))
        and not request.environ.get(PROXIED)
        and not any(_is_proxy_header(name.lower()) for name, _ in request.headers)
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
    """Return an IPv4 address as it is, the /64 network of an IPv6 address, or "unknown".

    All texts that are not an address count as one client, "unknown". A client behind a proxy that
    passes X-Forwarded-For through can choose the text, and could otherwise avoid the limits.
    """
    found = parse_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, _IPV6_NETWORK), strict=False))
    return "unknown" if found is None else str(found)


def _bearer(header: str) -> str:
    scheme, _, credential = header.partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""
