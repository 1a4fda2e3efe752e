"""Keep a public address open: open it, monitor it, and reopen it after increasing delays."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from keylike.tunnel.faults import NO_ANSWER, Fault, TunnelFault

# Intervals in seconds at which the local agent and the public address are checked. Requests to the
# public address count towards the 20,000 requests per month of a free account; one in five minutes
# makes 8,640 per month.
POLL_S = 1.0
PROBE_S = 300.0
# Seconds between a failed check and the next one, and the number of failed checks in a row after
# which the tunnel counts as lost.
RECHECK_S = 0.5
MAX_MISSES = 2
# Seconds in which a new address must answer.
FIRST_ANSWER_S = 15.0
# Longest delay in seconds before another attempt.
MAX_BACKOFF_S = 60.0
# Seconds. A tunnel that was open for at least this long is reopened without a delay.
STABLE_S = 30.0
# Seconds that `close` waits for the thread, which may be sending a request to the public address.
_CLOSE_S = 15.0


class RunningAgent(Protocol):
    """A running agent that has opened a public address."""

    address: str

    def logged_error(self) -> bool:
        """Return True if the agent has logged an error since the last call."""

    def lists_address(self) -> bool:
        """Return True if the agent reports its address as open."""


class AgentLauncher(Protocol):
    """A launcher that starts and stops agents, at most one at a time."""

    def open(self) -> RunningAgent:
        """Stop the previous agent, if any, and start a new one.

        Raises:
            TunnelFault: The tunnel cannot be opened.
        """

    def close(self) -> None:
        """Stop the agent."""


class Listener(Protocol):
    """A receiver of the tunnel's events. The tunnel's thread calls it."""

    def opened(self, address: str, *, new: bool) -> None:
        """Handle an opened tunnel. `new` is True if its address differs from the previous one."""

    def lost(self) -> None:
        """Handle the loss of a tunnel that was open."""

    def refused(self, fault: Fault) -> None:
        """Handle a failed attempt to open a tunnel. It is not called twice for the same fault."""


class Stage(StrEnum):
    """The state of the tunnel. It is OFF if no tunnel is configured."""

    OFF = "off"
    OPENING = "opening"
    UP = "up"
    LOST = "lost"
    REFUSED = "refused"


class TunnelStatus:
    """The current state of the tunnel. HTTP routes read it."""

    def __init__(self) -> None:
        self.stage = Stage.OFF

    @property
    def up(self) -> bool:
        """Return True if the public address worked when it was last checked."""
        return self.stage is Stage.UP


class Tunnel:
    """A tunnel that is opened and monitored by its own thread.

    The thread stops when `wait` returns True. The address stays open until `close`, so that the
    last requests that came through it are still answered.

    Args:
        launcher: starts and ends the agent.
        is_alive: returns True if Keylike answers at an address.
        local: address of the server on this machine.
        listener: receives the events.
        status: receives the current stage.
        wait: waits for a number of seconds. It returns True at once if the server is stopping.
        clock: returns monotonic seconds.
        random: returns a random number from 0 to 1.
    """

    def __init__(
        self,
        launcher: AgentLauncher,
        is_alive: Callable[[str], bool],
        local: str,
        listener: Listener,
        status: TunnelStatus,
        *,
        wait: Callable[[float], bool],
        clock: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self._launcher = launcher
        self._is_alive = is_alive
        self._local = local
        self._listener = listener
        self._status = status
        self._wait = wait
        self._clock = clock
        self._random = random
        self._thread = threading.Thread(target=self.run, name="tunnel", daemon=True)
        self._address: str | None = None
        self._probed = 0.0

    def start(self) -> None:
        """Start the thread."""
        self._status.stage = Stage.OPENING
        self._thread.start()

    def close(self) -> None:
        """Stop the agent, and wait for the thread. Call this only when `wait` returns True."""
        self._launcher.close()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)
        self._status.stage = Stage.OFF

    def run(self) -> None:
        """Keep the tunnel open until the server stops or a final fault occurs."""
        failures, reported = 0, None
        while not self._wait(self._backoff_s(failures)):
            try:
                agent = self._open()
            except TunnelFault as error:
                if self._wait(0):
                    return
                self._status.stage = Stage.REFUSED
                if error.fault != reported:
                    self._listener.refused(reported := error.fault)
                if error.fault.final:
                    return
                failures += 1
                continue
            reported, since = None, self._clock()
            self._report_opened(agent)
            if self._wait_for_loss(agent):
                self._status.stage = Stage.LOST
                self._listener.lost()
                failures = 0 if self._clock() - since >= STABLE_S else failures + 1

    def _backoff_s(self, failures: int) -> float:
        """Return the delay before the next attempt in seconds: 0 at first, then increasing.

        The random part keeps servers that lost the same network from trying again at the same time.
        """
        longest = min(MAX_BACKOFF_S, 2.0 ** min(failures - 1, 10)) if failures else 0.0
        return longest * (1 + self._random()) / 2

    def _open(self) -> RunningAgent:
        agent = self._launcher.open()
        deadline = self._clock() + FIRST_ANSWER_S
        while not self._answers(agent):
            if self._clock() >= deadline or self._wait(RECHECK_S):
                raise TunnelFault(NO_ANSWER)
        return agent

    def _report_opened(self, agent: RunningAgent) -> None:
        new, self._address = agent.address != self._address, agent.address
        self._status.stage = Stage.UP
        self._listener.opened(agent.address, new=new)

    def _wait_for_loss(self, agent: RunningAgent) -> bool:
        """Wait until the tunnel is lost or the server stops. Return True if it was lost."""
        misses = 0
        while misses < MAX_MISSES:
            if self._wait(RECHECK_S if misses else POLL_S):
                return False
            misses = 0 if self._works(agent, recheck=misses > 0) else misses + 1
        return True

    def _works(self, agent: RunningAgent, *, recheck: bool) -> bool:
        if not agent.lists_address():
            return False
        due = agent.logged_error() or recheck or self._clock() - self._probed >= PROBE_S
        return not due or self._answers(agent)

    def _answers(self, agent: RunningAgent) -> bool:
        """Return True if the public address answers, or if the local address does not answer.

        In the second case, the server is too busy and the tunnel is not at fault.
        """
        self._probed = self._clock()
        return self._is_alive(agent.address) or not self._is_alive(self._local)
