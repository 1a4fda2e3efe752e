"""Client addresses behind reverse proxies: only configured proxies are trusted."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix

# WSGI environment key, set for requests over a connection of a configured proxy.
PROXIED = "keylike.proxied"

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class NamedProxies:
    """WSGI middleware that takes client address and scheme from configured proxies.

    REMOTE_ADDR becomes the last address of X-Forwarded-For, which the proxy wrote itself. The
    scheme comes from X-Forwarded-Proto.

    Args:
        application: The WSGI application.
        networks: Addresses and networks of proxies. Their requests are never local.
        agents: Addresses of tunnel agents. Local programs use the same addresses.

    Raises:
        ValueError: An entry is neither an address nor a network.
    """

    def __init__(
        self, application: Application, networks: Iterable[str], agents: Iterable[str] = ()
    ) -> None:
        self._networks = [ipaddress.ip_network(network) for network in networks]
        self._agents = [ipaddress.ip_network(network) for network in agents]
        self._direct = application
        self._forwarded = ProxyFix(application, x_for=1, x_proto=1)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        address = environ.get("REMOTE_ADDR", "")
        if _is_in(self._networks, address):
            environ[PROXIED] = True
        elif not _is_in(self._agents, address):
            return self._direct(environ, start_response)
        return self._forwarded(environ, start_response)


def _is_in(networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network], address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    found = getattr(found, "ipv4_mapped", None) or found
    return any(found in network for network in networks)
