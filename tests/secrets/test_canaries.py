"""Tests that search logs, terminal, metrics, traces, errors, files and Redis for canaries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from keylike.settings import Settings, load_settings
from tests.collector import Collector
from tests.redis_server import PASSWORD, RedisServer
from tests.secrets.canaries import (
    ADDRESS,
    KEY,
    LATITUDE,
    TOKEN,
    WRONG_TOKEN,
    ZIPCODE,
    found,
    photo_with_location,
)
from tests.secrets.observed_server import (
    MULTIPART,
    ROOT,
    ObservedServer,
    as_json,
    form,
    require_address,
)
from tools.plain_pictures import BLUE, plain

OFFLINE = {"KEYLIKE_LIMITS": "on", "KEYLIKE_LIMIT_ADDRESS": "60 per hour"}
QUERY = f"?api_key={TOKEN}&zipcode={ZIPCODE}&c4nary=c4nary"
PHOTO = photo_with_location()
CODE = ",".join(map(str, KEY["bitting"]))


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Run a collector that receives traces."""
    pytest.importorskip(
        "opentelemetry.sdk",
        reason="OpenTelemetry is an extra: pip install -r locks/otel.txt",
    )
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture
def server(
    tmp_path: Path, collector: Collector, redis_server: RedisServer
) -> Iterator[ObservedServer]:
    """Run a server with the embedded reader, Redis, a collector and rate limits, without tokens."""
    require_address()
    settings = {"KEYLIKE_REDIS_URL": redis_server.url, "KEYLIKE_POLICY": "open", **OFFLINE}
    server = ObservedServer(tmp_path / "home", ["app.py"], collector, **settings)
    server.wait_until_ready()
    yield server
    server.kill()


def send_photos(server: ObservedServer) -> None:
    """Send a photo in every format and with every kind of token, also in the query string."""
    ways = [
        (form(PHOTO, zipcode=ZIPCODE, c4nary="c4nary-field"), MULTIPART),
        (as_json(PHOTO), "application/json"),
        (PHOTO, "image/jpeg"),
    ]
    for path in ("/", "/predict", f"/predict{QUERY}"):
        for body, content in ways:
            answer = server.request("POST", path, body, content)
            assert json.loads(answer.body)["bitting"] == CODE
            assert (
                found(answer.headers) == [] and found(answer.body, "the zipcode", "the code") == []
            )
    for token in (
        {"X_API_Key": TOKEN},
        {"Authorization": f"Bearer {TOKEN}"},
        {"X_API_Key": WRONG_TOKEN},
    ):
        assert (
            server.request(
                "POST", "/", PHOTO, "image/jpeg", **token, Cache_Control="no-cache"
            ).status
            == 200
        )
    batch = server.request(
        "POST", f"/predict/batch{QUERY}", form(PHOTO, 3, zipcode=ZIPCODE), MULTIPART
    )
    assert batch.status == 200 and found(batch.body, "the zipcode", "the code") == []
    family = server.request("POST", f"/classify/image{QUERY}", PHOTO, "image/jpeg")
    assert family.status == 200 and found(family.body) == []


def cause_failures(server: ObservedServer) -> set[str]:
    """Send requests that fail in every possible way, and return their error codes."""
    asked = [
        ("POST", f"/predict{QUERY}", form(b"", 0, c4nary="c4nary"), MULTIPART, {}),
        ("POST", "/predict", form(b"c4nary is no picture"), MULTIPART, {}),
        ("POST", "/predict", form(PHOTO[:3000]), MULTIPART, {}),
        ("POST", "/predict", form(PHOTO, zipcode="c4nary"), MULTIPART, {}),
        ("POST", "/predict", form(PHOTO, zipcode=ZIPCODE + "1"), MULTIPART, {}),
        ("POST", "/predict", b'{"c4nary": ', "application/json", {}),
        (
            "POST",
            "/predict",
            b'{"image_data": "c4nary!", "zipcode": "73919"}',
            "application/json",
            {},
        ),
        ("POST", "/predict", b"c4nary is no picture", "application/c4nary", {}),
        ("POST", "/predict", PHOTO + bytes(11_000_000), "image/jpeg", {}),
        ("POST", f"/predict{QUERY}", plain(BLUE, size=(400, 300)), "image/jpeg", {}),
        ("POST", "/predict", PHOTO + b" ", "image/jpeg", {"X_Request_Timeout": "0.001"}),
        ("POST", "/predict", PHOTO, "image/jpeg", {"X_Request_Timeout": "c4nary"}),
        ("POST", f"/classify/image?model=c4nary&token={TOKEN}", PHOTO, "image/jpeg", {}),
        ("POST", "/classify/image?model=caliper", PHOTO, "image/jpeg", {}),
        ("GET", f"/c4nary/{CODE}/{ZIPCODE}{QUERY}", b"", None, {}),
        ("C4NARY", f"/predict{QUERY}", b"", None, {}),
        ("DELETE", f"/predict{QUERY}", b"", None, {}),
        ("GET", f"/metrics{QUERY}", b"", None, {}),
        ("GET", f"/debug/memory{QUERY}", b"", None, {"X_API_Key": WRONG_TOKEN}),
        ("POST", f"/predict/premium{QUERY}", PHOTO, "image/jpeg", {"X_API_Key": WRONG_TOKEN}),
        (
            "POST",
            "/predict/premium",
            PHOTO,
            "image/jpeg",
            {"Authorization": f"Bearer {WRONG_TOKEN}"},
        ),
    ]
    codes = set()
    for method, path, body, content, more in asked:
        answer = server.request(method, path, body, content, **more)
        assert found(answer.body) == [] and found(answer.headers) == [], (method, path, answer)
        if answer.code:
            codes.add(answer.code)
    return codes


