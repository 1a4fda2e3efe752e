"""Tests of the server in a program that has an event loop of its own, such as a notebook."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import socket
from typing import Any

import pytest

from keylike.settings import Settings
from tests.running import PatientReader, Running
from tools.plain_pictures import plain

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def post_photo(running: Running) -> tuple[int, dict[str, Any]]:
    """Post a photo without blocking the event loop and return the status and the body."""

    def post() -> tuple[int, dict[str, Any]]:
        connection = running.connect()
        connection.request("POST", "/predict", plain(), {"Content-Type": "image/jpeg"})
        response = connection.getresponse()
        answer = response.status, json.loads(response.read())
        connection.close()
        return answer

    return await asyncio.to_thread(post)


def check_port_is_free(port: int) -> None:
    """Raise OSError if the port is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        probe.listen()


def test_server_can_be_restarted_in_a_program_with_an_event_loop(settings: Settings) -> None:
    async def notebook() -> None:
        handlers = [signal.getsignal(number) for number in _SIGNALS]
        for _ in range(2):
            reader = PatientReader()
            running = Running(settings, reader)
            posted = asyncio.create_task(post_photo(running))
            # The event loop keeps running while the request is in progress.
            while not reader.asked.is_set():
                await asyncio.sleep(0)
            assert not posted.done()
            with pytest.raises(OSError, match="in use"):
                check_port_is_free(running.server.port)
            reader.allowed.set()
            status, body = await posted
            assert (status, body["bitting"]) == (200, "2,5,4,7,3")
            running.stop()
            check_port_is_free(running.server.port)
        assert [signal.getsignal(number) for number in _SIGNALS] == handlers

    asyncio.run(asyncio.wait_for(notebook(), 40))


def test_server_that_is_stopped_before_any_request_closes_its_port(settings: Settings) -> None:
    running = Running(settings, PatientReader())
    port = running.server.port
    running.stop()
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection("127.0.0.1", port, timeout=20).connect()
