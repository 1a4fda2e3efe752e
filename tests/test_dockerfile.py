"""Tests of the Dockerfile without Docker.

One test copies the files as the image does, and runs the server from a read-only folder.
"""

from __future__ import annotations

import fnmatch
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "c4nary-token-of-the-container"
SAMPLE = ROOT / "samples" / "sc1_01.jpg"
STATE = "/var/lib/keylike"


def instructions() -> Iterator[tuple[str, str, str]]:
    """Yield the stage, the keyword and the arguments of every instruction in the Dockerfile.

    Before the first FROM, the stage is "".
    """
    text = re.sub(
        r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    stage = ""
    for line in re.sub(r"\\\n", " ", text).splitlines():
        keyword, _, arguments = line.strip().partition(" ")
        if keyword == "FROM":
            stage = arguments.rpartition(" AS ")[2]
        if keyword:
            yield stage, keyword, arguments


def arguments_of(keyword: str, stage: str | None = None) -> list[str]:
    """Return the arguments of every instruction with this keyword, in one stage or in all."""
    return [
        arguments
        for where, found, arguments in instructions()
        if found == keyword and stage in (None, where)
    ]


def environment() -> dict[str, str]:
    """Return the environment variables of the runtime stage."""
    return dict(
        pair.split("=", 1) for line in arguments_of("ENV", "runtime") for pair in line.split()
    )


def ignored(path: str) -> bool:
    """Return True if .dockerignore excludes a file or one of its parent folders."""
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
    """Copy the files that the stage `code` of the Dockerfile copies."""
    for line in arguments_of("COPY", "code"):
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


def test_base_image_is_pinned_by_version_and_digest() -> None:
    (base,) = arguments_of("ARG")
    assert re.fullmatch(r"PYTHON=python:3\.1[123]\.\d+-slim-[a-z]+@sha256:[0-9a-f]{64}", base)
    stages = [stage for stage, keyword, _ in instructions() if keyword == "FROM"]
    assert {line.partition(" ")[0] for line in arguments_of("FROM")} <= {"${PYTHON}", *stages}


def test_packages_of_the_image_are_installed_as_locked_wheels() -> None:
    installs = [
        part
        for run in arguments_of("RUN")
        for part in run.split("&&")
        if "pip" in part and " install " in part
    ]
    assert len(installs) == 3
    assert all("--require-hashes" in part and "--only-binary :all:" in part for part in installs)
    copied = {
        source
        for stage in ("packages", "packages-cuda")
        for line in arguments_of("COPY", stage)
        for source in line.split()
    }
    assert copied == {"requirements.txt", "locks/torch.txt", "locks/gpu.txt", "./"}
    assert "venv --without-pip" in " ".join(arguments_of("RUN", "packages"))


def test_both_images_run_as_the_same_unprivileged_user() -> None:
    assert arguments_of("USER", "runtime") == ["10001:0"]
    assert arguments_of("USER", "cuda")[-1] == "10001:0" and arguments_of("USER", "cpu") == []
    assert "pip uninstall" in " ".join(arguments_of("RUN", "runtime")) and "ensurepip" in " ".join(
        arguments_of("RUN", "runtime")
    )


def test_any_user_of_group_0_can_read_the_code_and_write_the_data() -> None:
    assert "chmod -R a+rX ." in arguments_of("RUN", "code")[0]
    assert f"install -d -o 10001 -g 0 -m 0770 {STATE}" in " ".join(arguments_of("RUN", "runtime"))


def test_labels_of_the_image_describe_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    labels = dict(
        pair.split("=", 1) for line in arguments_of("LABEL") for pair in shlex.split(line)
    )
    names = ("title", "description", "version", "licenses")
    assert [labels[f"org.opencontainers.image.{name}"] for name in names] == [
        "Keylike",
        project["description"],
        project["version"],
        project["license"],
    ]


def test_default_image_has_no_compiler() -> None:
    assert [stage for stage, keyword, _ in instructions() if keyword == "FROM"][-1] == "cpu"
    assert [
        stage
        for stage, keyword, arguments in instructions()
        if keyword == "RUN" and "apt-get" in arguments
    ] == ["cuda"]


def test_commands_of_the_image_run_without_a_shell() -> None:
    assert json.loads(arguments_of("CMD", "runtime")[0]) == ["python", "app.py"]
    assert "/health/ready" in health()[-1]
    assert arguments_of("STOPSIGNAL") == ["SIGTERM"] and json.loads(arguments_of("VOLUME")[0]) == [
        STATE
    ]


def health() -> list[str]:
    """Return the command of HEALTHCHECK."""
    command: list[str] = json.loads(arguments_of("HEALTHCHECK")[0].partition("CMD ")[2])
    return command


def test_image_contains_package_entry_point_and_model() -> None:
    copied = {source for line in arguments_of("COPY", "code") for source in line.split()[:-1]}
    assert {"app.py", "keylike", "models/caliper"} <= copied


def test_image_contains_no_secrets_and_no_private_models(tmp_path: Path) -> None:
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
    for source in (one for line in arguments_of("COPY", "code") for one in line.split()[:-1]):
        (context / source).parent.mkdir(parents=True, exist_ok=True)
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
        if any(name in line for line in arguments_of("ENV") + arguments_of("ARG"))
    ]


def freeze(tree: Path) -> list[str]:
    """Make a folder read-only.

    Root could write anyway. If needed, return the start of a command that drops this right.
    """
    for path in [tree, *tree.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv (util-linux) is needed when the tests run as root")
    return ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]


def free_port() -> int:
    """Return a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("policy", ["auto", "all"])
def test_server_runs_from_a_read_only_folder(tmp_path: Path, policy: str) -> None:
    tree, state, port = tmp_path / "keylike", tmp_path / "state", free_port()
    state.mkdir()
    build(ROOT, tree)
    unprivileged = freeze(tree)
    settings = {
        name: value.replace(STATE, str(state))
        for name, value in environment().items()
        if name != "PATH"
    }
    # Pass no other variables of this process: no settings, and none that libraries react to.
    settings |= {
        "PATH": os.environ["PATH"],
        "HOME": str(state),
        "KEYLIKE_PORT": str(port),
        "KEYLIKE_API_KEY": TOKEN,
    }
    settings["KEYLIKE_POLICY"] = policy

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [*unprivileged, sys.executable, *arguments]
        return subprocess.run(
            command, cwd=tree, env=settings | more, capture_output=True, text=True, timeout=60
        )

    assert "Permission denied" in run("-c", "open('x', 'w')").stderr
    assert run(*health()[1:]).returncode == 1
    command = [*unprivileged, sys.executable, "app.py"]
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
            assert (ask(port, TOKEN), ask(port, "not-a-token")) == (200, 401)
            server.send_signal(signal.SIGTERM)
            assert server.wait(20) == 0
        finally:
            server.kill()
    assert {path.name for path in state.iterdir()} <= {"logs", "tokens.sqlite3"} and (
        state / "logs" / "api.log"
    ).is_file()


def ask(port: int, token: str) -> int:
    """Send a photo with a token and return the status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(
        "POST", "/", SAMPLE.read_bytes(), {"Content-Type": "image/jpeg", "X-API-Key": token}
    )
    status = connection.getresponse().status
    connection.close()
    return status
