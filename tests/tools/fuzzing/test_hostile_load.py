"""Tests of the hostile load: Keylike responds correctly to it, and wrong responses are detected."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from keylike.settings import Settings
from tests.fakes import ColourReader
from tests.running import Running
from tools.fuzzing.hostile_load.case import Case, Ending, request
from tools.fuzzing.hostile_load.cases import Cases
from tools.fuzzing.hostile_load.clients import Summary, send_all
from tools.fuzzing.hostile_load.exchange import Exchange, Response, exchange
from tools.fuzzing.hostile_load.generated import from_hypothesis
from tools.fuzzing.hostile_load.violations import violations
from tools.fuzzing.valid_pictures import ROOT
from tools.plain_pictures import plain

GET = Case("test", (request("GET", "/health"),), ("GET",))
FAILURE = {
    "success": False, "error": "No.", "code": "not_found", "request_id": "0123abcd", "timestamp": 1,
    "api_version": "2.0.0",
}  # fmt: skip


def failure(
    status: int = 404,
    content_type: str = "application/json",
    /,
    *,
    retry_after: str = "",
    **changes: object,
) -> Exchange:
    """Return an exchange with a valid error response, apart from these changes."""
    headers = {"content-type": content_type} | ({"retry-after": retry_after} if retry_after else {})
    return Exchange(
        (Response(status, headers, json.dumps(FAILURE | changes).encode(), 0.1),), None, 0.1
    )


@contextmanager
def server_sending(
    *sent: bytes, then: Callable[[socket.socket], None] = socket.socket.close
) -> Iterator[tuple[str, int]]:
    """Run a server that accepts one client and sends these bytes, whatever the request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            client.recv(65536)
            for data in sent:
                client.sendall(data)
            then(client)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()
        thread.join(5)


def test_valid_error_response_has_no_violations() -> None:
    assert violations(GET, failure()) == []
    assert violations(GET, failure(503, retry_after="2", code="overloaded")) == []
    assert violations(GET, failure(504, code="deadline_exceeded")) == []


@pytest.mark.parametrize(
    ("exchanged", "violation"),
    [
        (failure(500, code="internal"), "status 500"),
        (failure(502, code="internal"), "status 502"),
        (failure(503, code="overloaded"), "without Retry-After"),
        (failure(404, "text/html"), "as text/html"),
        (failure(400), "with code 'not_found'"),
        (failure(success=True), "with code"),
        (failure(error=""), "without an error message"),
        (failure(request_id="?"), "without request_id"),
        (failure(error="in /usr/lib/python3/site-packages"), "reveals internals"),
        (failure(503, status="unhealthy"), "unhealthy"),
        (
            Exchange((Response(404, {"content-type": "application/json"}, b"{", 0.1),), None, 0.1),
            "without JSON",
        ),
        (
            Exchange((Response(404, {"content-type": "application/json"}, b"[]", 0.1),), None, 0.1),
            "not a JSON object",
        ),
        (Exchange((), "timeout", 40.0), "timeout"),
    ],
)
def test_invalid_error_response_is_reported(exchanged: Exchange, violation: str) -> None:
    assert any(violation in found for found in violations(GET, exchanged))


def test_wrong_reading_of_a_valid_photo_is_reported() -> None:
    case = Case("valid", (), expected_reading=("SC1", "2,5,4,7,3"))
    body = {"keyway": "SC1", "bitting": "2,5,4,7,3"}
    assert violations(case, failure(200, **body)) == []
    assert violations(case, failure(200, **body | {"bitting": "2,5,4,7,4"})) == [
        "a valid photo was read as another key"
    ]
    assert any("got 404" in violation for violation in violations(case, failure()))


@pytest.mark.parametrize(
    ("sent", "ending", "problem"),
    [
        ((b"",), Ending.ANSWERED, "closed without a response"),
        ((b"",), Ending.ENDED, None),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",), Ending.ANSWERED, "truncated"),
        ((b"\x16\x03\x01 not HTTP\r\n\r\n",), Ending.ANSWERED, "truncated"),
        (
            (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"),
            Ending.ANSWERED,
            None,
        ),
    ],
)
def test_exchange_reports_an_unexpected_end_of_the_connection(
    sent: tuple[bytes, ...], ending: Ending, problem: str | None
) -> None:
    with server_sending(*sent) as address:
        assert exchange(address, Case("test", GET.pieces, ("GET",), ending), 5.0).problem == problem


def test_exchange_without_a_response_reports_a_timeout() -> None:
    connections: list[socket.socket] = []
    with server_sending(then=connections.append) as address:
        assert exchange(address, GET, 0.05).problem == "timeout"
    connections[0].close()


def test_exchange_without_a_server_reports_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    assert str(exchange(address, GET, 1.0).problem).startswith("no connection")


def test_hostile_cases_are_the_same_for_the_same_seed_and_number() -> None:
    generated = from_hypothesis(20, 5)
    assert generated == from_hypothesis(20, 5) and generated != from_hypothesis(20, 6)
    assert [Cases(5, generated, generated).case(number) for number in range(50)] == [
        Cases(5, generated, generated).case(number) for number in range(50)
    ]
    kinds = {Cases(5, generated, generated).case(number).kind for number in range(600)}
    assert len(kinds) == 12


def test_server_responds_correctly_to_hostile_cases(settings: Settings) -> None:
    running = Running(settings, ColourReader())
    try:
        address, generated = ("127.0.0.1", running.server.port), from_hypothesis(40, 3)
        cases = Cases(3, generated, generated)
        found: list[str] = []
        for number in range(300):
            case = cases.case(number)
            # The colour reader cannot read photos of real keys, so leave these out.
            found += [
                f"{number}: {violation}"
                for violation in violations(case, exchange(address, case, 20.0))
                if case.kind != "valid"
            ]
        assert found == []
        photo = Case(
            "valid",
            (request("POST", "/predict", [("Content-Type", "image/jpeg")], plain()),),
            expected_reading=("SC1", "2,5,4,7,3"),
        )
        assert violations(photo, exchange(address, photo, 20.0)) == []
    finally:
        running.stop()


def test_clients_of_the_hostile_load_report_every_case(settings: Settings) -> None:
    running = Running(settings, ColourReader())
    try:
        cases = Cases(3, [GET.pieces[0]], [request("GET", "/nothing")])
        total = Summary()
        for part in send_all(("127.0.0.1", running.server.port), cases, 45, 2, 20.0):
            total.add(part)
        assert total.cases == 45 == sum(total.kinds.values())
        # The colour reader cannot read photos of real keys, so exactly these cases fail.
        assert {number for number, _, _ in total.failures} == {
            number for number in range(45) if cases.case(number).kind == "valid"
        }
    finally:
        running.stop()


def test_hostile_load_command_reports_that_all_responses_were_right(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tools.fuzzing.hostile_load",
        "--work",
        str(tmp_path),
        "--generated",
        "20",
    ]
    completed = subprocess.run(
        [*command, "--count", "80", "--clients", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    summary = json.loads(completed.stdout.splitlines()[-1])
    assert (completed.returncode, summary["met"], summary["cases"], summary["samples_wrong"]) == (
        0,
        True,
        80,
        0,
    ), completed.stdout
    assert summary["memory"]["at_100"] > 50 and summary["slowest_s"] < 30
