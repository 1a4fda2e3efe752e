"""The watchdog by itself: when it looks, what it takes for a loss, when it tries again, and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest

from keylike.tunnel.faults import BAD_TOKEN, NO_ANSWER, NO_NETWORK, TOO_MANY, Fault, TunnelFault
from keylike.tunnel.watchdog import (
    ANSWER_S,
    ASK_S,
    LONGEST_PAUSE_S,
    STEADY_S,
    Stage,
    Tunnel,
    TunnelStatus,
)

LOCAL = "http://127.0.0.1:5000"
HERE, THERE = "https://one.example", "https://two.example"


class FakeAgent:
    """Lists its address until told otherwise."""

    def __init__(self, address: str) -> None:
        self.address, self.there, self.complains = address, True, False

    def troubled(self) -> bool:
        """As told, once."""
        found, self.complains = self.complains, False
        return found

    def listed(self) -> bool:
        """As told."""
        return self.there


class Scene:
    """A tunnel whose time goes on when it waits; it is over after so many seconds. `comes` is what each opening gives."""

    def __init__(self, comes: Iterable[str | Fault], *, lasts: float, chance: float = 1.0) -> None:
        self.comes: Iterator[str | Fault] = iter(comes)
        self.now, self.lasts = 0.0, lasts
        self.told: list[tuple[float, str]] = []
        self.asked: list[tuple[float, str]] = []
        self.openings: list[float] = []
        self.silent: set[str] = set()
        self.at: dict[float, Callable[[], None]] = {}
        self.agent = FakeAgent("")
        self.closed = 0
        self.standing = TunnelStatus()
        self.tunnel = Tunnel(
            self,
            self.works,
            LOCAL,
            self,
            self.standing,
            wait=self.wait,
            clock=lambda: self.now,
            chance=lambda: chance,
        )

    def run(self) -> Scene:
        """To its end."""
        self.standing.stage = Stage.OPENING
        self.tunnel.run()
        return self

    def wait(self, seconds: float) -> bool:
        """Lets what happens in this time happen."""
        self.now += seconds
        for when in sorted(self.at):
            if when <= self.now:
                self.at.pop(when)()
        return self.now >= self.lasts

    def open(self) -> FakeAgent:
        """What comes next; the last for ever."""
        self.openings.append(self.now)
        outcome = next(self.comes)
        if isinstance(outcome, Fault):
            raise TunnelFault(outcome)
        self.agent = FakeAgent(outcome)
        return self.agent

    def close(self) -> None:
        """Counted."""
        self.closed += 1

    def works(self, address: str) -> bool:
        """Unless it is silent."""
        self.asked.append((self.now, address))
        return address not in self.silent

    def lose(self) -> None:
        """The agent lists nothing any more."""
        self.agent.there = False

    def opened(self, address: str, *, new: bool) -> None:
        """Told."""
        self.told.append((self.now, f"{'new' if new else 'again'} {address}"))

    def lost(self) -> None:
        """Told."""
        self.told.append((self.now, "lost"))

    def refused(self, fault: Fault) -> None:
        """Told."""
        self.told.append((self.now, fault.name))


def test_it_is_told_once_it_works_and_left_open_at_the_end() -> None:
    scene = Scene([HERE], lasts=1000).run()
    assert scene.told == [(0.0, f"new {HERE}")] and scene.openings == [0.0]
    assert (scene.standing.stage, scene.closed) == (Stage.UP, 0)
    scene.tunnel.close()
    assert (scene.standing.stage, scene.closed) == (Stage.OFF, 1)


def test_the_public_address_is_asked_so_seldom_that_a_free_account_bears_it() -> None:
    scene = Scene([HERE], lasts=30 * 24 * 3600).run()
    assert {address for _, address in scene.asked} == {HERE}
    assert 30 * 24 * 3600 / ASK_S <= len(scene.asked) + 1 <= 10_000


def test_a_loss_is_seen_within_two_seconds_and_mended_at_once() -> None:
    scene = Scene([HERE, HERE], lasts=200)
    scene.at[100.2] = scene.lose
    scene.run()
    assert [what for _, what in scene.told] == [f"new {HERE}", "lost", f"again {HERE}"]
    assert scene.told[1][0] <= 102.0 and scene.openings == [0.0, scene.told[1][0]]


def test_a_single_miss_is_no_loss_but_the_public_address_is_asked() -> None:
    scene = Scene([HERE], lasts=200)
    scene.at[100.2], scene.at[101.2] = scene.lose, lambda: setattr(scene.agent, "there", True)
    scene.run()
    assert len(scene.told) == 1 and [when for when, _ in scene.asked] == [0.0, 101.5]


def test_a_new_address_is_said_to_be_new() -> None:
    scene = Scene([HERE, THERE], lasts=200)
    scene.at[100.2] = scene.lose
    assert scene.run().told[-1][1] == f"new {THERE}"


def test_an_address_that_is_listed_and_does_not_answer_is_lost() -> None:
    scene = Scene([HERE, THERE], lasts=2 * ASK_S)
    scene.at[100.0] = lambda: scene.silent.add(HERE)
    scene.run()
    assert [what for _, what in scene.told] == [f"new {HERE}", "lost", f"new {THERE}"]
    assert scene.told[1][0] <= ASK_S + 2


def test_an_agent_that_complains_has_its_address_looked_at() -> None:
    scene = Scene([HERE, THERE], lasts=200)

    def complain() -> None:
        scene.agent.complains = True

    scene.at[50.2] = complain
    scene.at[100.2], scene.at[100.3] = complain, lambda: scene.silent.add(HERE)
    scene.run()
    assert [when for when, address in scene.asked if address == HERE] == [0.0, 51.0, 101.0, 101.5]
    assert scene.told[1][1] == "lost" and scene.told[1][0] <= 102


def test_a_server_that_does_not_even_answer_here_is_not_the_tunnels_fault() -> None:
    scene = Scene([HERE], lasts=10 * ASK_S)
    scene.at[100.0] = lambda: scene.silent.update((HERE, LOCAL))
    assert len(scene.run().told) == 1


def test_an_address_that_never_answers_is_refused() -> None:
    scene = Scene([HERE, HERE], lasts=ANSWER_S + 2)
    scene.silent.add(HERE)
    scene.run()
    assert scene.told == [(ANSWER_S, NO_ANSWER.name)] and scene.standing.stage is Stage.REFUSED


def test_it_is_tried_again_more_and_more_slowly_and_told_once() -> None:
    scene = Scene([NO_NETWORK] * 100, lasts=1000).run()
    assert scene.told == [(0.0, "no_network")]
    pauses = [
        later - before for before, later in zip(scene.openings, scene.openings[1:], strict=False)
    ]
    assert pauses[:7] == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE_S] and set(pauses[6:]) == {
        LONGEST_PAUSE_S
    }


def test_each_server_waits_as_long_as_chance_has_it() -> None:
    scene = Scene([NO_NETWORK] * 100, lasts=100, chance=0.0).run()
    assert scene.openings[:4] == [0.0, 0.5, 1.5, 3.5]


def test_another_reason_is_told_again() -> None:
    scene = Scene([NO_NETWORK, NO_NETWORK, TOO_MANY, NO_NETWORK, HERE], lasts=100).run()
    assert [what for _, what in scene.told] == [
        "no_network",
        "too_many_agents",
        "no_network",
        f"new {HERE}",
    ]


def test_what_only_people_can_mend_is_not_tried_again() -> None:
    scene = Scene([NO_NETWORK, BAD_TOKEN], lasts=10_000).run()
    assert [what for _, what in scene.told] == ["no_network", "bad_token"] and scene.now < 10
    assert scene.standing.stage is Stage.REFUSED


def test_a_tunnel_that_is_lost_again_and_again_is_not_opened_in_a_frenzy() -> None:
    scene = Scene([HERE] * 100, lasts=300)
    for second in range(300):
        scene.at[float(second)] = scene.lose
    scene.run()
    assert 5 < len(scene.openings) < 15
    steady = Scene([HERE] * 100, lasts=10 * STEADY_S)
    for at in range(1, 8):
        steady.at[at * (STEADY_S + 2)] = steady.lose
    steady.run()
    losses = [when for when, what in steady.told if what == "lost"]
    assert len(losses) == 7 and steady.openings[1:] == losses


@pytest.mark.parametrize("lasts", [0.0, 0.4, 7.0])
def test_nothing_is_said_of_a_start_that_the_end_interrupts(lasts: float) -> None:
    scene = Scene([HERE], lasts=lasts)
    scene.silent.add(HERE)
    assert scene.run().told == [] and scene.standing.stage is Stage.OPENING
