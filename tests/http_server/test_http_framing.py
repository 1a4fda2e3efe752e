"""What comes in one piece reaches the parser in helpings, and bodies of known length whole."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from waitress.adjustments import Adjustments

from keylike.http_server.http_framing import FramedChannel, FramedParser


class Parser(FramedParser):
    """Remembers how much it was given at a time."""

    given: list[int]

    def received(self, data: bytes) -> int:
        """The same."""
        self.given.append(len(data))
        return super().received(data)


class Line(FramedChannel):
    """A connection without a socket."""

    parser_class = Parser

    def __init__(self) -> None:
        self.adj, self.server = Adjustments(), SimpleNamespace(add_task=lambda channel: None)
        self.requests_lock, self.request = threading.Lock(), None
        self.requests: list[Any] = []
        self.will_close = self.close_when_flushed = self.sent_continue = False


def given(*pieces: bytes) -> tuple[Any, list[int]]:
    """The connection after these pieces, and the sizes that its parser saw."""
    Parser.given = []
    line = Line()
    for piece in pieces:
        line.received(piece)
    return line, Parser.given


HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"


def test_a_body_of_known_length_comes_as_it_came() -> None:
    line, sizes = given(
        HEAD + b"Content-Length: 3000000\r\n\r\n", bytes(1_000_000), bytes(2_000_000)
    )
    assert sizes[1:] == [1_000_000, 2_000_000]
    assert len(line.requests) == 1
    line.requests[0].close()


@pytest.mark.parametrize(
    "flood",
    [
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n\0\r\n" * 100_000,
        b"GET / HTTP/1.1\r\n\r\n" * 50_000,
        b"x\r\n\r\n" * 100_000,
    ],
    ids=["chunks", "requests", "no requests"],
)
def test_crumbs_come_in_helpings(flood: bytes) -> None:
    _, sizes = given(flood)
    assert max(sizes) <= 16_384
    assert sum(sizes) < 30_000_000


def test_blank_lines_reach_nobody() -> None:
    _, sizes = given(b"\r\n" * 500_000, b"\r\n" * 500_000 + b"GET / HTTP/1.1\r\n\r\n")
    assert sum(sizes) < 16_384


def test_who_sends_far_more_than_is_answered_is_hung_up_on() -> None:
    line, _ = given(b"GET / HTTP/1.1\r\n\r\n" * 20)
    assert (len(line.requests), line.will_close) == (20, False)
    assert line.received(b"GET / HTTP/1.1\r\n\r\n") is False
    assert line.will_close
