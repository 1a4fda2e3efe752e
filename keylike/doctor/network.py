"""Check the address to listen on, the access to the server, and the requirements of a tunnel."""

from __future__ import annotations

import errno
import http.client
import json
import os
import re
import socket
import sys
from pathlib import Path

from keylike.access.addresses import is_local_host
from keylike.doctor.finding import Finding, State
from keylike.resources import COMMAND
from keylike.tunnel.faults import NO_PROGRAM, NO_TOKEN

_TIMEOUT_S = 1.0
# Port on which macOS 12 and later listen for AirPlay.
_AIRPLAY_PORT = 5000
AIRPLAY = (
    "macOS uses this port: turn off the AirPlay Receiver in System Settings, General, "
    "AirDrop & Handoff"
)
# Pattern of an ngrok authtoken: at least 20 letters, digits, "-" and "_", with at least one digit.
# Placeholders and truncated tokens do not match.
_NGROK = re.compile(r"(?=.*\d)[A-Za-z0-9_-]{20,}")


def used_by_macos(number: int) -> bool:
    """Return True if this is macOS and its AirPlay receiver uses the port by default."""
    return sys.platform == "darwin" and number == _AIRPLAY_PORT


def port(host: str, number: int) -> Finding:
    """Check that the server can listen on `host` and port `number`, by listening for a moment."""
    if host.startswith("unix:"):
        folder = os.path.dirname(host.removeprefix("unix:"))
        if os.access(folder, os.W_OK):
            return Finding("port", State.OK, f"{host} is a unix socket; no port is used")
        return Finding("port", State.FAULT, f"{host} cannot be created in {folder}")
    address = f"{host}:{number}"
    try:
        socket.create_server(
            (host, number), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        ).close()
    except OSError as error:
        return _taken(host, number) if error.errno == errno.EADDRINUSE else _refused(address, error)
    return Finding("port", State.OK, f"{address} is free" if number else f"any free port of {host}")


def access(host: str, *, needs_token: bool, tokens: bool | None, tunnel: bool = False) -> Finding:
    """Check that predictions are neither open to everyone nor impossible for lack of a token.

    Args:
        host: address to listen on.
        needs_token: True if predictions need a token.
        tokens: True if a valid token exists, None if the token file is unreadable.
        tunnel: True if a tunnel is configured, which creates a token if there is none.
    """
    local_only = is_local_host(host) and not tunnel
    who = (
        "only this machine can reach it"
        if local_only
        else "a tunnel makes it public"
        if tunnel
        else "other machines can reach it"
    )
    saw = f"{host}: {who}; predictions need {'a token' if needs_token else 'no token'}"
    if tokens is None:
        return Finding(
            "access",
            State.FAULT,
            f"{saw}; the token file cannot be read",
            "check KEYLIKE_TOKENS; no token is accepted until then",
        )
    if needs_token and not tokens and tunnel:
        return Finding("access", State.OK, f"{saw}, and one is created at startup")
    if needs_token and not tokens:
        return Finding(
            "access",
            State.WARN,
            f"{saw}, and none exists",
            f"create one: {COMMAND} tokens new NAME",
        )
    if needs_token or local_only:
        return Finding("access", State.OK, saw)
    return Finding(
        "access", State.WARN, saw, "set KEYLIKE_POLICY=predictions, or KEYLIKE_HOST=127.0.0.1"
    )


def tunnel(
    token: str | None, agent: Path | None, *, wanted: bool, forbidden: str | None
) -> Finding:
    """Check that a tunnel can be opened. A problem is only a note unless a tunnel is `wanted`.

    Args:
        token: authtoken of the ngrok account, or None.
        agent: path of the ngrok program, or None.
        wanted: True if a tunnel is configured.
        forbidden: why other settings forbid a tunnel, or None.
    """
    program = "the ngrok program is installed" if agent else "the ngrok program is not installed"
    saw = f"NGROK_TOKEN is {'set' if token else 'not set'}; {program}"
    if token and not _NGROK.fullmatch(token):
        advice = (
            "copy the authtoken from ngrok's dashboard again: only the token, without the command"
        )
        return Finding(
            "tunnel",
            State.WARN,
            f"NGROK_TOKEN is set, but does not look like a token; {program}",
            advice,
        )
    if wanted and forbidden:
        return Finding(
            "tunnel",
            State.FAULT,
            "the server does not start: a tunnel is configured, and other settings forbid it",
            forbidden,
        )
    missing = NO_TOKEN if token is None else NO_PROGRAM if agent is None else None
    if missing is None:
        return (
            Finding("tunnel", State.OK, saw)
            if wanted
            else Finding("tunnel", State.NOTE, saw, f"{COMMAND} --tunnel opens one")
        )
    return Finding(
        "tunnel", State.WARN if wanted else State.NOTE, saw, f"for a tunnel, {missing.advice}"
    )


def _taken(host: str, number: int) -> Finding:
    address = f"{host}:{number}"
    if _is_keylike(host, number):
        return Finding(
            "port",
            State.NOTE,
            f"Keylike is already running on {address}",
            "to start another, set KEYLIKE_PORT",
        )
    advice = "stop that program, or set KEYLIKE_PORT to another port (0 selects a free one)"
    if used_by_macos(number):
        advice = f"{AIRPLAY}, or set KEYLIKE_PORT to another port, such as 5001"
    return Finding("port", State.FAULT, f"another program uses {address}", advice)


def _refused(address: str, error: OSError) -> Finding:
    if error.errno in (errno.EACCES, errno.EPERM):
        return Finding(
            "port",
            State.FAULT,
            f"{address} is not allowed",
            "ports below 1024 need privileges: set KEYLIKE_PORT to a higher one",
        )
    return Finding(
        "port",
        State.FAULT,
        f"{address} is not an address of this machine",
        "set KEYLIKE_HOST to 127.0.0.1 or 0.0.0.0",
    )


def _is_keylike(host: str, number: int) -> bool:
    """Return True if a Keylike server answers at this address.

    If `host` means all addresses, the loopback address is used.
    """
    own = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    connection = http.client.HTTPConnection(own, number, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/health")
        body = json.loads(connection.getresponse().read(10_000))
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    return isinstance(body, dict) and {"model_loaded", "api_version"} <= body.keys()
