"""Nothing of a request is found afterwards in logs, terminal, metrics, traces, failures, the temporary folder or Redis."""

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
    photo_with_place,
)
from tests.secrets.scene import MULTIPART, ROOT, Scene, as_json, form, own_address
from tools.plain_pictures import BLUE, plain

OFFLINE = {"KEYLIKE_LIMITS": "on", "KEYLIKE_LIMIT_ADDRESS": "60 per hour"}
QUERY = f"?api_key={TOKEN}&zipcode={ZIPCODE}&c4nary=c4nary"
PHOTO = photo_with_place()
CODE = ",".join(map(str, KEY["bitting"]))


@pytest.fixture
def collector() -> Iterator[Collector]:
    """What takes the traces."""
    pytest.importorskip(
        "opentelemetry.sdk",
        reason="OpenTelemetry is an extra: pip install -r locks/otel.txt",
    )
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture
def scene(tmp_path: Path, collector: Collector, redis_server: RedisServer) -> Iterator[Scene]:
    """The real server with the shipped model, Redis and a collector; anybody may have photos read, but each address only so many."""
    own_address()
    settings = {"KEYLIKE_REDIS_URL": redis_server.url, "KEYLIKE_POLICY": "open", **OFFLINE}
    scene = Scene(tmp_path / "home", ["app.py"], collector, **settings)
    scene.ready()
    yield scene
    scene.end()


def readings(scene: Scene) -> None:
    """The same photo in every way that it can be sent: with no token, the right one, a wrong one, and one in the query."""
    ways = [
        (form(PHOTO, zipcode=ZIPCODE, c4nary="c4nary-field"), MULTIPART),
        (as_json(PHOTO), "application/json"),
        (PHOTO, "image/jpeg"),
    ]
    for path in ("/", "/predict", f"/predict{QUERY}"):
        for body, content in ways:
            answer = scene.ask("POST", path, body, content)
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
            scene.ask("POST", "/", PHOTO, "image/jpeg", **token, Cache_Control="no-cache").status
            == 200
        )
    batch = scene.ask("POST", f"/predict/batch{QUERY}", form(PHOTO, 3, zipcode=ZIPCODE), MULTIPART)
    assert batch.status == 200 and found(batch.body, "the zipcode", "the code") == []
    family = scene.ask("POST", f"/classify/image{QUERY}", PHOTO, "image/jpeg")
    assert family.status == 200 and found(family.body) == []


def failures(scene: Scene) -> set[str]:
    """One of each failure that a caller can bring about; their codes."""
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
        ("POST", "/predict", PHOTO, "application/c4nary", {}),
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
        answer = scene.ask(method, path, body, content, **more)
        assert found(answer.body) == [] and found(answer.headers) == [], (method, path, answer)
        if answer.code:
            codes.add(answer.code)
    return codes


def too_many(scene: Scene) -> None:
    """Goes on until the limit is reached."""
    for _ in range(80):
        answer = scene.ask("POST", "/predict", form(b"", 0, c4nary="c4nary"), MULTIPART)
        if answer.status == 429:
            break
    assert (
        answer.code == "rate_limited" and found(answer.body) == [] and found(answer.headers) == []
    )


def broken_requests(scene: Scene) -> None:
    """What the socket itself refuses."""
    for head in (
        b"GET /c4nary HTTP/1.1\r\nContent-Length: c4nary\r\n\r\n",
        b"c4nary c4nary c4nary\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-C4nary c4nary\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-C4nary: " + b"c4nary" * 60_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: c4nary\r\n\r\nc4nary",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nc4nary\r\n",
    ):
        assert found(scene.raw(head)) == []


def test_nothing_of_a_request_is_found_afterwards(scene: Scene, redis_server: RedisServer) -> None:
    readings(scene)
    codes = failures(scene)
    broken_requests(scene)
    too_many(scene)
    shown = scene.operator()
    written = scene.stop()
    assert {path: found(data) for path, data in shown.items() if found(data)} == {}
    assert {place: found(data) for place, data in written.items() if found(data)} == {}
    # Neither in its owner's home: onnxruntime would keep a number for this machine there, and tell its maker of each start.
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
    # Python's tempfile touches its folder the first time that anything wants a file in it, even one without a name.
    assert (
        list(scene.temporary.iterdir()) == []
        and scene.temporary.stat().st_mtime_ns == scene.touched
    )
    with redis_server.client() as client:
        kept = {key: client.dump(key) or b"" for key in client.scan_iter()}
        plain_text = b"".join(
            value for key in client.keys("keylike:reading:*") if (value := client.get(key))
        )
        assert all(client.ttl(key) > 0 for key in kept)
    # The readings themselves are there by design; who asked, and for what, is not.
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


