"""Why there is no tunnel: what was seen, and one next step. Never in ngrok's own words, which quote the token."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CODE = re.compile(r"ERR_NGROK_\d+")
# What Go's network library says in the agent's log.
_NETWORK = re.compile(
    r"dial tcp|no such host|i/o timeout|connection refused|unreachable|no route|deadline exceeded|connection reset|TLS handshake"
)
_DASHBOARD = "https://dashboard.ngrok.com"


@dataclass(frozen=True, slots=True)
class Fault:
    """`name` is one word for logs; after a `final` one nothing is tried again, since only whoever runs the server can mend it."""

    name: str
    saw: str
    advice: str
    final: bool = False


class TunnelFault(Exception):
    """There is no tunnel, for the reason in `fault`."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.name)
        self.fault = fault


NO_TOKEN = Fault(
    "no_token",
    "ngrok asks for a token, and there is none",
    f"copy yours from {_DASHBOARD}/get-started/your-authtoken into .env as NGROK_TOKEN=…",
    final=True,
)
BAD_TOKEN = Fault(
    "bad_token",
    "ngrok does not know the token in NGROK_TOKEN",
    f"copy it again from {_DASHBOARD}/get-started/your-authtoken: the token alone",
    final=True,
)
TOO_MANY = Fault(
    "too_many_agents",
    "the ngrok account has as many agents running as it may have",
    f"stop one of them: {_DASHBOARD}/agents lists them",
)
TAKEN = Fault(
    "address_taken",
    "the public address is held by another agent, or still by the one before",
    f"if this stays so, stop the other agent: {_DASHBOARD}/endpoints lists what is online",
)
BAD_DOMAIN = Fault(
    "bad_domain",
    "the ngrok account may not use the domain in KEYLIKE_TUNNEL_DOMAIN",
    f"take one that {_DASHBOARD}/domains lists, or leave the setting empty",
    final=True,
)
NO_PROGRAM = Fault(
    "no_program",
    "there is no ngrok program on this machine, and nothing is downloaded unasked",
    "install it from https://ngrok.com/download, or have pyngrok fetch it, once: .venv/bin/pyngrok version",
    final=True,
)
BROKEN_PROGRAM = Fault(
    "broken_program",
    "the ngrok program cannot be run",
    "try `ngrok version`; if that fails, install it again from https://ngrok.com/download",
    final=True,
)
TOO_OLD = Fault(
    "too_old", "the ngrok program does not answer as those from 3.30 on do", "run: ngrok update"
)
NO_NETWORK = Fault(
    "no_network",
    "ngrok cannot be reached",
    "see whether this machine is online, and lets connections to port 443 out",
)
SILENT = Fault(
    "silent",
    "the ngrok program started and came to nothing",
    "see whether this machine is online; https://status.ngrok.com tells of outages",
)
NO_ANSWER = Fault(
    "no_answer",
    "the tunnel is open, but nothing answers at its public address",
    "https://status.ngrok.com tells of outages",
)

_BY_CODE = {
    "ERR_NGROK_4018": NO_TOKEN,
    "ERR_NGROK_105": BAD_TOKEN,
    "ERR_NGROK_106": BAD_TOKEN,
    "ERR_NGROK_107": BAD_TOKEN,
    "ERR_NGROK_108": TOO_MANY,
    "ERR_NGROK_120": TOO_OLD,
    "ERR_NGROK_121": TOO_OLD,
    "ERR_NGROK_310": BAD_DOMAIN,
    "ERR_NGROK_319": BAD_DOMAIN,
    "ERR_NGROK_320": BAD_DOMAIN,
    "ERR_NGROK_334": TAKEN,
}


def fault_in(text: str) -> Fault | None:
    """What a line of the agent's log, or its answer, says is wrong; None where it says nothing of the kind."""
    code = _CODE.search(text)
    if code:
        return _BY_CODE.get(code[0]) or _unknown(code[0])
    return NO_NETWORK if _NETWORK.search(text) else None


def _unknown(code: str) -> Fault:
    return Fault(
        "refused",
        f"ngrok refuses, with its error {code}",
        f"https://ngrok.com/docs/errors/{code.lower()} says what that is",
    )
