"""Tests of the Kubernetes manifests: they match the schemas, and their pods have few rights."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.deploy.deployments import KUBERNETES, documents

VERSION = "1.37"
OVERLAYS = ("cpu", "gpu")
# Kinds of custom resources. Their schemas are not part of Kubernetes, so they are not checked.
CUSTOM = {"ServiceMonitor"}


def kustomized(overlay: str) -> list[dict[str, Any]]:
    """Return the objects that `kubectl apply` would create, or skip the test without kubectl."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip(
            "kubectl is not installed; on Debian or Ubuntu: apt-get install kubernetes-client"
        )
    version = json.loads(
        subprocess.run(
            [kubectl, "version", "--client", "-o", "json"], capture_output=True, check=True
        ).stdout
    )
    if "kustomizeVersion" not in version:
        pytest.skip("kubectl is older than 1.24, so its kustomize is too old")
    completed = subprocess.run(
        [kubectl, "kustomize", str(KUBERNETES / "overlays" / overlay)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (completed.returncode, completed.stderr) == (0, "")
    return list(yaml.safe_load_all(completed.stdout))


def check(objects: list[dict[str, Any]]) -> None:
    """Validate all objects against the schemas of Kubernetes."""
    for item in objects:
        if item["kind"] not in CUSTOM:
            kubernetes_validate.validate(item, VERSION, strict=True)


@pytest.mark.parametrize(
    "folder", [KUBERNETES / "base", KUBERNETES / "overlays" / "cpu"], ids=lambda path: path.name
)
def test_kubernetes_manifests_have_only_known_fields(folder: Path) -> None:
    check(documents(folder))


def test_kubernetes_schema_rejects_an_unknown_field() -> None:
    invalid = next(item for item in documents(KUBERNETES / "base") if item["kind"] == "Deployment")
    invalid["spec"]["template"]["spec"]["containers"][0]["readOnlyRootFilesystem"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        check([invalid])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_has_only_known_fields_and_expected_kinds(overlay: str) -> None:
    objects = kustomized(overlay)
    check(objects)
    kinds = {item["kind"] for item in objects}
    common = {
        "ServiceAccount",
        "ConfigMap",
        "Deployment",
        "Service",
        "Ingress",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "ServiceMonitor",
    }
    assert kinds == common | (
        {"HorizontalPodAutoscaler"} if overlay == "cpu" else {"PersistentVolumeClaim"}
    )
    assert {item["metadata"]["namespace"] for item in objects} == {"keylike"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pod_has_few_rights_and_resource_limits(overlay: str) -> None:
    pod = next(item for item in kustomized(overlay) if item["kind"] == "Deployment")["spec"][
        "template"
    ]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"][
        "seccompProfile"
    ] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False and not {
        "hostNetwork",
        "hostPID",
        "hostIPC",
    } & set(pod)
    security_context = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["securityContext"] == security_context
    assert set(container["resources"]["limits"]) >= {"cpu", "memory"} and set(
        container["resources"]["requests"]
    ) >= {"cpu", "memory"}
    assert ("nvidia.com/gpu" in container["resources"]["limits"]) == (overlay == "gpu")
    probe_paths = {
        "startupProbe": "/health/startup",
        "readinessProbe": "/health/ready",
        "livenessProbe": "/health/live",
    }
    assert {name: container[name]["httpGet"]["path"] for name in probe_paths} == probe_paths


def test_volume_with_the_models_is_read_only() -> None:
    objects = kustomized("gpu")
    pod = next(item for item in objects if item["kind"] == "Deployment")["spec"]["template"]["spec"]
    (mount,) = [item for item in pod["containers"][0]["volumeMounts"] if item["name"] == "models"]
    (volume,) = [item for item in pod["volumes"] if item["name"] == "models"]
    (claim,) = [item for item in objects if item["kind"] == "PersistentVolumeClaim"]
    assert mount["readOnly"] is True and volume["persistentVolumeClaim"] == {
        "claimName": claim["metadata"]["name"],
        "readOnly": True,
    }
    assert claim["spec"]["accessModes"] == ["ReadOnlyMany"]
    (path,) = [
        item["value"] for item in pod["containers"][0]["env"] if item["name"] == "MODEL_PATH"
    ]
    assert path.startswith(mount["mountPath"] + "/")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_all_kubernetes_selectors_match_the_same_pods(overlay: str) -> None:
    objects = {item["kind"]: item for item in kustomized(overlay)}
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert (
        objects["Service"]["spec"]["selector"]
        == labels
        == objects["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]
    )
    assert objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert (
        objects["ServiceMonitor"]["spec"]["selector"]["matchLabels"].items()
        <= objects["Service"]["metadata"]["labels"].items()
    )
    if overlay == "cpu":
        assert (
            objects["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"]
            == objects["Deployment"]["metadata"]["name"]
        )
