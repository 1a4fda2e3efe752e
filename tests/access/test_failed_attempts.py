"""Tests of slowing and blocking clients that send wrong tokens."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from keylike.access.failed_attempts import MAX_FAILURES, WINDOW_S, FailedAttempts
from tests.running import until


class Attempts:
    """A counter of failed attempts with a clock that the test sets. It records the delays."""

    def __init__(self) -> None:
        self.now = 0.0
        self.delays: list[float] = []
        self.shared = True
        self.attempts = FailedAttempts(
            lambda: self.now, count_shared=lambda client: self.shared, sleep=self.delays.append
        )

    def fail(self, count: int, client: str = "a") -> None:
        """Record `count` failures of one client."""
        for _ in range(count):
            self.attempts.record_failure(client)


def test_failed_attempts_are_delayed_and_then_blocked() -> None:
    each = Attempts()
    each.fail(4)
    assert (each.delays, each.attempts.blocked_s("a", "x")) == ([], 0)
    each.fail(MAX_FAILURES - 4)
    assert len(each.delays) == MAX_FAILURES - 4 and each.attempts.blocked_s("a", "x") == 0
    each.fail(1)
    assert each.attempts.blocked_s("a", "x") == WINDOW_S
    assert each.attempts.blocked_s("b", "x") == 0


def test_blocked_client_is_admitted_again_after_the_time_window() -> None:
    each = Attempts()
    each.fail(MAX_FAILURES + 1)
    each.now = WINDOW_S - 0.5
    assert each.attempts.blocked_s("a", "x") == 1
    each.now = WINDOW_S
    assert each.attempts.blocked_s("a", "x") == 0


def test_failed_attempts_do_not_block_a_token_that_was_used_before() -> None:
    each = Attempts()
    each.attempts.record_success("a", "right")
    each.fail(MAX_FAILURES + 1)
    assert each.attempts.blocked_s("a", "right") == 0
    assert each.attempts.blocked_s("a", "other") > 0
    each.fail(MAX_FAILURES + 1, "b")
    assert each.attempts.blocked_s("b", "right") > 0, (
        "a token in use also works from another address that sent wrong tokens"
    )


def test_client_is_blocked_if_the_shared_count_is_too_high() -> None:
    each = Attempts()
    each.shared = False
    each.fail(1)
    assert each.attempts.blocked_s("a", "x") == WINDOW_S


def test_failed_attempts_delay_at_most_four_threads_at_once() -> None:
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


def test_oldest_client_is_forgotten_after_ten_thousand_others() -> None:
    each = Attempts()
    each.shared = False
    for number in range(10_050):
        each.attempts.record_failure(str(number))
        each.attempts.record_success(str(number), "x")
    assert each.attempts.blocked_s("0", "y") == 0, "the oldest client must be forgotten"
    assert each.attempts.blocked_s("10049", "y") == WINDOW_S
    assert each.attempts.blocked_s("10049", "x") == 0
