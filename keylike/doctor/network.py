"""Checks the address to listen on, who may ask there, and what a tunnel would need."""

from __future__ import annotations

import errno
import http.client
import json
import re
import socket
from pathlib import Path

from keylike.access.addresses import is_local_host
from keylike.doctor.finding import Finding, State
from keylike.resources import COMMAND
from keylike.tunnel.faults import NO_PROGRAM, NO_TOKEN

_TIMEOUT_S = 1.0
# Letters and digits, a digit among them, in one or two parts; placeholders and half a token are not.
_NGROK = re.compile(r"(?=.*\d)[A-Za-z0-9_-]{20,}")


def port(host: str, number: int) -> Finding:
    """Whether the server could listen on `host`, by doing so for a moment."""
    address = f"{host}:{number}"
    try:
        socket.create_server(
            (host, number), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        ).close()
    except OSError as error:
        return _taken(host, number) if error.errno == errno.EADDRINUSE else _refused(address, error)
    return Finding("port", State.OK, f"{address} is free" if number else f"any free port of {host}")


def access(host: str, *, guarded: bool, tokens: bool | None, tunnel: bool = False) -> Finding:
    """Whether others could ask without a token, and somebody with one; `guarded`: readings ask for a token, `tokens`: there is any that
    passes, None where that cannot be told. A `tunnel` that is wanted brings its own where there is none."""
    local_only = is_local_host(host) and not tunnel
    who = (
        "only this machine reaches it"
        if local_only
        else "a tunnel leads to it"
        if tunnel
        else "other machines reach it"
    )
    saw = f"{host}: {who}; readings ask for {'a token' if guarded else 'no token'}"
    if tokens is None:
        return Finding(
            "access",
            State.FAULT,
            f"{saw}; the file of tokens cannot be read",
            "see KEYLIKE_TOKENS; nobody passes by a token",
        )
    if guarded and not tokens and tunnel:
        return Finding("access", State.OK, f"{saw}, and one is made for the run")
    if guarded and not tokens:
        return Finding(
            "access",
            State.WARN,
            f"{saw}, and there is none",
            f"make one: {COMMAND} tokens new NAME",
        )
    if guarded or local_only:
        return Finding("access", State.OK, saw)
    return Finding(
        "access", State.WARN, saw, "set KEYLIKE_POLICY=predictions, or KEYLIKE_HOST=127.0.0.1"
    )


def tunnel(
    token: str | None, agent: Path | None, *, wanted: bool, forbidden: str | None
) -> Finding:
    """Whether a tunnel could be opened, which is a note unless one is `wanted`: NGROK_TOKEN is set and looks like one, and there is an
    agent. `forbidden`: why other settings do not go with a tunnel, None where they do."""
    program = "the ngrok program is there" if agent else "there is no ngrok program"
    saw = f"NGROK_TOKEN is {'set' if token else 'not set'}; {program}"
    if token and not _NGROK.fullmatch(token):
        advice = "copy the authtoken from ngrok's dashboard again: the token alone, without the command around it"
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
            "the server does not start: a tunnel is wanted, and other settings forbid it",
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
            f"Keylike already serves on {address}",
            "to start another, set KEYLIKE_PORT",
        )
    advice = "stop what listens there, or set KEYLIKE_PORT to another (0 takes any free one)"
    return Finding("port", State.FAULT, f"{address} is taken by another program", advice)


def _refused(address: str, error: OSError) -> Finding:
    if error.errno in (errno.EACCES, errno.EPERM):
        return Finding(
            "port",
            State.FAULT,
            f"{address} is not allowed",
            "ports below 1024 need rights: set KEYLIKE_PORT above that",
        )
    return Finding(
        "port",
        State.FAULT,
        f"{address} is no address of this machine",
        "set KEYLIKE_HOST to 127.0.0.1 or 0.0.0.0",
    )


def _is_keylike(host: str, number: int) -> bool:
    """Whether a server of this kind answers; one that listens everywhere answers on this machine's own address."""
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