def exceed_limit(server: ObservedServer) -> None:
    """Send requests until the rate limit refuses one."""
    for _ in range(80):
        answer = server.request("POST", "/predict", form(b"", 0, c4nary="c4nary"), MULTIPART)
        if answer.status == 429:
            break
    assert (
        answer.code == "rate_limited" and found(answer.body) == [] and found(answer.headers) == []
    )


def send_broken_requests(server: ObservedServer) -> None:
    """Send requests that the socket server refuses, so that they never reach the application."""
    for head in (
        b"GET /c4nary HTTP/1.1\r\nContent-Length: c4nary\r\n\r\n",
        b"c4nary c4nary c4nary\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-C4nary c4nary\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-C4nary: " + b"c4nary" * 60_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: c4nary\r\n\r\nc4nary",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nc4nary\r\n",
    ):
        assert found(server.raw(head)) == []


def test_requests_of_every_kind_leave_no_secret_in_any_output(
    server: ObservedServer, redis_server: RedisServer
) -> None:
    send_photos(server)
    codes = cause_failures(server)
    send_broken_requests(server)
    exceed_limit(server)
    shown = server.operator_pages()
    written = server.stop()
    assert {path: found(data) for path, data in shown.items() if found(data)} == {}
    assert {place: found(data) for place, data in written.items() if found(data)} == {}
    # There must be no other files, such as an identifier for onnxruntime's telemetry in the home
    # folder.
    assert {place for place in written if not place.startswith("trace")} == {
        "logs/api.log",
        "stdout",
        "stderr",
    } and "trace 0" in written
    assert codes >= {
        "no_image",
        "bad_image",
        "bad_zipcode",
        "bad_request",
        "unsupported_image_type",
        "image_too_large",
        "unreadable",
    }
    assert codes >= {"not_found", "method_not_allowed", "deadline_exceeded", "unauthorized"}
    assert (
        b'"route": "/predict"' in written["logs/api.log"]
        and b"deadline_exceeded" in written["logs/api.log"]
    )
    # Creating a temporary file changes the time stamp of the folder, even if the file is unnamed.
    assert (
        list(server.temporary.iterdir()) == []
        and server.temporary.stat().st_mtime_ns == server.created_ns
    )
    with redis_server.client() as client:
        kept = {key: client.dump(key) or b"" for key in client.scan_iter()}
        plain_text = b"".join(
            value for key in client.keys("keylike:reading:*") if (value := client.get(key))
        )
        assert all(client.ttl(key) > 0 for key in kept)
    # Redis must contain the readings, because they are cached there, but nothing about clients.
    assert {
        key: found(key + value, "the code")
        for key, value in kept.items()
        if found(key + value, "the code")
    } == {}
    assert (
        found(plain_text) == ["the code"]
        and f"{LATITUDE:.2f}".encode() not in plain_text
        and PHOTO[:200] not in plain_text
    )
    assert any(key.startswith(b"keylike:reading:") for key in kept) and any(
        b"LIMIT" in key for key in kept
    )


def test_large_uploads_create_no_temporary_file(tmp_path: Path) -> None:
    require_address()
    server = ObservedServer(
        tmp_path / "home", ["app.py"], KEYLIKE_POLICY="open", KEYLIKE_LIMITS="off"
    )
    try:
        server.wait_until_ready()
        large = plain(BLUE, size=(4000, 3000)) + bytes(6_000_000)
        assert server.request("POST", "/predict", form(large), MULTIPART).code == "unreadable"
        assert (
            server.request("POST", "/predict", as_json(large), "application/json").code
            == "unreadable"
        )
        assert server.request("POST", "/predict", large, "image/jpeg").code == "unreadable"
        assert server.request("POST", "/predict/batch", form(large, 6), MULTIPART).status == 200
        assert server.request("POST", "/classify/image", form(large), MULTIPART).status == 200
        server.stop()
        assert (
            list(server.temporary.iterdir()) == []
            and server.temporary.stat().st_mtime_ns == server.created_ns
        )
    finally:
        server.kill()


