"""The storm: the server stands it, and a server that does not is found out."""

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
from tools.fuzzing.hostile_load.callers import Tally, storm
from tools.fuzzing.hostile_load.case import Case, Ending, request
from tools.fuzzing.hostile_load.cases import Cases
from tools.fuzzing.hostile_load.drawn import from_hypothesis
from tools.fuzzing.hostile_load.verdict import faults
from tools.fuzzing.hostile_load.wire import Answer, Outcome, exchange
from tools.fuzzing.sound import ROOT
from tools.plain_pictures import plain

GET = Case("test", (request("GET", "/health"),), ("GET",))
FAILURE = {
    "success": False, "error": "No.", "code": "not_found", "request_id": "0123abcd", "timestamp": 1, "api_version": "2.0.0",
}  # fmt: skip


def answer(
    status: int = 404,
    content_type: str = "application/json",
    /,
    *,
    retry_after: str = "",
    **changes: object,
) -> Outcome:
    """What came back: a failure as it should be, but for the changes."""
    headers = {"content-type": content_type} | ({"retry-after": retry_after} if retry_after else {})
    return Outcome(
        (Answer(status, headers, json.dumps(FAILURE | changes).encode(), 0.1),), None, 0.1
    )


@contextmanager
def saying(
    *said: bytes, then: Callable[[socket.socket], None] = socket.socket.close
) -> Iterator[tuple[str, int]]:
    """A server that says this to its one caller, whatever is asked."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            caller, _ = door.accept()
            caller.recv(65536)
            for each in said:
                caller.sendall(each)
            then(caller)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield door.getsockname()
        thread.join(5)


def test_a_failure_as_it_should_be() -> None:
    assert faults(GET, answer()) == []
    assert faults(GET, answer(503, retry_after="2", code="overloaded")) == []
    assert faults(GET, answer(504, code="deadline_exceeded")) == []


@pytest.mark.parametrize(
    ("outcome", "fault"),
    [
        (answer(500, code="internal"), "status 500"),
        (answer(502, code="internal"), "status 502"),
        (answer(503, code="overloaded"), "without Retry-After"),
        (answer(404, "text/html"), "as text/html"),
        (answer(400), "with code 'not_found'"),
        (answer(success=True), "with code"),
        (answer(error=""), "without a sentence"),
        (answer(request_id="?"), "without request_id"),
        (answer(error="in /usr/lib/python3/site-packages"), "what is inside"),
        (answer(503, status="unhealthy"), "unhealthy"),
        (
            Outcome((Answer(404, {"content-type": "application/json"}, b"{", 0.1),), None, 0.1),
            "without JSON",
        ),
        (
            Outcome((Answer(404, {"content-type": "application/json"}, b"[]", 0.1),), None, 0.1),
            "no JSON object",
        ),
        (Outcome((), "hang", 40.0), "hang"),
    ],
)
def test_what_is_wrong_with_an_answer(outcome: Outcome, fault: str) -> None:
    assert any(fault in found for found in faults(GET, outcome))


def test_a_sound_photo_must_be_read_right() -> None:
    case = Case("good", (), reading=("SC1", "2,5,4,7,3"))
    body = {"keyway": "SC1", "bitting": "2,5,4,7,3"}
    assert faults(case, answer(200, **body)) == []
    assert faults(case, answer(200, **body | {"bitting": "2,5,4,7,4"})) == [
        "a sound photo was read as another key"
    ]
    assert any("got 404" in fault for fault in faults(case, answer()))


@pytest.mark.parametrize(
    ("said", "ending", "trouble"),
    [
        ((b"",), Ending.ANSWERED, "hung up without an answer"),
        ((b"",), Ending.ENDED, None),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",), Ending.ANSWERED, "torn"),
        ((b"\x16\x03\x01 nothing like it\r\n\r\n",), Ending.ANSWERED, "torn"),
        (
            (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"),
            Ending.ANSWERED,
            None,
        ),
    ],
)
def test_how_a_connection_may_end(
    said: tuple[bytes, ...], ending: Ending, trouble: str | None
) -> None:
    with saying(*said) as address:
        assert exchange(address, Case("test", GET.pieces, ("GET",), ending), 5.0).trouble == trouble


def test_who_does_not_answer_is_found_out() -> None:
    held: list[socket.socket] = []
    with saying(then=held.append) as address:
        assert exchange(address, GET, 0.05).trouble == "hang"
    held[0].close()


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        address = door.getsockname()
    assert str(exchange(address, GET, 1.0).trouble).startswith("no connection")


def test_the_same_number_is_the_same_case() -> None:
    drawn = from_hypothesis(20, 5)
    assert drawn == from_hypothesis(20, 5) and drawn != from_hypothesis(20, 6)
    assert [Cases(5, drawn, drawn).case(number) for number in range(50)] == [
        Cases(5, drawn, drawn).case(number) for number in range(50)
    ]
    kinds = {Cases(5, drawn, drawn).case(number).kind for number in range(600)}
    assert len(kinds) == 12


def test_the_server_stands_a_storm(settings: Settings) -> None:
    running = Running(settings, ColourReader())
    try:
        address, drawn = ("127.0.0.1", running.server.port), from_hypothesis(40, 3)
        cases = Cases(3, drawn, drawn)
        found: list[str] = []
        for number in range(300):
            case = cases.case(number)
            # The colour reader knows no samples.
            found += [
                f"{number}: {fault}"
                for fault in faults(case, exchange(address, case, 20.0))
                if case.kind != "good"
            ]
        assert found == []
        photo = Case(
            "good",
            (request("POST", "/predict", [("Content-Type", "image/jpeg")], plain()),),
            reading=("SC1", "2,5,4,7,3"),
        )
        assert faults(photo, exchange(address, photo, 20.0)) == []
    finally:
        running.stop()


def test_callers_share_the_cases_and_tell_of_each(settings: Settings) -> None:
    running = Running(settings, ColourReader())
    try:
        cases = Cases(3, [GET.pieces[0]], [request("GET", "/nothing")])
        total = Tally()
        for tally in storm(("127.0.0.1", running.server.port), cases, 45, 2, 20.0):
            total.add(tally)
        assert total.cases == 45 == sum(total.kinds.values())
        # No sample is a key to the colour reader: those fail, and are told by their numbers.
        assert {number for number, _, _ in total.failures} == {
            number for number in range(45) if cases.case(number).kind == "good"
        }
    finally:
        running.stop()


def test_the_whole_of_it(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tools.fuzzing.hostile_load",
        "--work",
        str(tmp_path),
        "--drawn",
        "20",
    ]
    ran = subprocess.run(
        [*command, "--count", "80", "--callers", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    told = json.loads(ran.stdout.splitlines()[-1])
    assert (ran.returncode, told["met"], told["cases"], told["samples_wrong"]) == (
        0,
        True,
        80,
        0,
    ), ran.stdout
    assert told["memory"]["at_100"] > 50 and told["slowest_s"] < 30
