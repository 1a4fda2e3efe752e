"""Tests that every deployment fits the server: settings, ports, probes, sizes and stop times."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask_openapi3 import OpenAPI
from pydantic import SecretStr

from keylike.configuration import batch_limit, binding
from keylike.service import Load, create_app
from keylike.settings import Settings, load_settings
from tests.deploy.deployments import (
    COMPOSE,
    DEPLOY,
    KUBERNETES,
    Deployment,
    compose_service,
    deployments,
    documents,
    read,
)

DEPLOYMENTS = list(deployments())
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".pyc")
# The largest request that Cloud Run accepts, in bytes.
CLOUD_RUN_BODY = 32 * 1024**2


@pytest.fixture
def load_deployment_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return a function that loads the settings of a deployment as the server does."""

    def load(deployment: Deployment) -> Settings:
        for name, value in deployment.environment.items():
            monkeypatch.setenv(name, value)
        return load_settings(tmp_path / "none")

    return load


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment.name)
def test_deployment_settings_are_valid(
    deployment: Deployment, load_deployment_settings: Any
) -> None:
    settings = load_deployment_settings(deployment)
    assert settings.policy == "predictions" and settings.token and settings.threads == 2
    assert all(
        name.startswith("KEYLIKE_") or name == "MODEL_PATH" for name in deployment.environment
    )


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_deployment_file_contains_only_existing_settings(file: Path) -> None:
    known = {
        str(field.validation_alias or f"KEYLIKE_{name.upper()}")
        for name, field in Settings.model_fields.items()
    }
    assert set(re.findall(r"\bKEYLIKE_[A-Z_]+[A-Z]\b", file.read_text(encoding="utf-8"))) <= known


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment.name)
def test_deployment_ports_and_probes_exist(
    deployment: Deployment, app: OpenAPI, load_deployment_settings: Any
) -> None:
    assert deployment.ports == {load_deployment_settings(deployment).port} == {5000}
    client = app.test_client()
    assert deployment.probes and [client.get(path).status_code for path in deployment.probes] == [
        200
    ] * len(deployment.probes)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment.name)
def test_deployment_stops_no_server_before_it_has_drained(
    deployment: Deployment, load_deployment_settings: Any
) -> None:
    assert (
        deployment.grace_s
        >= deployment.pre_stop_s + binding(load_deployment_settings(deployment)).drain_s + 1
    )


def test_cloud_run_accepts_the_largest_batch(load_deployment_settings: Any) -> None:
    settings = load_deployment_settings(
        next(deployment for deployment in DEPLOYMENTS if deployment.name == "google")
    )
    assert batch_limit(settings) < CLOUD_RUN_BODY


@pytest.mark.parametrize(
    "deployment",
    [deployment for deployment in DEPLOYMENTS if deployment.name.startswith("kubernetes")],
    ids=lambda deployment: deployment.name,
)
def test_ingress_forwards_all_paths_except_operator_paths(
    deployment: Deployment, app: OpenAPI, load_deployment_settings: Any
) -> None:
    (ingress,) = [item for item in documents(KUBERNETES / "base") if item["kind"] == "Ingress"]
    assert int(ingress["metadata"]["annotations"]["nginx.org/client-max-body-size"]) == batch_limit(
        load_deployment_settings(deployment)
    )
    (rule,) = ingress["spec"]["rules"]

    def is_forwarded(path: str) -> bool:
        return any(
            path == item["path"]
            or (item["pathType"] == "Prefix" and path.startswith(item["path"] + "/"))
            for item in rule["http"]["paths"]
        )

    routes = {re.sub("<.*", "x", rule.rule) for rule in app.url_map.iter_rules()}
    routes |= {"/v1" + path.rstrip("/") for path in routes}
    operator_paths = {
        path for path in routes if re.match("(/v1)?/(metrics|debug|cache)(/|$)", path)
    }
    assert {path for path in routes if not is_forwarded(path)} == operator_paths and len(
        operator_paths
    ) >= 8


def test_token_of_the_service_monitor_gives_access_to_metrics(
    settings: Settings, model: Load
) -> None:
    objects = documents(KUBERNETES / "base")
    (endpoint,) = next(item for item in objects if item["kind"] == "ServiceMonitor")["spec"][
        "endpoints"
    ]
    (container,) = next(item for item in objects if item["kind"] == "Deployment")["spec"][
        "template"
    ]["spec"]["containers"]
    (secret,) = [
        item["valueFrom"]["secretKeyRef"]
        for item in container["env"]
        if item["name"] == "KEYLIKE_API_KEY"
    ]
    assert endpoint["authorization"]["credentials"] == secret
    assert {endpoint["port"]} == {
        port["name"]
        for item in objects
        if item["kind"] == "Service"
        for port in item["spec"]["ports"]
    }
    app = create_app(
        settings.model_copy(
            update={"api_key": SecretStr("a" * 16), "policy": "predictions", "host": "0.0.0.0"}
        ),
        load=model,
    )
    client, remote = app.test_client(), {"REMOTE_ADDR": "192.0.2.1"}
    bearer = {"Authorization": f"{endpoint['authorization']['type']} {'a' * 16}"}
    assert client.get(endpoint["path"], headers=bearer, environ_base=remote).status_code == 200
    assert client.get(endpoint["path"], environ_base=remote).status_code in (401, 403)


def test_user_and_volumes_of_the_image_match_the_manifests() -> None:
    dockerfile = (DEPLOY.parent / "Dockerfile").read_text(encoding="utf-8")
    pod = next(item for item in documents(KUBERNETES / "base") if item["kind"] == "Deployment")[
        "spec"
    ]["template"]["spec"]
    task = read(DEPLOY / "aws" / "task-definition.json")["containerDefinitions"][0]
    user = f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    assert (
        f"USER {user}" in dockerfile
        and task["user"] == user
        and pod["securityContext"]["runAsNonRoot"] is True
    )
    mounted = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert (
        {path for path in re.findall(r'VOLUME \["([^"]+)"\]', dockerfile)}
        == mounted - {"/tmp"}
        == {"/var/lib/keylike"}
    )
    targets = {target for target in re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.MULTILINE)}
    assert {compose_service(path)["build"]["target"] for path in COMPOSE} <= targets


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_deployment_file_contains_no_secret(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"\bkl_[A-Za-z0-9_-]{20,}|-----BEGIN|AKIA[0-9A-Z]{16}", text)
    assert not re.search(
        r"^(KEYLIKE_API_KEY|KEYLIKE_REDIS_URL|REDIS_PASSWORD)=.+$", text, re.MULTILINE
    )
    assert "kind: Secret\n" not in text
