"""Tests of a server process with a Gemma model: LoRA adapter, merged model, and 4-bit weights."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from keylike.readers.evaluation import Shot
from tests.contract import check_body
from tests.gemma_models import GemmaModels, environment

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.gemma
FORMS = ("lora", "merged", "nf4")


class Served:
    """A server process whose model may still be loading."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self._process, self._address = process, address
        self.lines: list[str] = []

    def wait_for_the_model(self) -> str:
        """Read the output until the line that says that a reader is ready; return that line."""
        assert self._process.stdout
        for line in self._process.stdout:
            self.lines.append(line)
            if line.startswith(("Ready:", "Degraded:")):
                return line
        raise AssertionError("".join(self.lines))

    def try_to_ask(self, data: bytes) -> bool:
        """Return True if the server reads the photo or refuses it with status 503."""
        try:
            return self.ask("/", data)[0] in (200, 503)
        except OSError:
            return False

    def signal(self, number: int) -> None:
        """Send a signal to the process."""
        self._process.send_signal(number)

    def ended(self, timeout_s: float) -> int:
        """Wait for the end of the process and return its exit status."""
        return self._process.wait(timeout_s)

    def ask(self, path: str, data: bytes | None = None) -> tuple[int, dict[str, Any]]:
        """Send a request and return the status and the JSON body."""
        request = urllib.request.Request(
            self._address + path, data, {"Content-Type": "image/jpeg"} if data else {}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)


@contextmanager
def serve(folder: Path, tmp_path: Path, **settings: str) -> Iterator[Served]:
    """Run `python app.py` with this model folder in MODEL_PATH."""
    own = {
        "MODEL_PATH": str(folder),
        "KEYLIKE_PORT": "0",
        "KEYLIKE_LOGS": str(tmp_path / "logs"),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, str(ROOT / "app.py")]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
        env=environment() | own | settings,
    )
    try:
        assert process.stdout
        before = []
        for line in process.stdout:
            before.append(line)
            address = next((word for word in line.split() if word.startswith("http://")), None)
            if address:
                break
        else:
            raise AssertionError("".join(before))
        yield Served(process, address)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def expected(shot: Shot) -> tuple[str, str] | None:
    """Return the keyway and the bitting of a photo, or None if it shows no key."""
    return (shot.keyway, ",".join(map(str, shot.codes))) if shot.codes else None


@pytest.mark.parametrize("form", FORMS)
def test_gemma_server_reads_the_right_codes_in_each_form(
    form: str, gemma_models: GemmaModels, tmp_path: Path
) -> None:
    folder: Path = getattr(gemma_models, form)
    more = {"KEYLIKE_BASE_MODEL": str(gemma_models.base)} if form == "lora" else {}
    with serve(folder, tmp_path, KEYLIKE_STRICT="1", **more) as served:
        assert served.wait_for_the_model() == "Ready: gemma-3n-keys-1.0.0 reads.\n"
        _, document = served.ask("/openapi.json")
        for shot in gemma_models.shots:
            status, body = served.ask("/", shot.path.read_bytes())
            check_body(document, status, body, "/", "post")
            if shot.codes is None:
                assert (status, body["reason"]) == (422, "not_a_key"), body
                continue
            assert (body["keyway"], body["bitting"]) == expected(shot)
            assert body["model_used"] == "gemma-3n-keys-1.0.0"
            assert body["calibrated"] is False
            assert body["confidence"] > 0.9
        status, body = served.ask("/health")
        assert (body["status"], body["reason"], body["model"]) == (
            "healthy",
            None,
            "gemma-3n-keys-1.0.0",
        )


def altered(folder: Path, tmp_path: Path) -> Path:
    """Return a copy of a model folder that a test may damage."""
    return Path(shutil.copytree(folder, tmp_path / folder.name))


def test_embedded_reader_is_used_if_the_gemma_folder_cannot_be_loaded(
    gemma_models: GemmaModels, tmp_path: Path
) -> None:
    folder = altered(gemma_models.merged, tmp_path)
    (folder / "model.safetensors").write_bytes(b"other weights")
    with serve(folder, tmp_path) as served:
        assert served.wait_for_the_model().startswith("Degraded: ")
        status, body = served.ask("/health")
        assert (status, body["status"]) == (200, "degraded")
        assert body["model"].startswith("caliper-")
        assert "does not match its SHA-256" in body["reason"]
        assert str(tmp_path) not in json.dumps(body)
        shot = next(shot for shot in gemma_models.shots if shot.codes)
        status, body = served.ask("/", shot.path.read_bytes())
        assert status in (200, 422)
        assert body["model_used"].startswith("caliper-")


def test_strict_server_exits_if_the_gemma_folder_cannot_be_loaded(
    gemma_models: GemmaModels, tmp_path: Path
) -> None:
    own = {
        "MODEL_PATH": str(gemma_models.lora),
        "KEYLIKE_STRICT": "1",
        "KEYLIKE_PORT": "0",
        "KEYLIKE_LOGS": str(tmp_path),
    }
    own["KEYLIKE_BASE_MODEL"] = str(gemma_models.photos)
    ended = subprocess.run(
        [sys.executable, str(ROOT / "app.py")],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env=environment() | own,
    )
    assert ended.returncode == 2
    assert ended.stderr.strip().splitlines()[-1].startswith(f"keylike: {gemma_models.lora}: ")
    assert "Traceback" not in ended.stderr


def test_two_agreeing_readers_give_a_higher_confidence(
    gemma_models: GemmaModels, tmp_path: Path
) -> None:
    with serve(gemma_models.merged, tmp_path, KEYLIKE_STRICT="1", KEYLIKE_AGREE="1") as served:
        served.wait_for_the_model()
        agreed = 0
        for shot in gemma_models.shots:
            status, body = served.ask("/", shot.path.read_bytes())
            if status == 200:
                assert (body["keyway"], body["bitting"]) == expected(shot)
                assert body["calibrated"] is False, (
                    "the confidence of two agreeing readers was not calibrated"
                )
                assert body["model_used"].startswith("gemma-3n-keys-1.0.0+caliper-")
                agreed += body["confidence"] > 0.95
        assert agreed >= 3


def test_second_signal_ends_the_process_while_photos_wait(
    gemma_models: GemmaModels, tmp_path: Path
) -> None:
    """Send a second signal while the model works on photos: it must end the process."""
    photo = gemma_models.shots[0].path.read_bytes()
    with serve(gemma_models.merged, tmp_path, KEYLIKE_STRICT="1", KEYLIKE_THREADS="8") as served:
        served.wait_for_the_model()
        with ThreadPoolExecutor(8) as callers:
            answers = [callers.submit(served.try_to_ask, photo) for _ in range(8)]
            assert answers[0].result(60)
            served.signal(signal.SIGTERM)
            served.signal(signal.SIGTERM)
            assert served.ended(30) in (0, 128 + signal.SIGTERM)


def test_lora_adapter_finds_its_base_model_in_a_sibling_folder(
    gemma_models: GemmaModels, tmp_path: Path
) -> None:
    home = tmp_path / "models"
    lora = Path(shutil.copytree(gemma_models.lora, home / "lora"))
    os.symlink(gemma_models.base, home / gemma_models.base.name)
    shot = next(shot for shot in gemma_models.shots if shot.codes)
    with serve(lora, tmp_path, KEYLIKE_STRICT="1") as served:
        served.wait_for_the_model()
        status, body = served.ask("/predict", shot.path.read_bytes())
        assert (status, body.get("keyway"), body.get("bitting")) == (200, *(expected(shot) or ()))
