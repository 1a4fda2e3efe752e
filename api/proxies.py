"""Whom a request comes from where a reverse proxy stands in between: the word of those that are named is taken, and of no other."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class NamedProxies:
    """A WSGI application before `application`: for connections from `networks`, REMOTE_ADDR is the last address of X-Forwarded-For, which
    the proxy itself wrote, and the scheme that of X-Forwarded-Proto. Raises ValueError for what is no address and no network."""

    def __init__(self, application: Application, networks: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(network) for network in networks]
        self._plain, self._believing = application, ProxyFix(application, x_for=1, x_proto=1)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answers a request."""
        if self._is_named(environ.get("REMOTE_ADDR", "")):
            return self._believing(environ, start_response)
        return self._plain(environ, start_response)

    def _is_named(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        found = getattr(found, "ipv4_mapped", None) or found
        return any(found in network for network in self._networks)
