"""Tests that the files for AWS, Google Cloud and Azure match the APIs of these clouds."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from types import ModuleType
from typing import Any

import kubernetes_validate
import pytest
from azure.mgmt.appcontainers import models, types
from pydantic import ConfigDict, TypeAdapter, ValidationError

from tests.deploy.deployments import DEPLOY, read

# Allowed fields of the objects of Cloud Run's Admin API v1, revision 20261031. They differ from
# those of Kubernetes.
CLOUD_RUN = {
    "service": {"apiVersion", "kind", "metadata", "spec"},
    "spec": {"template", "traffic"},
    "revision": {
        "containerConcurrency",
        "timeoutSeconds",
        "serviceAccountName",
        "containers",
        "volumes",
        "nodeSelector",
    },
    "container": {
        "name",
        "image",
        "command",
        "args",
        "env",
        "ports",
        "resources",
        "startupProbe",
        "livenessProbe",
        "readinessProbe",
        "volumeMounts",
    },
}


def violations(description: ModuleType, name: str, content: Any) -> list[str]:
    """Return the paths of the fields of a file that the API description does not allow.

    Unknown fields are forbidden. Missing fields are allowed, because the descriptions also require
    fields that the cloud service fills in.
    """
    for item in list(vars(description).values()):
        if hasattr(item, "__total__"):
            item.__pydantic_config__ = ConfigDict(extra="forbid")
    try:
        TypeAdapter[Any](getattr(description, name)).validate_python(content)
    except ValidationError as errors:
        return [
            ".".join(map(str, item["loc"])) for item in errors.errors() if item["type"] != "missing"
        ]
    return []


@pytest.fixture
def ecs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module with the API types of AWS ECS, which is generated from botocore's data.

    The package is loaded without its __init__ module, which needs botocore.
    """
    package, spec = ModuleType("types_boto3_ecs"), importlib.util.find_spec("types_boto3_ecs")
    assert spec is not None and spec.submodule_search_locations
    package.__path__ = list(spec.submodule_search_locations)
    monkeypatch.setitem(sys.modules, "types_boto3_ecs", package)
    return importlib.import_module("types_boto3_ecs.type_defs")


def test_ecs_task_has_only_known_fields(ecs: ModuleType) -> None:
    task = json.loads((DEPLOY / "aws" / "task-definition.json").read_text())
    assert violations(ecs, "RegisterTaskDefinitionRequestTypeDef", task) == []
    task["containerDefinitions"][0]["readOnlyRootFilesystem"] = True
    found = violations(ecs, "RegisterTaskDefinitionRequestTypeDef", task)
    assert found and all(place.endswith(".readOnlyRootFilesystem") for place in found)


def test_ecs_task_has_few_rights_and_contains_no_secrets() -> None:
    (container,) = json.loads((DEPLOY / "aws" / "task-definition.json").read_text())[
        "containerDefinitions"
    ]
    assert container["readonlyRootFilesystem"] is True and container["linuxParameters"][
        "capabilities"
    ] == {"drop": ["ALL"]}
    assert {item["name"] for item in container["secrets"]} == {
        "KEYLIKE_API_KEY",
        "KEYLIKE_REDIS_URL",
    }
    assert all(
        item["valueFrom"].startswith("arn:aws:secretsmanager:") for item in container["secrets"]
    )


def test_cloud_run_service_has_only_known_fields() -> None:
    service = read(DEPLOY / "google" / "service.yaml")
    revision = service["spec"]["template"]["spec"]
    (container,) = revision["containers"]
    content = {
        "service": service,
        "spec": service["spec"],
        "revision": revision,
        "container": container,
    }
    assert {name: set(item) - CLOUD_RUN[name] for name, item in content.items()} == {
        name: set() for name in content
    }
    assert (service["apiVersion"], service["kind"]) == ("serving.knative.dev/v1", "Service")
    # The other fields of Cloud Run are those of a Kubernetes pod.
    pod = {
        name: value
        for name, value in revision.items()
        if name not in ("containerConcurrency", "timeoutSeconds")
    }
    pod["containers"] = [{"name": "keylike", **container}]
    kubernetes_validate.validate(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "keylike"}, "spec": pod},
        "1.37",
        strict=True,
    )


def test_azure_app_has_only_known_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    # At run time the package does not define the names of its enumerations, so add them.
    for name in set(dir(models)) - set(vars(types)):
        monkeypatch.setattr(types, name, getattr(models, name), raising=False)
    app = read(DEPLOY / "azure" / "containerapp.yaml")
    assert violations(types, "ContainerApp", app) == []
    app["properties"]["template"]["containers"][0]["readOnlyRootFilesystem"] = True
    assert violations(types, "ContainerApp", app) == [
        "properties.template.containers.0.readOnlyRootFilesystem"
    ]


def test_azure_app_has_valid_probes_and_contains_no_secrets() -> None:
    properties = read(DEPLOY / "azure" / "containerapp.yaml")["properties"]
    (container,) = properties["template"]["containers"]
    assert all(1 <= item.get("failureThreshold", 3) <= 10 for item in container["probes"])
    assert {item["name"] for item in properties["configuration"]["secrets"]} == {
        item["secretRef"] for item in container["env"] if "secretRef" in item
    }
    assert all(
        "value" not in item and item["keyVaultUrl"]
        for item in properties["configuration"]["secrets"]
    )