def test_reader_crash_leaves_no_secret_in_any_output(tmp_path: Path, collector: Collector) -> None:
    """Let the reader log all secrets, and raise an error that contains them.

    It also logs them through the loggers of libraries.
    """
    require_address()
    command, settings = (
        ["-m", "tests.secrets.serve_crashing"],
        {"KEYLIKE_POLICY": "open", "KEYLIKE_LIMITS": "off"},
    )
    server = ObservedServer(
        tmp_path / "home",
        command,
        collector,
        MODEL_PATH="c4nary-model",
        KEYLIKE_STRICT="1",
        **settings,
    )
    try:
        loading = server.request("POST", f"/predict{QUERY}", PHOTO, "image/jpeg")
        assert (loading.code, found(loading.body)) == ("model_loading", [])
        assert server.process.stdin
        server.process.stdin.write(b"\n")
        server.process.stdin.flush()
        server.wait_until_ready()
        for path in ("/predict", "/predict/batch"):
            answer = server.request(
                "POST", f"{path}{QUERY}", form(PHOTO, 2 if "batch" in path else 1), MULTIPART
            )
            assert (
                b'"internal"' in answer.body
                and found(answer.body) == []
                and found(answer.headers) == []
            )
        shown, written = server.operator_pages(), server.stop()
        assert {path: found(data) for path, data in shown.items() if found(data)} == {}
        # The terminal may show the name of the model, because the operator has set MODEL_PATH.
        named = {place: data.replace(b"c4nary-model", b"") for place, data in written.items()}
        assert {place: found(data) for place, data in named.items() if found(data)} == {}
        assert (
            b"RuntimeError" in written["logs/api.log"]
            and b"serve_crashing.py" in written["logs/api.log"]
        )
    finally:
        server.kill()


def test_process_list_does_not_show_the_token(tmp_path: Path) -> None:
    server = ObservedServer(tmp_path / "home", ["app.py"])
    try:
        proc = Path(f"/proc/{server.process.pid}")
        if not proc.exists():
            pytest.skip("this system has no /proc")
        assert found((proc / "cmdline").read_bytes()) == []
        threads = [path.read_bytes() for path in proc.glob("task/*/comm")]
        assert threads and found(b"".join(threads)) == []
    finally:
        server.kill()


def test_repr_and_json_of_settings_hide_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KEYLIKE_API_KEY", TOKEN)
    monkeypatch.setenv("NGROK_TOKEN", TOKEN)
    monkeypatch.setenv("KEYLIKE_REDIS_URL", f"redis://:{TOKEN}@127.0.0.1:6379/0")
    monkeypatch.setenv("KEYLIKE_OTEL_ENDPOINT", f"http://c4nary:{TOKEN}@127.0.0.1:4318")
    settings = load_settings(tmp_path / ".env")
    assert isinstance(settings, Settings) and settings.token == TOKEN
    for text in (
        repr(settings),
        str(settings),
        settings.model_dump_json(),
        repr(settings.model_dump()),
    ):
        assert found(text) == []


@pytest.mark.parametrize("how", [[], ["--json"]])
def test_doctor_output_hides_secrets(
    tmp_path: Path, redis_server: RedisServer, how: list[str]
) -> None:
    secrets = {
        "KEYLIKE_API_KEY": TOKEN,
        "NGROK_TOKEN": TOKEN,
        "KEYLIKE_REDIS_URL": redis_server.url,
    }
    places = {
        "KEYLIKE_LOGS": str(tmp_path / "logs"),
        "KEYLIKE_TOKENS": str(tmp_path / "tokens.sqlite3"),
        "KEYLIKE_PORT": "0",
    }
    endpoint = {"KEYLIKE_OTEL_ENDPOINT": f"http://c4nary:{TOKEN}@127.0.0.1:9"}
    environ = {**os.environ, **secrets, **places, **endpoint}
    done = subprocess.run(
        [sys.executable, "app.py", "doctor", *how],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert len(done.stdout) > 500
    assert found(done.stdout + done.stderr) == [] and PASSWORD not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "name", ["KEYLIKE_API_KEY", "KEYLIKE_REDIS_URL", "KEYLIKE_OTEL_ENDPOINT", "KEYLIKE_APIKEY"]
)
def test_invalid_setting_is_reported_without_its_value(tmp_path: Path, name: str) -> None:
    value = "c4nary" if name.endswith("API_KEY") else f"c4nary://{TOKEN}"
    environ = {**os.environ, name: value, "KEYLIKE_LOGS": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2 and name in done.stderr
    assert found(done.stdout + done.stderr) == []


def test_search_for_canaries_finds_every_secret() -> None:
    digits = KEY["bitting"]
    for text in (
        CODE,
        str(digits),
        "".join(map(str, digits)),
        "-".join(map(str, digits)),
        " ".join(map(str, digits)),
        json.dumps(digits),
    ):
        assert found(f'{{"x": "{text}"}}') == ["the code"]
    assert found(f"peer={ADDRESS}:51234") == ["the address"]
    assert (
        found(f"zip {ZIPCODE}") == ["the zipcode"]
        and found(f"1{ZIPCODE}0 0.{ZIPCODE} :{ZIPCODE}") == []
    )
    assert found(TOKEN) == ["a canary", "a token"]
    assert len(found(PHOTO)) >= 1
