"""Tests of log lines: one for each request, as JSON in the file, and without secrets."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI
from pydantic import SecretStr

from keylike.observability.logs import make_logger
from keylike.readers.contract import ReaderInfo
from keylike.service import Load, create_app
from keylike.settings import Settings
from tests.fakes import ColourReader
from tests.log_text import log_text
from tools.plain_pictures import plain


class FailingReader(ColourReader):
    """A reader that fails with a message that must not be logged."""

    @property
    def info(self) -> ReaderInfo:
        """Return information about the reader."""
        return ReaderInfo("failing", "1.0.0", "fake", (), "")

    def read(self, photos: object) -> list[object]:  # type: ignore[override]
        """Raise an error."""
        raise RuntimeError("canary 2,5,4,7,3 at /secret/place")


def lines(settings: Settings) -> list[dict[str, object]]:
    """Return the parsed lines of the log file."""
    return [json.loads(line) for line in log_text(settings.logs).splitlines()]


def test_request_is_logged_in_one_line(client: FlaskClient, settings: Settings) -> None:
    body = client.post("/predict", data=plain(), content_type="image/jpeg").get_json()
    client.get("/nowhere/canary")
    first, second = lines(settings)
    assert (first["event"], first["request_id"], first["route"]) == (
        "request",
        body["request_id"],
        "/predict",
    )
    assert (first["status"], first["model"], first["failure"], first["level"]) == (
        200,
        "colour-1.0.0",
        None,
        "info",
    )
    assert isinstance(first["ms"], float)
    assert (second["status"], second["route"], second["failure"]) == (404, None, "not_found")


def test_secrets_of_a_request_are_not_logged(
    settings: Settings, model: Load, capfd: pytest.CaptureFixture[str]
) -> None:
    guarded = create_app(
        settings.model_copy(update={"api_key": SecretStr("canary-token")}), load=model
    ).test_client()
    for token in ("canary-token", "canary-guess"):
        guarded.post(
            "/predict?zipcode=98765&canary=query",
            data=plain() + b"canary-picture",
            content_type="image/jpeg",
            headers={"X-API-Key": token, "User-Agent": "canary-agent"},
            environ_base={"REMOTE_ADDR": "203.0.113.77"},
        )
    text = log_text(settings.logs) + capfd.readouterr().err
    assert '"status": 200' in text and '"status": 401' in text
    for secret in ("canary", "2,5,4,7,3", "25473", "203.0.113.77", "98765"):
        assert secret not in text


def test_crash_is_logged_with_its_location_but_without_its_message(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    response = (
        create_app(settings, load=FailingReader)
        .test_client()
        .post("/predict", data=plain(), content_type="image/jpeg")
    )
    assert (response.status_code, response.get_json()["code"]) == (500, "internal")
    crash = next(line for line in lines(settings) if line["event"] == "crash")
    assert (crash["error"], crash["request_id"]) == (
        "RuntimeError",
        response.get_json()["request_id"],
    )
    assert "read" in str(crash["places"])
    text = response.text + log_text(settings.logs) + capfd.readouterr().err
    assert "canary" not in text and "/secret" not in text


def test_message_of_a_library_is_replaced_by_its_location(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    make_logger(settings.logs)
    try:
        raise ValueError("canary")
    except ValueError:
        logging.getLogger("waitress").exception(
            "channel connected 203.0.113.77:1234 at %s", "/canary"
        )
    (line,) = lines(settings)
    assert (line["event"], line["error"], line["level"]) == ("library", "ValueError", "error")
    assert str(line["place"]).startswith("test_logs.py:")
    text = log_text(settings.logs) + capfd.readouterr().err
    assert "canary" not in text and "203.0.113.77" not in text


def test_unknown_http_method_is_not_logged(client: FlaskClient, settings: Settings) -> None:
    client.open("/predict", method="CANARY")
    (line,) = lines(settings)
    assert (line["status"], line["method"]) == (405, "other")


def test_requests_are_not_logged_at_log_level_error(
    settings: Settings, model: Load, app: OpenAPI, tmp_path: Path
) -> None:
    quiet = settings.model_copy(update={"log_level": "ERROR", "logs": tmp_path / "quiet"})
    create_app(quiet, load=model).test_client().get("/health")
    assert log_text(tmp_path / "quiet") == ""


@pytest.mark.parametrize(
    ("method", "path", "shown"),
    [
        ("POST", "/", r"POST / 200 \d+ ms"),
        ("POST", "/v1/predict", r"POST /predict 200 \d+ ms"),
        ("PUT", "/predict", r"PUT /predict 405 \d+ ms  method_not_allowed, request [0-9a-f]{8}"),
        ("DELETE", "/nowhere", r"DELETE \(unknown path\) 404 \d+ ms  not_found, request .{8}"),
        ("CANARY", "/nowhere", r"other \(unknown path\) 404 \d+ ms  not_found, request .{8}"),
    ],
)
def test_request_is_one_short_line_on_the_terminal_and_json_in_the_file(
    client: FlaskClient,
    settings: Settings,
    capfd: pytest.CaptureFixture[str],
    method: str,
    path: str,
    shown: str,
) -> None:
    client.open(path, method=method, data=plain(), content_type="image/jpeg")
    (logged,) = lines(settings)
    assert logged["method"] == (method if method != "CANARY" else "other")
    assert re.fullmatch(shown + "\n", capfd.readouterr().err)


def test_probes_and_files_are_logged_at_debug_level_only(
    settings: Settings, model: Load, tmp_path: Path
) -> None:
    paths = ("/health", "/health/ready", "/web/page.js", "/sw.js", "/favicon.ico", "/docs")
    for level, count in (("INFO", 0), ("DEBUG", len(paths))):
        changed = settings.model_copy(update={"log_level": level, "logs": tmp_path / level})
        client = create_app(changed, load=model).test_client()
        for path in paths:
            assert client.get(path, buffered=True).status_code == 200
        found = [line for line in lines(changed) if line["event"] == "request"]
        assert [line["level"] for line in found] == ["debug"] * count
    client.get("/web/missing.js")
    assert lines(changed)[-1]["level"] == "info"
