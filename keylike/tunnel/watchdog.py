"""Keeps one public address open: opens it, sees that it works, and opens it again, more and more slowly where that does not help."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from keylike.tunnel.faults import NO_ANSWER, Fault, TunnelFault

# The agent on this machine is asked every second, which costs nothing. What is asked at the public address counts towards the 20,000
# requests a month of a free account: at this pace 8,640.
LOOK_S, ASK_S = 1.0, 300.0
# After a miss it is looked again soon; so many in a row are a loss.
AGAIN_S, MISSES = 0.5, 2
# How long an address that was just opened may take until it answers.
ANSWER_S = 15.0
LONGEST_PAUSE_S = 60.0
# At the end it is waited for: somebody may just ask the public address.
_CLOSE_S = 15.0
# A tunnel that was up for so long is opened again at once.
STEADY_S = 30.0


class Opened(Protocol):
    """An agent with its address, whether it says that this is open, and whether it has complained since it was asked last."""

    address: str

    def troubled(self) -> bool:
        """Looks into its log."""

    def listed(self) -> bool:
        """Asks the agent."""


class AgentLauncher(Protocol):
    """Has one agent at a time."""

    def open(self) -> Opened:
        """A new one in place of the one before. Raises TunnelFault."""

    def close(self) -> None:
        """Ends it."""


class Listener(Protocol):
    """Tells whoever runs the server; called from the tunnel's thread."""

    def opened(self, address: str, *, new: bool) -> None:
        """It works; `new`: at another address than before."""

    def lost(self) -> None:
        """It worked, and does no more."""

    def refused(self, fault: Fault) -> None:
        """It cannot be opened; said again only when the reason is another."""


class Stage(StrEnum):
    """How it stands with the tunnel; `off` where none is wanted."""

    OFF = "off"
    OPENING = "opening"
    UP = "up"
    LOST = "lost"
    REFUSED = "refused"


class TunnelStatus:
    """Where others see how it stands."""

    def __init__(self) -> None:
        self.stage = Stage.OFF

    @property
    def up(self) -> bool:
        """Whether the public address works, as far as is known."""
        return self.stage is Stage.UP


class Tunnel:
    """Runs in a thread of its own from `start` on. It ends when `wait`, which waits for so many seconds, says that it is over; the address
    then stays open until `close`, so that what has come through it is still answered.

    `works` says whether Keylike answers at an address, `local` being its own; `clock` counts seconds; `chance` gives 0 to 1.
    """

    def __init__(
        self,
        opener: AgentLauncher,
        works: Callable[[str], bool],
        local: str,
        teller: Listener,
        standing: TunnelStatus,
        *,
        wait: Callable[[float], bool],
        clock: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._opener, self._works, self._local, self._teller, self._standing = (
            opener,
            works,
            local,
            teller,
            standing,
        )
        self._wait, self._clock, self._chance = wait, clock, chance
        self._thread = threading.Thread(target=self.run, name="tunnel", daemon=True)
        self._address: str | None = None
        self._asked = 0.0

    def start(self) -> None:
        """Begins."""
        self._standing.stage = Stage.OPENING
        self._thread.start()

    def close(self) -> None:
        """Ends the agent, and the thread, for which it must be over."""
        self._opener.close()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)
        self._standing.stage = Stage.OFF

    def run(self) -> None:
        """Until it is over, or nothing helps but whoever runs the server."""
        failures, told = 0, None
        while not self._wait(self._pause_s(failures)):
            try:
                agent = self._open()
            except TunnelFault as error:
                if self._wait(0):
                    return
                self._standing.stage = Stage.REFUSED
                if error.fault != told:
                    self._teller.refused(told := error.fault)
                if error.fault.final:
                    return
                failures += 1
                continue
            told, since = None, self._clock()
            self._tell_opened(agent)
            if self._lost(agent):
                self._standing.stage = Stage.LOST
                self._teller.lost()
                failures = 0 if self._clock() - since >= STEADY_S else failures + 1

    def _pause_s(self, failures: int) -> float:
        """None before the first try; then twice as long each time, and each server for itself: many may have lost the same network."""
        longest = min(LONGEST_PAUSE_S, 2.0 ** min(failures - 1, 10)) if failures else 0.0
        return longest * (1 + self._chance()) / 2

    def _open(self) -> Opened:
        agent = self._opener.open()
        until = self._clock() + ANSWER_S
        while not self._answers(agent):
            if self._clock() >= until or self._wait(AGAIN_S):
                raise TunnelFault(NO_ANSWER)
        return agent

    def _tell_opened(self, agent: Opened) -> None:
        new, self._address = agent.address != self._address, agent.address
        self._standing.stage = Stage.UP
        self._teller.opened(agent.address, new=new)

    def _lost(self, agent: Opened) -> bool:
        """Watches until it is lost; False where it is over before."""
        misses = 0
        while misses < MISSES:
            if self._wait(AGAIN_S if misses else LOOK_S):
                return False
            misses = 0 if self._fine(agent, again=misses > 0) else misses + 1
        return True

    def _fine(self, agent: Opened, *, again: bool) -> bool:
        if not agent.listed():
            return False
        due = agent.troubled() or again or self._clock() - self._asked >= ASK_S
        return not due or self._answers(agent)

    def _answers(self, agent: Opened) -> bool:
        """At its public address; but a server that has no thread to spare even for this machine is not the tunnel's fault."""
        self._asked = self._clock()
        return self._works(agent.address) or not self._works(self._local)
