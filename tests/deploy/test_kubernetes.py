"""The Kubernetes manifests: of the form that Kubernetes's own schemas want, before and after kustomize, and with few rights."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.deploy.files import KUBERNETES, documents

VERSION = "1.37"
OVERLAYS = ("cpu", "gpu")
# Defined by who brings them, not by Kubernetes.
FOREIGN = {"ServiceMonitor"}


def kustomized(overlay: str) -> list[dict[str, Any]]:
    """What kubectl would apply; skips where it cannot be asked."""
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
        pytest.skip("this kubectl is older than 1.24, and its kustomize is, too")
    said = subprocess.run(
        [kubectl, "kustomize", str(KUBERNETES / "overlays" / overlay)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (said.returncode, said.stderr) == (0, "")
    return list(yaml.safe_load_all(said.stdout))


def check(objects: list[dict[str, Any]]) -> None:
    """Fails unless Kubernetes would know every field."""
    for one in objects:
        if one["kind"] not in FOREIGN:
            kubernetes_validate.validate(one, VERSION, strict=True)


@pytest.mark.parametrize(
    "folder", [KUBERNETES / "base", KUBERNETES / "overlays" / "cpu"], ids=lambda path: path.name
)
def test_kubernetes_knows_every_field(folder: Path) -> None:
    check(documents(folder))


def test_what_kubernetes_does_not_know_is_found() -> None:
    wrong = next(one for one in documents(KUBERNETES / "base") if one["kind"] == "Deployment")
    wrong["spec"]["template"]["spec"]["containers"][0]["readOnlyRootFilesystem"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        check([wrong])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubernetes_knows_every_field_of_what_is_applied(overlay: str) -> None:
    objects = kustomized(overlay)
    check(objects)
    kinds = {one["kind"] for one in objects}
    always = {
        "ServiceAccount",
        "ConfigMap",
        "Deployment",
        "Service",
        "Ingress",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "ServiceMonitor",
    }
    assert kinds == always | (
        {"HorizontalPodAutoscaler"} if overlay == "cpu" else {"PersistentVolumeClaim"}
    )
    assert {one["metadata"]["namespace"] for one in objects} == {"keylike"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_pod_has_few_rights_and_bounds(overlay: str) -> None:
    pod = next(one for one in kustomized(overlay) if one["kind"] == "Deployment")["spec"][
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
    rights = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["securityContext"] == rights
    assert set(container["resources"]["limits"]) >= {"cpu", "memory"} and set(
        container["resources"]["requests"]
    ) >= {"cpu", "memory"}
    assert ("nvidia.com/gpu" in container["resources"]["limits"]) == (overlay == "gpu")
    names = {
        "startupProbe": "/health/startup",
        "readinessProbe": "/health/ready",
        "livenessProbe": "/health/live",
    }
    assert {name: container[name]["httpGet"]["path"] for name in names} == names


def test_models_are_only_read() -> None:
    objects = kustomized("gpu")
    pod = next(one for one in objects if one["kind"] == "Deployment")["spec"]["template"]["spec"]
    (mount,) = [one for one in pod["containers"][0]["volumeMounts"] if one["name"] == "models"]
    (volume,) = [one for one in pod["volumes"] if one["name"] == "models"]
    (claim,) = [one for one in objects if one["kind"] == "PersistentVolumeClaim"]
    assert mount["readOnly"] is True and volume["persistentVolumeClaim"] == {
        "claimName": claim["metadata"]["name"],
        "readOnly": True,
    }
    assert claim["spec"]["accessModes"] == ["ReadOnlyMany"]
    (path,) = [one["value"] for one in pod["containers"][0]["env"] if one["name"] == "MODEL_PATH"]
    assert path.startswith(mount["mountPath"] + "/")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everything_selects_the_same_pods(overlay: str) -> None:
    objects = {one["kind"]: one for one in kustomized(overlay)}
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
