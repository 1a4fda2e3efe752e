"""The files for AWS, Google Cloud and Azure, against what each one's own interface says that there is."""

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

from tests.deploy.files import DEPLOY, read

# Of Cloud Run's Admin API v1, revision 20261031: the fields that differ from Kubernetes's own, or are all that there are of them.
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


def findings(described: ModuleType, name: str, found: Any) -> list[str]:
    """Places of what a description, left no room for what it does not name, has against a file. That some fields would be missing is no
    fault: those are taken for required that the service fills in."""
    for one in list(vars(described).values()):
        if hasattr(one, "__total__"):
            one.__pydantic_config__ = ConfigDict(extra="forbid")
    try:
        TypeAdapter[Any](getattr(described, name)).validate_python(found)
    except ValidationError as errors:
        return [
            ".".join(map(str, one["loc"])) for one in errors.errors() if one["type"] != "missing"
        ]
    return []


@pytest.fixture
def ecs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The fields of ECS, made from botocore's own data. The package itself opens with a client, which would want botocore."""
    package, spec = ModuleType("types_boto3_ecs"), importlib.util.find_spec("types_boto3_ecs")
    assert spec is not None and spec.submodule_search_locations
    package.__path__ = list(spec.submodule_search_locations)
    monkeypatch.setitem(sys.modules, "types_boto3_ecs", package)
    return importlib.import_module("types_boto3_ecs.type_defs")


def test_ecs_knows_every_field_of_the_task(ecs: ModuleType) -> None:
    task = json.loads((DEPLOY / "aws" / "task-definition.json").read_text())
    assert findings(ecs, "RegisterTaskDefinitionRequestTypeDef", task) == []
    task["containerDefinitions"][0]["readOnlyRootFilesystem"] = True
    found = findings(ecs, "RegisterTaskDefinitionRequestTypeDef", task)
    assert found and all(place.endswith(".readOnlyRootFilesystem") for place in found)


def test_the_task_has_few_rights_and_secrets_by_reference() -> None:
    (container,) = json.loads((DEPLOY / "aws" / "task-definition.json").read_text())[
        "containerDefinitions"
    ]
    assert container["readonlyRootFilesystem"] is True and container["linuxParameters"][
        "capabilities"
    ] == {"drop": ["ALL"]}
    assert {one["name"] for one in container["secrets"]} == {"KEYLIKE_API_KEY", "KEYLIKE_REDIS_URL"}
    assert all(
        one["valueFrom"].startswith("arn:aws:secretsmanager:") for one in container["secrets"]
    )


def test_cloud_run_knows_every_field_of_the_service() -> None:
    service = read(DEPLOY / "google" / "service.yaml")
    revision = service["spec"]["template"]["spec"]
    (container,) = revision["containers"]
    found = {
        "service": service,
        "spec": service["spec"],
        "revision": revision,
        "container": container,
    }
    assert {name: set(one) - CLOUD_RUN[name] for name, one in found.items()} == {
        name: set() for name in found
    }
    assert (service["apiVersion"], service["kind"]) == ("serving.knative.dev/v1", "Service")
    # The rest is a pod's, for Google too.
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


def test_azure_knows_every_field_of_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    # The names of its enumerations are there for type checkers alone.
    for name in set(dir(models)) - set(vars(types)):
        monkeypatch.setattr(types, name, getattr(models, name), raising=False)
    app = read(DEPLOY / "azure" / "containerapp.yaml")
    assert findings(types, "ContainerApp", app) == []
    app["properties"]["template"]["containers"][0]["readOnlyRootFilesystem"] = True
    assert findings(types, "ContainerApp", app) == [
        "properties.template.containers.0.readOnlyRootFilesystem"
    ]


def test_azures_probes_are_within_its_bounds() -> None:
    properties = read(DEPLOY / "azure" / "containerapp.yaml")["properties"]
    (container,) = properties["template"]["containers"]
    assert all(1 <= one.get("failureThreshold", 3) <= 10 for one in container["probes"])
    assert {one["name"] for one in properties["configuration"]["secrets"]} == {
        one["secretRef"] for one in container["env"] if "secretRef" in one
    }
    assert all(
        "value" not in one and one["keyVaultUrl"] for one in properties["configuration"]["secrets"]
    )
