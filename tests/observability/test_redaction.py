"""Tests of the redaction of log lines: it hides secrets that code logs by mistake."""

from __future__ import annotations

import ast
import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from keylike.images.photo import Photo
from keylike.observability.logs import make_logger
from keylike.observability.redaction import PLAIN, REDACTED, redact
from keylike.settings import Settings
from tests.fakes import ColourReader
from tests.faults.fault_server import FaultServer
from tests.log_text import log_text

ROOT = Path(__file__).resolve().parent.parent.parent
SECRET = [
    "bitting",
    "code",
    "codes",
    "cuts",
    "token",
    "api_key",
    "authorization",
    "image",
    "photo",
    "zipcode",
    "address",
    "remote_addr",
    "x_forwarded_for",
    "gps",
    "exif",
    "url",
    "query",
    "headers",
    "body",
    "cookie",
    "password",
    "an_unknown_field",
]


def line(**fields: Any) -> dict[str, Any]:
    """Return a log line with these fields after its redaction."""
    return dict(redact(None, "info", fields))


def log_lines(folder: Path) -> list[dict[str, Any]]:
    """Return the parsed lines of the log file."""
    return [json.loads(one) for one in log_text(folder).splitlines()]


@pytest.mark.parametrize(
    "value", ["canary", 25473, [2, 5, 4, 7, 3], {"deep": ["canary"]}, b"canary", None], ids=str
)
@pytest.mark.parametrize("name", SECRET)
def test_redaction_hides_the_value_of_an_unknown_field(name: str, value: object) -> None:
    assert line(event="request", **{name: value}) == {"event": "request", name: REDACTED}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("error", "2,5,4,7,3 is no SC1"),
        ("error", "[Errno 2] No such file: '/home/canary/key.jpg'"),
        ("event", "request from 203.0.113.77"),
        ("event", "read 2,5,4,7,3"),
        ("model", "key 25473"),
        ("model", {"bitting": "2,5,4,7,3"}),
        ("route", "/predict?token=canary"),
        ("request_id", "canary-token-of-somebody"),
        ("failure", {"bitting": "canary"}),
        ("reason", "nothing at /home/canary"),
        ("reason", "the code is 2, 5, 4, 7, 3"),
        ("reason", "asked from 203.0.113.77"),
        ("reason", "asked from 2001:db8::7"),
        ("reason", "a line\nand another"),
        ("reason", "\x1b]0;canary\x07"),
        ("reason", "x" * 301),
        ("places", "canary, 2,5,4"),
        ("method", b"GET"),
    ],
)
def test_redaction_hides_an_unexpected_value_of_a_known_field(name: str, value: object) -> None:
    assert line(**{name: value}) == {name: REDACTED}


def test_redaction_keeps_expected_values_of_known_fields() -> None:
    plain = {
        "event": "crash",
        "level": "error",
        "timestamp": "2026-11-21T18:56:40.123456Z",
        "request_id": "616c1f29",
        "route": "/static/<path:name>",
        "status": 500,
        "failure": None,
        "ms": 1.5,
        "model": "caliper-1.2.0+abc",
        "places": ["reader.py:12 read", "<frozen os>:3 <lambda>", "app.py:1 <module>"],
        "reason": "models/a/manifest.toml: network.onnx is missing; set KEYLIKE_STRICT=false",
    }
    assert line(**plain) == plain


def test_redaction_checks_each_entry_of_a_list() -> None:
    assert line(places=["reader.py:12 read", "canary 2,5,4,7,3", ["reader.py:12 read"]]) == {
        "places": ["reader.py:12 read", REDACTED, REDACTED]
    }


def test_redaction_hides_field_names_that_are_not_identifiers() -> None:
    assert line(**{"X-Canary: 25473": 1, "canary" * 10: 2}) == {REDACTED: REDACTED}


