"""Tests of slowing and blocking clients that send wrong tokens."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from keylike.access.failed_attempts import MAX_FAILURES, WINDOW_S, FailedAttempts
from tests.running import until


class Attempts:
    """Failed attempts with a clock that the test sets, and the delays that they caused."""

    def __init__(self) -> None:
        self.now = 0.0
        self.delays: list[float] = []
        self.shared = True
        self.attempts = FailedAttempts(
            lambda: self.now, count_shared=lambda client: self.shared, sleep=self.delays.append
        )

    def fail(self, count: int, client: str = "a") -> None:
        """Record failures of one client."""
        for _ in range(count):
            self.attempts.record_failure(client)


def test_failed_attempts_are_slowed_before_they_are_blocked() -> None:
    each = Attempts()
    each.fail(4)
    assert (each.delays, each.attempts.blocked_s("a", "x")) == ([], 0)
    each.fail(MAX_FAILURES - 4)
    assert len(each.delays) == MAX_FAILURES - 4 and each.attempts.blocked_s("a", "x") == 0
    each.fail(1)
    assert each.attempts.blocked_s("a", "x") == WINDOW_S
    assert each.attempts.blocked_s("b", "x") == 0


def test_failed_attempts_end_with_their_window() -> None:
    each = Attempts()
    each.fail(MAX_FAILURES + 1)
    each.now = WINDOW_S - 0.5
    assert each.attempts.blocked_s("a", "x") == 1
    each.now = WINDOW_S
    assert each.attempts.blocked_s("a", "x") == 0


def test_failed_attempts_never_block_a_token_in_use() -> None:
    each = Attempts()
    each.attempts.record_success("a", "right")
    each.fail(MAX_FAILURES + 1)
    assert each.attempts.blocked_s("a", "right") == 0
    assert each.attempts.blocked_s("a", "other") > 0
    each.fail(MAX_FAILURES + 1, "b")
    assert each.attempts.blocked_s("b", "right") > 0, "used from another address"


def test_failed_attempts_block_when_other_replicas_saw_too_many() -> None:
    each = Attempts()
    each.shared = False
    each.fail(1)
    assert each.attempts.blocked_s("a", "x") == WINDOW_S


def test_failed_attempts_delay_few_threads_at_once() -> None:
    entered, leave = threading.Semaphore(0), threading.Event()

    def sleep(seconds: float) -> None:
        entered.release()
        assert leave.wait(20)

    attempts = FailedAttempts(lambda: 0.0, sleep=sleep)
    with ThreadPoolExecutor(8) as threads:
        try:
            for _ in range(4):
                threads.submit(attempts.record_failure, "a").result(20)
            waiting = [threads.submit(attempts.record_failure, "a") for _ in range(8)]
            for _ in range(4):
                assert entered.acquire(timeout=20)
            until(lambda: sum(each.done() for each in waiting) == 4)
        finally:
            leave.set()


def test_failed_attempts_of_many_clients_stay_bounded() -> None:
    each = Attempts()
    each.shared = False
    for number in range(10_050):
        each.attempts.record_failure(str(number))
        each.attempts.record_success(str(number), "x")
    assert each.attempts.blocked_s("0", "y") == 0, "the oldest is forgotten"
    assert each.attempts.blocked_s("10049", "y") == WINDOW_S
    assert each.attempts.blocked_s("10049", "x") == 0
