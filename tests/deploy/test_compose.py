"""Tests of the compose files: they match the schema, and their services have few rights."""

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

from tests.deploy.deployments import COMPOSE, DEPLOY, compose_service, read

FILES = [DEPLOY / "compose" / "common.yaml", *COMPOSE]


def find_compose() -> list[str]:
    """Return the docker compose command, or skip the test if version 2 or later is missing."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            completed = subprocess.run(
                [*command, "version", "--short"], capture_output=True, text=True
            )
            if completed.returncode == 0 and not completed.stdout.startswith("1."):
                return command
    pytest.skip("docker compose 2 is not installed; on Debian 13: apt-get install docker-compose")


def check(*paths: Path) -> subprocess.CompletedProcess[str]:
    """Check compose files against the compose schema."""
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        *map(str, paths),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_compose_files_match_the_schema() -> None:
    checked = check(*FILES)
    assert checked.returncode == 0, checked.stdout


def test_compose_schema_rejects_an_invalid_file(tmp_path: Path) -> None:
    invalid = tmp_path / "compose.yaml"
    invalid.write_text((DEPLOY / "compose" / "compose.yaml").read_text().replace("ports:", "port:"))
    assert check(invalid).returncode == 1


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_docker_compose_accepts_the_file(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose = find_compose()
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    folder = tmp_path / "deploy" / "compose"
    for name in ("keylike.env", "redis.env"):
        shutil.copyfile(folder / f"{name}.example", folder / name)
    monkeypatch.setenv("MODELS", "/srv/models")
    monkeypatch.setenv("MODEL", "my-lora")
    completed = subprocess.run(
        [*compose, "-f", str(folder / path.name), "config"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
    )
    assert completed.returncode == 0, completed.stderr
    service: dict[str, Any] = yaml.safe_load(completed.stdout)["services"]["keylike"]
    assert (
        service["read_only"] is True and service["environment"]["KEYLIKE_POLICY"] == "predictions"
    )
    assert "/health/ready" in " ".join(service["healthcheck"]["test"])


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_compose_services_have_few_rights_and_resource_limits(path: Path) -> None:
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
        # Only nginx may be reachable from other machines, and Redis only in the compose network.
        assert (
            all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
            or name == "nginx"
        ), name
        assert name != "redis" or "ports" not in service


def test_compose_with_nginx_trusts_only_nginx_as_proxy() -> None:
    compose_file = read(DEPLOY / "compose" / "compose.proxy.yaml")
    nginx, keylike = compose_file["services"]["nginx"], compose_file["services"]["keylike"]
    assert keylike["environment"]["KEYLIKE_PROXY"] == nginx["networks"]["frontend"]["ipv4_address"]
    assert "ports" not in keylike and set(keylike["networks"]) & set(nginx["networks"]) == {
        "frontend"
    }
    assert (
        compose_file["networks"]["frontend"]["internal"] is True
        and compose_file["networks"]["backend"]["internal"] is True
    )


def test_compose_redis_requires_a_password_and_writes_no_files(tmp_path: Path) -> None:
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip(
            "redis-server is not installed; on Debian or Ubuntu: apt-get install redis-server"
        )
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
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
    ) as process:
        try:
            assert process.stdout and any(
                "Ready to accept connections" in line for line in process.stdout
            )
            assert "c4nary" not in Path(f"/proc/{process.pid}/cmdline").read_text()
            with pytest.raises(AuthenticationError), Redis(port=port) as client:
                client.ping()
            with Redis(port=port, password="c4nary", decode_responses=True) as redis:
                assert {**redis.config_get("save"), **redis.config_get("appendonly")} == {
                    "save": "",
                    "appendonly": "no",
                }
        finally:
            # Stop the shell and the server that it started.
            os.killpg(process.pid, signal.SIGTERM)
    assert list(tmp_path.iterdir()) == []
