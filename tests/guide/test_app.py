"""Tests of app.py, config.py and utils/error_handlers.py at the repository root."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

from flask import Flask, request

import config
from keylike import settings
from keylike.resources import HOME, SAMPLES
from utils.error_handlers import register_error_handlers


def test_app_is_built_on_first_use_and_reads_a_photo(tmp_path: Path) -> None:
    program = """
import sys
import app
assert "onnxruntime" not in sys.modules, "importing app must not load a model"
client = app.app.test_client()
assert app.app is app.app
body = client.post("/", data={"image": (open(sys.argv[1], "rb"), "key.jpg")}).get_json()
print(body["keyway"], body["bitting"])
"""
    done = subprocess.run(
        [sys.executable, "-c", program, SAMPLES / "sc1_01.jpg"],
        cwd=HOME,
        env={"PATH": "", "KEYLIKE_LOGS": str(tmp_path), "ORT_DISABLE_TELEMETRY": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == ["SC1", "5,0,6,8,3"] and done.returncode == 0, done.stderr


def test_app_py_has_at_most_40_lines() -> None:
    assert len((HOME / "app.py").read_text().splitlines()) <= 40


def test_config_exports_the_settings() -> None:
    assert config.Settings is settings.Settings and config.load_settings is settings.load_settings


def test_error_handlers_return_json_with_status_413_and_500() -> None:
    app = Flask("older")
    app.config["MAX_CONTENT_LENGTH"] = 1000
    register_error_handlers(app)

    @app.post("/")
    def upload() -> str:
        assert request.files
        raise RuntimeError("c4nary")

    client = app.test_client()
    small = client.post("/", data={"image": (io.BytesIO(b""), "a")}, buffered=True)
    large = client.post("/", data={"image": (io.BytesIO(bytes(2000)), "a")}, buffered=True)
    for response, status in ((small, 500), (large, 413)):
        body = response.get_json()
        assert response.status_code == status and body["success"] is False
        assert body["error"] and "c4nary" not in response.text and len(body["request_id"]) == 8
