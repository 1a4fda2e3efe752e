"""Whom a request comes from where a reverse proxy stands in between: the word of those that are named is taken, and of no other."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix

# In a request's WSGI environment, where it came over a connection of a named proxy.
PROXIED = "keylike.proxied"

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class NamedProxies:
    """A WSGI application before `application`: for connections from `networks`, REMOTE_ADDR is the last address of X-Forwarded-For, which
    the proxy itself wrote, and the scheme that of X-Forwarded-Proto. So it is for those from `agents`, which are programs of this
    machine that share its address with others. Raises ValueError for what is no address and no network."""

    def __init__(
        self, application: Application, networks: Iterable[str], agents: Iterable[str] = ()
    ) -> None:
        self._networks = [ipaddress.ip_network(network) for network in networks]
        self._agents = [ipaddress.ip_network(network) for network in agents]
        self._plain, self._believing = application, ProxyFix(application, x_for=1, x_proto=1)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answers a request."""
        address = environ.get("REMOTE_ADDR", "")
        if _is_in(self._networks, address):
            environ[PROXIED] = True
        elif not _is_in(self._agents, address):
            return self._plain(environ, start_response)
        return self._believing(environ, start_response)


def _is_in(networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network], address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    found = getattr(found, "ipv4_mapped", None) or found
    return any(found in network for network in networks)
