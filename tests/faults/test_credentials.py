"""Tests that no output contains the password of Redis, whatever fails."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from keylike.api.application import HttpOptions
from keylike.observability.redaction import hide_credentials
from keylike.service import Load, create_app
from keylike.settings import Settings
from tests.test_cli_serve import Served
from tools.plain_pictures import plain

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "canary/pass:w0rd"


@pytest.mark.parametrize(
    "url",
    [
        f"unix://:{PASSWORD}@/tmp/nowhere.sock",
        f"redis://user:{PASSWORD}@127.0.0.1:1/0",
        f"unix:///tmp/nowhere.sock?password={PASSWORD}",
        "rediss://:canary@127.0.0.1:1",
    ],
)
def test_server_works_without_its_redis_and_hides_the_password(
    serve: Callable[..., Served], tmp_path: Path, url: str
) -> None:
    try:
        server = serve(KEYLIKE_REDIS_URL=url)
    except AssertionError as error:
        # The server may also refuse the address at the start, with a message without the password.
        assert "canary" not in str(error) and "KEYLIKE_REDIS_URL: " in str(error)
        return
    assert server.ask("POST", "/", plain())[0] == 200
    status, health = server.ask("GET", "/health/detailed")[::2]
    assert (status, health["status"]) == (200, "degraded")
    status, out, err = server.stop()
    assert (status, "Traceback" in err) == (0, False)
    assert "canary" not in out + err + (tmp_path / "logs" / "api.log").read_text()


def test_rate_limits_work_with_redis_on_a_unix_socket(
    settings: Settings, model: Load, redis_socket: str
) -> None:
    limited = settings.model_copy(
        update={
            "redis_url": SecretStr(redis_socket),
            "limits": "on",
            "limit_address": "1 per minute",
        }
    )
    replicas = [create_app(limited, load=model).test_client() for _ in range(2)]
    statuses = [
        replica.post("/predict", data=plain(), content_type="image/jpeg").status_code
        for replica in replicas
    ]
    assert statuses == [200, 429]


def test_unexpected_crash_prints_no_credentials() -> None:
    crash = (
        "import threading\n"
        "from keylike.terminal.standard_streams import tolerate_unwritable_streams\n"
        "def fail():\n"
        "    raise RuntimeError('no such server: unix://:canary/x@/tmp/s redis://h/?password=canary')\n"
        "with tolerate_unwritable_streams():\n"
        "    thread = threading.Thread(target=fail)\n"
        "    thread.start()\n"
        "    thread.join()\n"
        "    fail()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", crash],
        cwd=ROOT,
        env={**os.environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.count("RuntimeError: no such server") == 2
    assert "canary" not in done.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at redis://:p@h:1/0!", "at redis://[redacted]@h:1/0!"),
        ("unix://u:p/q@/tmp/s", "unix://[redacted]@/tmp/s"),
        ("unix:///s?db=1&password=p&x=1", "unix:///s?db=1&password=[redacted]&x=1"),
        ("see https://example.org/a and b@c", "see https://example.org/a and b@c"),
    ],
)
def test_hide_credentials_replaces_only_credentials(text: str, expected: str) -> None:
    assert hide_credentials(text) == expected


def test_repr_of_http_options_contains_no_secret() -> None:
    values: dict[str, Any] = dict.fromkeys(HttpOptions.__dataclass_fields__)
    options = HttpOptions(**{**values, "redis_url": "redis://:canary@h", "salt": b"canary"})
    assert "canary" not in repr(options)
