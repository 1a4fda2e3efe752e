"""Every way to run Keylike in deploy/, held against the server: settings, ports, probes, sizes, the time of a stop, and no secret."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask_openapi3 import OpenAPI
from pydantic import SecretStr

from keylike.service import Load, batch_limit, binding, create_app
from keylike.settings import Settings, load_settings
from tests.deploy.files import (
    COMPOSE,
    DEPLOY,
    KUBERNETES,
    Way,
    compose_service,
    documents,
    read,
    ways,
)

WAYS = list(ways())
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".pyc")
# What a request may hold where the platform says so, bytes.
CLOUD_RUN_BODY = 32 * 1024**2


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The settings that a way leads to, read as the server reads them."""

    def load(way: Way) -> Settings:
        for name, value in way.environment.items():
            monkeypatch.setenv(name, value)
        return load_settings(tmp_path / "none")

    return load


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_settings_are_such_as_there_are(way: Way, chosen: Any) -> None:
    settings = chosen(way)
    assert settings.policy == "predictions" and settings.token and settings.threads == 2
    assert all(name.startswith("KEYLIKE_") or name == "MODEL_PATH" for name in way.environment)


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_no_file_names_a_setting_that_there_is_not(file: Path) -> None:
    known = {
        str(field.validation_alias or f"KEYLIKE_{name.upper()}")
        for name, field in Settings.model_fields.items()
    }
    assert set(re.findall(r"\bKEYLIKE_[A-Z_]+[A-Z]\b", file.read_text(encoding="utf-8"))) <= known


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_what_listens_is_what_is_asked(way: Way, app: OpenAPI, chosen: Any) -> None:
    assert way.ports == {chosen(way).port} == {5000}
    client = app.test_client()
    assert way.probes and [client.get(path).status_code for path in way.probes] == [200] * len(
        way.probes
    )


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_stop_has_the_time_it_needs(way: Way, chosen: Any) -> None:
    assert way.grace_s >= way.quiet_s + binding(chosen(way)).drain_s + 1


def test_cloud_run_takes_all_that_keylike_takes(chosen: Any) -> None:
    settings = chosen(next(way for way in WAYS if way.name == "google"))
    assert batch_limit(settings) < CLOUD_RUN_BODY


@pytest.mark.parametrize(
    "way", [way for way in WAYS if way.name.startswith("kubernetes")], ids=lambda way: way.name
)
def test_the_ingress_lets_through_what_is_public_and_nothing_else(
    way: Way, app: OpenAPI, chosen: Any
) -> None:
    (ingress,) = [one for one in documents(KUBERNETES / "base") if one["kind"] == "Ingress"]
    assert int(ingress["metadata"]["annotations"]["nginx.org/client-max-body-size"]) == batch_limit(
        chosen(way)
    )
    (rule,) = ingress["spec"]["rules"]

    def passes(path: str) -> bool:
        return any(
            path == one["path"]
            or (one["pathType"] == "Prefix" and path.startswith(one["path"] + "/"))
            for one in rule["http"]["paths"]
        )

    routes = {re.sub("<.*", "x", rule.rule) for rule in app.url_map.iter_rules()}
    operators = {path for path in routes if path.startswith(("/metrics", "/debug", "/cache"))}
    assert {path for path in routes if not passes(path)} == operators and len(operators) >= 4


def test_prometheus_gets_in_with_what_the_monitor_gives_it(settings: Settings, model: Load) -> None:
    objects = documents(KUBERNETES / "base")
    (endpoint,) = next(one for one in objects if one["kind"] == "ServiceMonitor")["spec"][
        "endpoints"
    ]
    (container,) = next(one for one in objects if one["kind"] == "Deployment")["spec"]["template"][
        "spec"
    ]["containers"]
    (secret,) = [
        one["valueFrom"]["secretKeyRef"]
        for one in container["env"]
        if one["name"] == "KEYLIKE_API_KEY"
    ]
    assert endpoint["authorization"]["credentials"] == secret
    assert {endpoint["port"]} == {
        port["name"] for one in objects if one["kind"] == "Service" for port in one["spec"]["ports"]
    }
    app = create_app(
        settings.model_copy(
            update={"api_key": SecretStr("a" * 16), "policy": "predictions", "host": "0.0.0.0"}
        ),
        load=model,
    )
    client, elsewhere = app.test_client(), {"REMOTE_ADDR": "192.0.2.1"}
    bearer = {"Authorization": f"{endpoint['authorization']['type']} {'a' * 16}"}
    assert client.get(endpoint["path"], headers=bearer, environ_base=elsewhere).status_code == 200
    assert client.get(endpoint["path"], environ_base=elsewhere).status_code in (401, 403)


def test_the_image_runs_as_the_user_that_the_manifests_name() -> None:
    dockerfile = (DEPLOY.parent / "Dockerfile").read_text(encoding="utf-8")
    pod = next(one for one in documents(KUBERNETES / "base") if one["kind"] == "Deployment")[
        "spec"
    ]["template"]["spec"]
    task = read(DEPLOY / "aws" / "task-definition.json")["containerDefinitions"][0]
    user = f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    assert (
        f"USER {user}" in dockerfile
        and task["user"] == user
        and pod["securityContext"]["runAsNonRoot"] is True
    )
    written = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert (
        {json_path for json_path in re.findall(r'VOLUME \["([^"]+)"\]', dockerfile)}
        == written - {"/tmp"}
        == {"/var/lib/keylike"}
    )
    targets = {target for target in re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.MULTILINE)}
    assert {compose_service(path)["build"]["target"] for path in COMPOSE} <= targets


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_no_secret_is_in_the_tree(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"\bkl_[A-Za-z0-9_-]{20,}|-----BEGIN|AKIA[0-9A-Z]{16}", text)
    assert not re.search(
        r"^(KEYLIKE_API_KEY|KEYLIKE_REDIS_URL|REDIS_PASSWORD)=.+$", text, re.MULTILINE
    )
    assert "kind: Secret\n" not in text