def test_large_photos_and_batches_never_touch_the_disk(tmp_path: Path) -> None:
    own_address()
    scene = Scene(tmp_path / "home", ["app.py"], KEYLIKE_POLICY="open", KEYLIKE_LIMITS="off")
    try:
        scene.ready()
        large = plain(BLUE, size=(4000, 3000)) + bytes(6_000_000)
        assert scene.ask("POST", "/predict", form(large), MULTIPART).code == "unreadable"
        assert (
            scene.ask("POST", "/predict", as_json(large), "application/json").code == "unreadable"
        )
        assert scene.ask("POST", "/predict", large, "image/jpeg").code == "unreadable"
        assert scene.ask("POST", "/predict/batch", form(large, 6), MULTIPART).status == 200
        assert scene.ask("POST", "/classify/image", form(large), MULTIPART).status == 200
        scene.stop()
        assert (
            list(scene.temporary.iterdir()) == []
            and scene.temporary.stat().st_mtime_ns == scene.touched
        )
    finally:
        scene.end()


def test_a_crash_tells_nobody_what_it_was_about(tmp_path: Path, collector: Collector) -> None:
    """A reader that raises and logs all secrets, in its own name and in those of libraries."""
    own_address()
    command, settings = (
        ["-m", "tests.secrets.serve_crashing"],
        {"KEYLIKE_POLICY": "open", "KEYLIKE_LIMITS": "off"},
    )
    scene = Scene(
        tmp_path / "home",
        command,
        collector,
        MODEL_PATH="c4nary-model",
        KEYLIKE_STRICT="1",
        **settings,
    )
    try:
        loading = scene.ask("POST", f"/predict{QUERY}", PHOTO, "image/jpeg")
        assert (loading.code, found(loading.body)) == ("model_loading", [])
        assert scene.process.stdin
        scene.process.stdin.write(b"\n")
        scene.process.stdin.flush()
        scene.ready()
        for path in ("/predict", "/predict/batch"):
            answer = scene.ask(
                "POST", f"{path}{QUERY}", form(PHOTO, 2 if "batch" in path else 1), MULTIPART
            )
            assert (
                b'"internal"' in answer.body
                and found(answer.body) == []
                and found(answer.headers) == []
            )
        shown, written = scene.operator(), scene.stop()
        assert {path: found(data) for path, data in shown.items() if found(data)} == {}
        # MODEL_PATH is what whoever started it typed, and the terminal says which model that is.
        named = {place: data.replace(b"c4nary-model", b"") for place, data in written.items()}
        assert {place: found(data) for place, data in named.items() if found(data)} == {}
        assert (
            b"RuntimeError" in written["logs/api.log"]
            and b"serve_crashing.py" in written["logs/api.log"]
        )
    finally:
        scene.end()


def test_the_process_shows_no_token(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "home", ["app.py"])
    try:
        proc = Path(f"/proc/{scene.process.pid}")
        if not proc.exists():
            pytest.skip("there is no /proc here")
        assert found((proc / "cmdline").read_bytes()) == []
        threads = [path.read_bytes() for path in proc.glob("task/*/comm")]
        assert threads and found(b"".join(threads)) == []
    finally:
        scene.end()


def test_settings_hide_their_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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
def test_doctor_shows_no_secret(tmp_path: Path, redis_server: RedisServer, how: list[str]) -> None:
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
def test_a_bad_setting_is_told_without_its_value(tmp_path: Path, name: str) -> None:
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


def test_the_search_finds_what_it_looks_for() -> None:
    """Or all of the above would prove nothing."""
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
    assert found(TOKEN) == ["a word of the request", "a token"]
    assert len(found(PHOTO)) >= 1