def test_log_never_contains_the_text_of_an_exception(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = make_logger(tmp_path)
    try:
        raise ValueError("canary 2,5,4,7,3")
    except ValueError as error:
        log.exception("crash", status=500)
        log.error("crash", exc_info=True)
        log.error("crash", exc_info=error, stack_info=True)
    assert [one["event"] for one in log_lines(tmp_path)] == ["crash"] * 3
    text = log_text(tmp_path) + capfd.readouterr().err
    assert "canary" not in text and "Traceback" not in text


def test_bound_and_passed_fields_are_redacted_in_file_and_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bound = make_logger(tmp_path).bind(remote_addr="203.0.113.77", photo=b"canary")
    bound.info("request", status=200, **{"headers": {"Authorization": "Bearer canary"}})
    (one,) = log_lines(tmp_path)
    assert (one["status"], one["remote_addr"], one["photo"], one["headers"]) == (
        200,
        REDACTED,
        REDACTED,
        REDACTED,
    )
    err = capfd.readouterr().err
    assert "status=200" in err and "canary" not in err and "203.0.113.77" not in err


def test_invalid_message_of_a_library_is_not_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Log a message with wrong arguments.

    Python's own handlers would print the message, its arguments and the stack.
    """
    make_logger(tmp_path)
    logging.getLogger("waitress").error("canary %d", "203.0.113.77")
    (one,) = log_lines(tmp_path)
    assert one["event"] == "library"
    assert not any(
        word in capfd.readouterr().err for word in ("canary", "203.0.113.77", "Logging error")
    )


def test_message_of_a_library_without_a_handler_is_replaced_by_its_location(tmp_path: Path) -> None:
    """Log in a process of its own, because pytest installs handlers for all loggers."""
    program = (
        "import logging, pathlib, sys\n"
        "from keylike.observability.logs import make_logger\n"
        "make_logger(pathlib.Path(sys.argv[1]))\n"
        "logging.getLogger('some.library').warning('canary %s', '203.0.113.77')\n"
        "logging.getLogger('some.library').info('canary')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    (one,) = log_lines(tmp_path)
    assert (one["event"], one["place"], one["level"]) == ("library", "<string>:4", "warning")
    assert "library" in ended.stderr and "canary" not in ended.stderr + ended.stdout


def test_server_whose_reader_logs_secrets_writes_no_secret(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    fault_server = FaultServer(settings)

    def log_secrets(photos: Sequence[Photo]) -> object:
        log = make_logger(settings.logs)
        log.info(
            "request",
            bitting="2,5,4,7,3",
            headers={"X-API-Key": "canary"},
            remote_addr="203.0.113.77",
            status=200,
        )
        logging.getLogger("waitress").error("canary 2,5,4,7,3 from %s", "203.0.113.77")
        return ColourReader().read(photos)

    fault_server.reader.fault = log_secrets
    assert fault_server.post()[0] == 200
    fault_server.stop()
    assert [one["event"] for one in log_lines(settings.logs)] == ["request", "library", "request"]
    text = log_text(settings.logs) + capfd.readouterr().err
    assert not any(
        secret in text for secret in ("canary", "2,5,4,7,3", "203.0.113.77", "X-API-Key")
    )


def test_every_logged_field_is_in_the_list_of_allowed_fields() -> None:
    """Check that the list in redaction.py has every field that the server logs.

    Other fields are redacted. Add a new field to the list, with its format.
    """
    levels = {"debug", "info", "warning", "error", "critical", "exception", "log"}
    fields: set[str] = set()
    for path in (ROOT / "keylike").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                not isinstance(node, ast.Call)
                or not isinstance(node.func, ast.Attribute)
                or node.func.attr not in levels
            ):
                continue
            if ast.unparse(node.func.value).rpartition(".")[2] in ("log", "_log"):
                fields |= {str(word.arg) for word in node.keywords}
                event = node.args[-1]
                assert isinstance(event, ast.Constant)
                assert line(event=event.value) == {"event": event.value}
    assert {"route", "status", "places"} <= fields <= set(PLAIN)
