"""The Dockerfile without Docker: what it copies is enough to serve from a tree that cannot be written, and no more than that."""

from __future__ import annotations

import fnmatch
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "c4nary-token-of-the-container"
SAMPLE = ROOT / "samples" / "sc1_01.jpg"
STATE = "/var/lib/keylike"


def instructions() -> Iterator[tuple[str, str, str]]:
    """Stage, word and the rest of every instruction; what comes before the first stage belongs to none."""
    text = re.sub(
        r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    stage = ""
    for line in re.sub(r"\\\n", " ", text).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            stage = rest.rpartition(" AS ")[2]
        if word:
            yield stage, word, rest


def of(word: str, stage: str | None = None) -> list[str]:
    """What follows a word, in one stage or in all."""
    return [rest for where, one, rest in instructions() if one == word and stage in (None, where)]


def environment() -> dict[str, str]:
    """What the runtime stage sets."""
    return dict(pair.split("=", 1) for line in of("ENV", "runtime") for pair in line.split())


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a file, or a folder above it, from Docker."""
    patterns = [
        line
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
        if not line.startswith("#")
    ]
    parts = path.split("/")
    for depth in range(1, len(parts) + 1):
        for pattern in patterns:
            anywhere = pattern.startswith("**/") and fnmatch.fnmatch(parts[depth - 1], pattern[3:])
            if anywhere or fnmatch.fnmatch("/".join(parts[:depth]), pattern):
                return True
    return False


def build(context: Path, target: Path) -> None:
    """Copies what the stage `code` copies."""
    for line in of("COPY", "code"):
        *sources, to = line.split()
        for source in sources:
            found = (
                [context / source]
                if (context / source).is_file()
                else sorted((context / source).rglob("*"))
            )
            for file in (
                one
                for one in found
                if one.is_file() and not ignored(one.relative_to(context).as_posix())
            ):
                place = (
                    target
                    / to
                    / (
                        file.name
                        if file == context / source
                        else file.relative_to(context / source)
                    )
                )
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, place)


def test_the_base_is_pinned_by_version_and_digest() -> None:
    (base,) = of("ARG")
    assert re.fullmatch(r"PYTHON=python:3\.1[123]\.\d+-slim-[a-z]+@sha256:[0-9a-f]{64}", base)
    stages = [stage for stage, word, _ in instructions() if word == "FROM"]
    assert {line.partition(" ")[0] for line in of("FROM")} <= {"${PYTHON}", *stages}


def test_packages_come_from_the_locks_as_wheels() -> None:
    installs = [
        part
        for run in of("RUN")
        for part in run.split("&&")
        if "pip" in part and " install " in part
    ]
    assert len(installs) == 3
    assert all("--require-hashes" in part and "--only-binary :all:" in part for part in installs)
    copied = {
        source for line in of("COPY") for source in line.split() if source.startswith("locks/")
    }
    assert copied == {"locks/server.txt", "locks/torch.txt", "locks/gpu.txt"}
    assert "venv --without-pip" in " ".join(of("RUN", "packages"))


def test_both_images_run_as_the_same_ordinary_user() -> None:
    assert of("USER", "runtime") == ["10001:10001"]
    assert of("USER", "cuda")[-1] == "10001:10001" and of("USER", "cpu") == []
    assert "pip uninstall" in " ".join(of("RUN", "runtime")) and "ensurepip" in " ".join(
        of("RUN", "runtime")
    )


def test_the_default_image_is_the_one_without_a_compiler() -> None:
    assert [stage for stage, word, _ in instructions() if word == "FROM"][-1] == "cpu"
    assert [
        stage for stage, word, rest in instructions() if word == "RUN" and "apt-get" in rest
    ] == ["cuda"]


def test_commands_are_started_without_a_shell() -> None:
    assert json.loads(of("CMD", "runtime")[0]) == ["python", "app.py"]
    assert "/health/ready" in health()[-1]
    assert of("STOPSIGNAL") == ["SIGTERM"] and json.loads(of("VOLUME")[0]) == [STATE]


def health() -> list[str]:
    """The command of HEALTHCHECK."""
    command: list[str] = json.loads(of("HEALTHCHECK")[0].partition("CMD ")[2])
    return command


def test_package_and_entry_point_are_copied() -> None:
    copied = {source for line in of("COPY", "code") for source in line.split()[:-1]}
    assert {"app.py", "keylike", "models/caliper"} <= copied


def test_neither_secrets_nor_models_of_ones_own_get_in(tmp_path: Path) -> None:
    context, image = tmp_path / "context", tmp_path / "image"
    planted = [
        ".env",
        ".env.production",
        "keylike/api/.env",
        "tokens.sqlite3",
        "keylike/access/tokens.sqlite3-wal",
        "logs/api.log",
        "models/mine/w.safetensors",
    ]
    planted += [
        "notes.txt",
        ".git/config",
        "tests/data/photo.jpg",
        "id_rsa",
        "keylike/api/__pycache__/guards.pyc",
        "work/judged/a.jpg",
    ]
    for name in planted:
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text("c4nary")
    for source in (one for line in of("COPY", "code") for one in line.split()[:-1]):
        if (ROOT / source).is_file():
            shutil.copyfile(ROOT / source, context / source)
        else:
            shutil.copytree(ROOT / source, context / source, dirs_exist_ok=True)
    build(context, image)
    assert (image / "keylike" / "api" / "predict.py").is_file() and (
        image / "models" / "caliper" / "manifest.toml"
    ).is_file()
    assert [
        path for path in image.rglob("*") if path.is_file() and path.read_bytes() == b"c4nary"
    ] == []
    assert not [
        name
        for name in ("NGROK_TOKEN", "API_KEY", "PASSWORD")
        if any(name in line for line in of("ENV") + of("ARG"))
    ]


def freeze(tree: Path) -> list[str]:
    """Takes every right to write from a tree; what a command begins with so that root has no more rights than anybody else."""
    for path in [tree, *tree.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("as root this needs setpriv (util-linux)")
    return ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.mark.parametrize("policy", ["auto", "all"])
def test_it_serves_from_a_tree_that_it_cannot_write(tmp_path: Path, policy: str) -> None:
    tree, state, port = tmp_path / "keylike", tmp_path / "state", free_port()
    state.mkdir()
    build(ROOT, tree)
    ordinary = freeze(tree)
    settings = {
        name: value.replace(STATE, str(state))
        for name, value in environment().items()
        if name != "PATH"
    }
    # Nothing else of this process's environment: neither its settings nor what changes how libraries behave.
    settings |= {
        "PATH": os.environ["PATH"],
        "HOME": str(state),
        "KEYLIKE_PORT": str(port),
        "KEYLIKE_API_KEY": TOKEN,
    }
    settings["KEYLIKE_POLICY"] = policy

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [*ordinary, sys.executable, *arguments]
        return subprocess.run(
            command, cwd=tree, env=settings | more, capture_output=True, text=True, timeout=60
        )

    assert "Permission denied" in run("-c", "open('x', 'w')").stderr
    assert run(*health()[1:]).returncode == 1
    command = [*ordinary, sys.executable, "app.py"]
    with subprocess.Popen(
        command,
        cwd=tree,
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            assert "Ready: caliper" in next(
                line for line in server.stdout if line.startswith(("Ready", "Not"))
            )
            assert (
                run(*health()[1:]).returncode
                == run(*health()[1:], KEYLIKE_API_KEY="").returncode
                == 0
            )
            assert (ask(port, TOKEN), ask(port, "nobody's")) == (200, 401)
            server.send_signal(signal.SIGTERM)
            assert server.wait(20) == 0
        finally:
            server.kill()
    assert {path.name for path in state.iterdir()} <= {"logs", "tokens.sqlite3"} and (
        state / "logs" / "api.log"
    ).is_file()


def ask(port: int, token: str) -> int:
    """The status of a photo sent with a token."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(
        "POST", "/", SAMPLE.read_bytes(), {"Content-Type": "image/jpeg", "X-API-Key": token}
    )
    status = connection.getresponse().status
    connection.close()
    return status
