"""Tests of the tunnel's watchdog with a fake clock and agent: checks, losses, retries, events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest

from keylike.tunnel.faults import BAD_TOKEN, NO_ANSWER, NO_NETWORK, TOO_MANY, Fault, TunnelFault
from keylike.tunnel.watchdog import (
    FIRST_ANSWER_S,
    MAX_BACKOFF_S,
    PROBE_S,
    STABLE_S,
    Stage,
    Tunnel,
    TunnelStatus,
)

LOCAL = "http://127.0.0.1:5000"
HERE, THERE = "https://one.example", "https://two.example"


class FakeAgent:
    """A fake agent that lists its address until a test changes that."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.is_listed = True
        self.has_error = False

    def logged_error(self) -> bool:
        """Return True once after the test has set `has_error`."""
        found, self.has_error = self.has_error, False
        return found

    def lists_address(self) -> bool:
        """Return True unless the test has cleared `is_listed`."""
        return self.is_listed


class Scenario:
    """A tunnel with a fake clock, which advances with each wait until `stops_at` seconds.

    `outcomes` contains the result of each attempt to open the tunnel: an address or a fault.
    `actions` maps times, in seconds, to functions that are called then.
    """

    def __init__(
        self, outcomes: Iterable[str | Fault], *, stops_at: float, random: float = 1.0
    ) -> None:
        self.outcomes: Iterator[str | Fault] = iter(outcomes)
        self.now = 0.0
        self.stops_at = stops_at
        self.events: list[tuple[float, str]] = []
        self.probes: list[tuple[float, str]] = []
        self.openings: list[float] = []
        self.silent: set[str] = set()
        self.actions: dict[float, Callable[[], None]] = {}
        self.agent = FakeAgent("")
        self.closed = 0
        self.status = TunnelStatus()
        self.tunnel = Tunnel(
            self,
            self.is_alive,
            LOCAL,
            self,
            self.status,
            wait=self.wait,
            clock=lambda: self.now,
            random=lambda: random,
        )

    def run(self) -> Scenario:
        """Run the watchdog until it ends."""
        self.status.stage = Stage.OPENING
        self.tunnel.run()
        return self

    def wait(self, seconds: float) -> bool:
        """Advance the clock and run the actions that are due."""
        self.now += seconds
        for when in sorted(self.actions):
            if when <= self.now:
                self.actions.pop(when)()
        return self.now >= self.stops_at

    def open(self) -> FakeAgent:
        """Return the next agent, or raise the next fault."""
        self.openings.append(self.now)
        outcome = next(self.outcomes)
        if isinstance(outcome, Fault):
            raise TunnelFault(outcome)
        self.agent = FakeAgent(outcome)
        return self.agent

    def close(self) -> None:
        """Count this call."""
        self.closed += 1

    def is_alive(self, address: str) -> bool:
        """Record the probe and return True unless the address is in `silent`."""
        self.probes.append((self.now, address))
        return address not in self.silent

    def lose(self) -> None:
        """Make the agent stop listing its address."""
        self.agent.is_listed = False

    def opened(self, address: str, *, new: bool) -> None:
        """Record the event."""
        self.events.append((self.now, f"{'new' if new else 'again'} {address}"))

    def lost(self) -> None:
        """Record the event."""
        self.events.append((self.now, "lost"))

    def refused(self, fault: Fault) -> None:
        """Record the event."""
        self.events.append((self.now, fault.name))


def test_open_tunnel_is_reported_once_and_stays_open_until_close() -> None:
    scenario = Scenario([HERE], stops_at=1000).run()
    assert scenario.events == [(0.0, f"new {HERE}")] and scenario.openings == [0.0]
    assert (scenario.status.stage, scenario.closed) == (Stage.UP, 0)
    scenario.tunnel.close()
    assert (scenario.status.stage, scenario.closed) == (Stage.OFF, 1)


def test_probes_stay_below_the_monthly_requests_of_a_free_ngrok_account() -> None:
    scenario = Scenario([HERE], stops_at=30 * 24 * 3600).run()
    assert {address for _, address in scenario.probes} == {HERE}
    assert 30 * 24 * 3600 / PROBE_S <= len(scenario.probes) + 1 <= 10_000


def test_lost_tunnel_is_noticed_within_two_seconds_and_reopened_at_once() -> None:
    scenario = Scenario([HERE, HERE], stops_at=200)
    scenario.actions[100.2] = scenario.lose
    scenario.run()
    assert [what for _, what in scenario.events] == [f"new {HERE}", "lost", f"again {HERE}"]
    assert scenario.events[1][0] <= 102.0 and scenario.openings == [0.0, scenario.events[1][0]]


