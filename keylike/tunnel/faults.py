"""The reasons why a tunnel cannot be opened, each with advice for the operator.

The texts never repeat messages of ngrok, because these may contain the token.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CODE = re.compile(r"ERR_NGROK_\d+")
# Pattern of messages of Go's network library in the agent's log. They mean that there is no
# connection.
_NETWORK = re.compile(
    r"dial tcp|no such host|i/o timeout|connection refused|unreachable|no route"
    r"|deadline exceeded|connection reset|TLS handshake"
)
_DASHBOARD = "https://dashboard.ngrok.com"


@dataclass(frozen=True, slots=True)
class Fault:
    """A reason why the tunnel cannot be opened.

    Attributes:
        name: a word for logs.
        message: what went wrong.
        advice: what the operator can do.
        final: True if another attempt cannot succeed before the operator has fixed it.
    """

    name: str
    message: str
    advice: str
    final: bool = False


class TunnelFault(Exception):
    """An error for a tunnel that cannot be opened. `fault` is the reason."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.name)
        self.fault = fault


NO_TOKEN = Fault(
    "no_token",
    "ngrok needs an authtoken, and none is set",
    f"copy yours from {_DASHBOARD}/get-started/your-authtoken into .env as NGROK_TOKEN=…",
    final=True,
)
BAD_TOKEN = Fault(
    "bad_token",
    "ngrok rejects the authtoken in NGROK_TOKEN",
    f"copy it again from {_DASHBOARD}/get-started/your-authtoken, without any text around it",
    final=True,
)
TOO_MANY = Fault(
    "too_many_agents",
    "the ngrok account already runs as many agents as its plan allows",
    f"stop one of them: {_DASHBOARD}/agents lists them",
)
TAKEN = Fault(
    "address_taken",
    "another agent, perhaps the previous one, still uses the public address",
    f"if this persists, stop the other agent: {_DASHBOARD}/endpoints lists what is online",
)
BAD_DOMAIN = Fault(
    "bad_domain",
    "the ngrok account may not use the domain in KEYLIKE_TUNNEL_DOMAIN",
    f"choose one that {_DASHBOARD}/domains lists, or leave the setting empty",
    final=True,
)
NO_PROGRAM = Fault(
    "no_program",
    "the ngrok program is not installed, and Keylike does not download it without being asked",
    (
        "install it from https://ngrok.com/download, or let pyngrok download it: "
        ".venv/bin/pyngrok version"
    ),
    final=True,
)
BROKEN_PROGRAM = Fault(
    "broken_program",
    "the ngrok program cannot be run",
    "try `ngrok version`; if that fails, reinstall it from https://ngrok.com/download",
    final=True,
)
TOO_OLD = Fault(
    "too_old", "the ngrok program is too old; version 3.30 is the minimum", "run: ngrok update"
)
NO_NETWORK = Fault(
    "no_network",
    "ngrok cannot be reached",
    "check that this machine is online and allows outgoing connections to port 443",
)
SILENT = Fault(
    "silent",
    "the ngrok program started but did not connect",
    "check that this machine is online; https://status.ngrok.com lists outages",
)
NO_ANSWER = Fault(
    "no_answer",
    "the tunnel is open, but nothing answers at its public address",
    "https://status.ngrok.com lists outages",
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
    """Return the fault in a log line or a response of the agent, or None if there is none."""
    code = _CODE.search(text)
    if code:
        return _BY_CODE.get(code[0]) or _unknown(code[0])
    return NO_NETWORK if _NETWORK.search(text) else None


def _unknown(code: str) -> Fault:
    return Fault(
        "refused",
        f"ngrok reports its error {code}",
        f"https://ngrok.com/docs/errors/{code.lower()} explains it",
    )
