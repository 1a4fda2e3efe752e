"""Tests of the channel of a connection: how it passes received bytes to the parser."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from waitress.adjustments import Adjustments

from keylike.http_server.body_budget import BodyBudget, RequestBody
from keylike.http_server.channel import Channel
from keylike.http_server.parser import RequestParser

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"


class RecordingParser(RequestParser):
    """A parser that records the sizes of its input."""

    sizes: list[int]

    def received(self, data: bytes) -> int:
        """Record the size of `data` and parse it."""
        self.sizes.append(len(data))
        return super().received(data)


class RecordingChannel(Channel):
    """A channel whose parsers record the sizes of their input."""

    parser_class = RecordingParser


def new_channel(connection: socket.socket) -> RecordingChannel:
    """Return a channel of a stub server that does not handle the requests."""
    RecordingParser.sizes = []
    adjustments = Adjustments()
    budget = BodyBudget(10_000_000, lambda: 0.0)
    adjustments.new_body = lambda path: RequestBody(10_000_000, budget)
    adjustments.is_refused = lambda path: False
    adjustments.early_status = lambda environ: None
    server = SimpleNamespace(active_channels={}, add_task=lambda channel: None)
    return RecordingChannel(server, connection, ("", 0), adjustments, map={})


@pytest.fixture
def channel() -> Iterator[RecordingChannel]:
    """Return a channel whose client sends nothing."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield new_channel(ours)


def test_idle_channel_with_unread_input_may_not_be_closed() -> None:
    """Send part of a request that the event loop has not read yet."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = new_channel(ours)
        assert channel.is_evictable()
        used = channel.last_used
        theirs.sendall(b"GET")
        assert not channel.is_evictable()
        assert channel.last_used > used
        assert ours.recv(10) == b"GET"
        theirs.close()
        assert channel.is_evictable()


def test_body_of_known_length_is_passed_to_the_parser_undivided(channel: RecordingChannel) -> None:
    channel.received(HEAD + b"Content-Length: 3000000\r\n\r\n")
    channel.received(bytes(1_000_000))
    channel.received(bytes(2_000_000))
    assert RecordingParser.sizes[1:] == [1_000_000, 2_000_000]
    assert len(channel.requests) == 1
    channel.requests[0].close()


@pytest.mark.parametrize(
    "flood",
    [
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n\0\r\n" * 100_000,
        b"GET / HTTP/1.1\r\n\r\n" * 50_000,
        b"x\r\n\r\n" * 100_000,
    ],
    ids=["tiny chunks", "requests", "broken requests"],
)
def test_flood_of_small_requests_is_parsed_in_small_slices(
    channel: RecordingChannel, flood: bytes
) -> None:
    channel.received(flood)
    assert max(RecordingParser.sizes) <= 16_384
    assert sum(RecordingParser.sizes) < 30_000_000


def test_blank_lines_do_not_reach_the_parser(channel: RecordingChannel) -> None:
    channel.received(b"\r\n" * 500_000)
    channel.received(b"\r\n" * 500_000 + b"GET / HTTP/1.1\r\n\r\n")
    assert sum(RecordingParser.sizes) < 16_384


def test_connection_is_closed_after_too_many_pipelined_requests(
    channel: RecordingChannel,
) -> None:
    channel.received(b"GET / HTTP/1.1\r\n\r\n" * 20)
    assert (len(channel.requests), channel.will_close) == (20, False)
    assert channel.received(b"GET / HTTP/1.1\r\n\r\n") is False
    assert channel.will_close
