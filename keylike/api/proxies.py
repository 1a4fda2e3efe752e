"""Reverse proxies: client addresses, and the path under which a proxy publishes the server.

Only configured proxies are trusted.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix

from keylike.http_server.listener import UNIX_ADDRESS

# WSGI environment key that is True for requests from a configured proxy.
PROXIED = "keylike.proxied"

# Pattern of a valid path prefix, without a trailing slash. A browser could take other texts, such
# as "//elsewhere", for the address of another host.
PREFIX = re.compile(r"(/[A-Za-z0-9_~.-]+)+")
_PREFIX_KEY = "HTTP_X_FORWARDED_PREFIX"

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class NamedProxies:
    """WSGI middleware that uses the X-Forwarded headers of configured proxies and tunnel agents.

    REMOTE_ADDR becomes the last address of X-Forwarded-For, which the proxy added. The scheme comes
    from X-Forwarded-Proto. X-Forwarded-Prefix is the path under which a proxy publishes the server
    and which it has removed from the request's path. From a tunnel agent this header is ignored,
    because the agent forwards the one that the client sent.

    Args:
        application: The WSGI application.
        networks: Addresses and networks of proxies, and "unix" for proxies that connect to a unix
            socket. Their requests never count as local.
        agents: Addresses of tunnel agents. Local programs use the same addresses.

    Raises:
        ValueError: An entry is neither an address nor a network.
    """

    def __init__(
        self, application: Application, networks: Iterable[str], agents: Iterable[str] = ()
    ) -> None:
        named = list(networks)
        self._unix = UNIX_ADDRESS in named
        self._networks = [ipaddress.ip_network(each) for each in named if each != UNIX_ADDRESS]
        self._agents = [ipaddress.ip_network(network) for network in agents]
        self._direct = application
        self._agent = ProxyFix(application, x_for=1, x_proto=1)
        self._proxy = ProxyFix(application, x_for=1, x_proto=1, x_prefix=1)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        address = environ.get("REMOTE_ADDR", "")
        if _is_in(self._networks, address) or (self._unix and address == UNIX_ADDRESS):
            environ[PROXIED] = True
            if not PREFIX.fullmatch(environ.get(_PREFIX_KEY, "").rstrip("/")):
                environ.pop(_PREFIX_KEY, None)
            return self._proxy(environ, start_response)
        if _is_in(self._agents, address):
            return self._agent(environ, start_response)
        return self._direct(environ, start_response)


class PathPrefix:
    """WSGI middleware for a server that is published under a path, such as /keys.

    Proxies may remove the path before they forward a request, or keep it. Both work.

    Args:
        application: The WSGI application.
        prefix: The path, with a leading slash and without a trailing one.
    """

    def __init__(self, application: Application, prefix: str) -> None:
        self._application = application
        self._prefix = prefix

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        path = environ.get("PATH_INFO", "")
        if path == self._prefix and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            # The page uses relative addresses, which only work with the slash at the end.
            location = [("Location", f"{self._prefix}/"), ("Content-Length", "0")]
            start_response("308 Permanent Redirect", location)
            return []
        if path == self._prefix or path.startswith(f"{self._prefix}/"):
            environ["PATH_INFO"] = path.removeprefix(self._prefix) or "/"
        environ["SCRIPT_NAME"] = self._prefix
        return self._application(environ, start_response)


def _is_in(networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network], address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    found = getattr(found, "ipv4_mapped", None) or found
    return any(found in network for network in networks)