def test_address_that_is_not_listed_once_is_probed_but_not_lost() -> None:
    scenario = Scenario([HERE], stops_at=200)
    scenario.actions[100.2], scenario.actions[101.2] = (
        scenario.lose,
        lambda: setattr(scenario.agent, "is_listed", True),
    )
    scenario.run()
    assert len(scenario.events) == 1 and [when for when, _ in scenario.probes] == [0.0, 101.5]


def test_tunnel_that_reopens_at_another_address_is_reported_as_new() -> None:
    scenario = Scenario([HERE, THERE], stops_at=200)
    scenario.actions[100.2] = scenario.lose
    assert scenario.run().events[-1][1] == f"new {THERE}"


def test_listed_address_that_does_not_respond_is_lost() -> None:
    scenario = Scenario([HERE, THERE], stops_at=2 * PROBE_S)
    scenario.actions[100.0] = lambda: scenario.silent.add(HERE)
    scenario.run()
    assert [what for _, what in scenario.events] == [f"new {HERE}", "lost", f"new {THERE}"]
    assert scenario.events[1][0] <= PROBE_S + 2


def test_error_in_the_log_of_the_agent_causes_a_probe() -> None:
    scenario = Scenario([HERE, THERE], stops_at=200)

    def complain() -> None:
        scenario.agent.has_error = True

    scenario.actions[50.2] = complain
    scenario.actions[100.2], scenario.actions[100.3] = complain, lambda: scenario.silent.add(HERE)
    scenario.run()
    assert [when for when, address in scenario.probes if address == HERE] == [
        0.0,
        51.0,
        101.0,
        101.5,
    ]
    assert scenario.events[1][1] == "lost" and scenario.events[1][0] <= 102


def test_tunnel_is_not_lost_if_the_server_does_not_respond_locally() -> None:
    scenario = Scenario([HERE], stops_at=10 * PROBE_S)
    scenario.actions[100.0] = lambda: scenario.silent.update((HERE, LOCAL))
    assert len(scenario.run().events) == 1


def test_new_address_that_never_responds_is_reported_as_a_fault() -> None:
    scenario = Scenario([HERE, HERE], stops_at=FIRST_ANSWER_S + 2)
    scenario.silent.add(HERE)
    scenario.run()
    assert (
        scenario.events == [(FIRST_ANSWER_S, NO_ANSWER.name)]
        and scenario.status.stage is Stage.REFUSED
    )


def test_retries_have_growing_pauses_and_report_a_fault_once() -> None:
    scenario = Scenario([NO_NETWORK] * 100, stops_at=1000).run()
    assert scenario.events == [(0.0, "no_network")]
    pauses = [
        later - before
        for before, later in zip(scenario.openings, scenario.openings[1:], strict=False)
    ]
    assert pauses[:7] == [1, 2, 4, 8, 16, 32, MAX_BACKOFF_S] and set(pauses[6:]) == {MAX_BACKOFF_S}


def test_random_factor_shortens_the_pauses_between_retries() -> None:
    scenario = Scenario([NO_NETWORK] * 100, stops_at=100, random=0.0).run()
    assert scenario.openings[:4] == [0.0, 0.5, 1.5, 3.5]


def test_different_fault_is_reported_again() -> None:
    scenario = Scenario([NO_NETWORK, NO_NETWORK, TOO_MANY, NO_NETWORK, HERE], stops_at=100).run()
    assert [what for _, what in scenario.events] == [
        "no_network",
        "too_many_agents",
        "no_network",
        f"new {HERE}",
    ]


def test_final_fault_ends_the_retries() -> None:
    scenario = Scenario([NO_NETWORK, BAD_TOKEN], stops_at=10_000).run()
    assert [what for _, what in scenario.events] == [
        "no_network",
        "bad_token",
    ] and scenario.now < 10
    assert scenario.status.stage is Stage.REFUSED


def test_repeated_losses_have_growing_pauses_unless_the_tunnel_was_stable() -> None:
    scenario = Scenario([HERE] * 100, stops_at=300)
    for second in range(300):
        scenario.actions[float(second)] = scenario.lose
    scenario.run()
    assert 5 < len(scenario.openings) < 15
    steady = Scenario([HERE] * 100, stops_at=10 * STABLE_S)
    for loss in range(1, 8):
        steady.actions[loss * (STABLE_S + 2)] = steady.lose
    steady.run()
    losses = [when for when, what in steady.events if what == "lost"]
    assert len(losses) == 7 and steady.openings[1:] == losses


@pytest.mark.parametrize("stops_at", [0.0, 0.4, 7.0])
def test_stop_during_the_first_opening_reports_nothing(stops_at: float) -> None:
    scenario = Scenario([HERE], stops_at=stops_at)
    scenario.silent.add(HERE)
    assert scenario.run().events == [] and scenario.status.stage is Stage.OPENING
