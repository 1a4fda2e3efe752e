"""A tunnel beside the server, for as long as that runs: put together from ngrok's agent and the watchdog."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from keylike.tunnel.agents import Agents
from keylike.tunnel.programs import ngrok_program
from keylike.tunnel.public import answers
from keylike.tunnel.watchdog import Listener, Tunnel, TunnelStatus


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be public: the server's own address; with which token of ngrok's, and at which domain if at one of the account's."""

    local: str
    token: str | None = field(repr=False)
    domain: str | None = None


@contextmanager
def tunnel_open(
    wanted: Wanted, teller: Listener, standing: TunnelStatus, over: threading.Event
) -> Iterator[None]:
    """Opens it beside what is done in here and watches it until `over` is set, which leaving does at the latest; then it closes."""
    for name in ("no_proxy", "NO_PROXY"):
        # pyngrok would ask the agent on this machine through the proxy that leads out of it.
        os.environ[name] = ",".join(
            [*filter(None, [os.environ.get(name)]), "127.0.0.1", "localhost"]
        )
    agents = Agents(ngrok_program, wanted.token, wanted.local, wanted.domain)
    tunnel = Tunnel(
        agents,
        answers,
        wanted.local,
        teller,
        standing,
        wait=over.wait,
        clock=time.monotonic,
        chance=random.random,
    )
    tunnel.start()
    try:
        yield
    finally:
        over.set()
        tunnel.close()
