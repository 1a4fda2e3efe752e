"""The compose files: of the form that compose's own schema and, where there is one, docker compose itself want, and with few rights."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis import Redis
from redis.exceptions import AuthenticationError

from tests.deploy.files import COMPOSE, DEPLOY, compose_service, read

FILES = [DEPLOY / "compose" / "common.yaml", *COMPOSE]


def find_compose() -> list[str]:
    """The command; skips where there is none, or only the first generation, which is no longer kept."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            said = subprocess.run([*command, "version", "--short"], capture_output=True, text=True)
            if said.returncode == 0 and not said.stdout.startswith("1."):
                return command
    pytest.skip("docker compose 2 is not installed; on Debian 13: apt-get install docker-compose")


def check(*paths: Path) -> subprocess.CompletedProcess[str]:
    """Holds files against the schema of compose."""
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        *map(str, paths),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_the_schema_of_compose_holds() -> None:
    checked = check(*FILES)
    assert checked.returncode == 0, checked.stdout


def test_the_schema_finds_what_is_wrong(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text((DEPLOY / "compose" / "compose.yaml").read_text().replace("ports:", "port:"))
    assert check(wrong).returncode == 1


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_docker_compose_understands_them(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose = find_compose()
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    folder = tmp_path / "deploy" / "compose"
    for name in ("keylike.env", "redis.env"):
        shutil.copyfile(folder / f"{name}.example", folder / name)
    monkeypatch.setenv("MODELS", "/srv/models")
    monkeypatch.setenv("MODEL", "my-lora")
    said = subprocess.run(
        [*compose, "-f", str(folder / path.name), "config"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
    )
    assert said.returncode == 0, said.stderr
    service: dict[str, Any] = yaml.safe_load(said.stdout)["services"]["keylike"]
    assert (
        service["read_only"] is True and service["environment"]["KEYLIKE_POLICY"] == "predictions"
    )
    assert "/health/ready" in " ".join(service["healthcheck"]["test"])


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_nothing_has_more_rights_than_it_needs(path: Path) -> None:
    for name in read(path)["services"]:
        service = compose_service(path) if name == "keylike" else read(path)["services"][name]
        assert (
            service["read_only"] is True
            and service["cap_drop"] == ["ALL"]
            and "privileged" not in service
        ), name
        assert (
            service["security_opt"] == ["no-new-privileges:true"]
            and service["pids_limit"]
            and service["mem_limit"]
        ), name
        assert service["healthcheck"] and "cap_add" not in service, name
        # Only nginx is for others; Redis is for nobody outside.
        assert (
            all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
            or name == "nginx"
        ), name
        assert name != "redis" or "ports" not in service


def test_only_nginx_is_believed_about_addresses() -> None:
    whole = read(DEPLOY / "compose" / "compose.proxy.yaml")
    nginx, keylike = whole["services"]["nginx"], whole["services"]["keylike"]
    assert keylike["environment"]["KEYLIKE_PROXY"] == nginx["networks"]["proxied"]["ipv4_address"]
    assert "ports" not in keylike and set(keylike["networks"]) & set(nginx["networks"]) == {
        "proxied"
    }
    assert (
        whole["networks"]["proxied"]["internal"] is True
        and whole["networks"]["kept"]["internal"] is True
    )


def test_the_redis_asks_for_its_password_writes_nothing_and_tells_nobody(tmp_path: Path) -> None:
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip(
            "redis-server is not installed; on Debian or Ubuntu: apt-get install redis-server"
        )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        word.replace("$$", "$")
        for word in read(DEPLOY / "compose" / "compose.proxy.yaml")["services"]["redis"]["command"]
    ]
    assert command[-1].startswith("printf 'requirepass ")
    command[-1] = command[-1].replace("printf '", f"printf 'port {port}\\nbind 127.0.0.1\\n", 1)
    environment = {"PATH": f"{Path(server).parent}:/usr/bin:/bin", "REDIS_PASSWORD": "c4nary"}
    with subprocess.Popen(
        command,
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            assert running.stdout and any(
                "Ready to accept connections" in line for line in running.stdout
            )
            assert "c4nary" not in Path(f"/proc/{running.pid}/cmdline").read_text()
            with pytest.raises(AuthenticationError), Redis(port=port) as stranger:
                stranger.ping()
            with Redis(port=port, password="c4nary", decode_responses=True) as redis:
                assert {**redis.config_get("save"), **redis.config_get("appendonly")} == {
                    "save": "",
                    "appendonly": "no",
                }
        finally:
            # The shell, and the server that it started.
            os.killpg(running.pid, signal.SIGTERM)
    assert list(tmp_path.iterdir()) == []
