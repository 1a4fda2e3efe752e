"""The server inside a program that has an event loop of its own, as notebooks have: it runs beside the loop and leaves it alone."""

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


async def ask(running: Running) -> tuple[int, dict[str, Any]]:
    """Posts a photo beside the loop; status and body."""

    def post() -> tuple[int, dict[str, Any]]:
        connection = running.connect()
        connection.request("POST", "/predict", plain(), {"Content-Type": "image/jpeg"})
        response = connection.getresponse()
        answer = response.status, json.loads(response.read())
        connection.close()
        return answer

    return await asyncio.to_thread(post)


def listen_at(port: int) -> None:
    """Takes the port, and gives it back. Raises OSError where somebody else listens."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()


def test_it_runs_beside_a_loop_and_can_be_started_again(settings: Settings) -> None:
    async def notebook() -> None:
        handlers = [signal.getsignal(number) for number in _SIGNALS]
        for _ in range(2):
            reader = PatientReader()
            running = Running(settings, reader)
            asked = asyncio.create_task(ask(running))
            # The loop is free for this while the request is in flight.
            while not reader.asked.is_set():
                await asyncio.sleep(0)
            assert not asked.done()
            with pytest.raises(OSError, match="in use"):
                listen_at(running.server.port)
            reader.allowed.set()
            status, body = await asked
            assert (status, body["bitting"]) == (200, "2,5,4,7,3")
            running.stop()
            listen_at(running.server.port)
        assert [signal.getsignal(number) for number in _SIGNALS] == handlers

    asyncio.run(asyncio.wait_for(notebook(), 40))


def test_a_stop_before_the_first_request(settings: Settings) -> None:
    running = Running(settings, PatientReader())
    port = running.server.port
    running.stop()
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection("127.0.0.1", port, timeout=20).connect()
