"""Deployment files of every platform, parsed into one common form for the tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
COMPOSE = sorted((DEPLOY / "compose").glob("compose*.yaml"))
# Values for the secrets, because the deployment files only name them.
SECRETS = {
    "KEYLIKE_API_KEY": "a-token-of-some-length",
    "KEYLIKE_REDIS_URL": "redis://:password@redis:6379/0",
}


@dataclass(frozen=True)
class Deployment:
    """Deployment of Keylike on one platform.

    Attributes:
        name: Platform, followed by the file or overlay if there are several.
        environment: Environment variables, with values for secrets.
        probes: Paths of the health probes.
        ports: Ports of the container.
        grace_s: Seconds between the request to stop and SIGKILL.
        pre_stop_s: Seconds between the request to stop and SIGTERM; a part of `grace_s`.
    """

    name: str
    environment: dict[str, str]
    probes: tuple[str, ...]
    ports: frozenset[int]
    grace_s: float
    pre_stop_s: float = 0.0


def read(path: Path) -> Any:
    """Return the content of a YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def documents(*folders: Path) -> list[dict[str, Any]]:
    """Return all Kubernetes objects in the folders, without kustomization files."""
    files = [
        file
        for folder in folders
        for file in sorted(folder.glob("*.yaml"))
        if file.name != "kustomization.yaml"
    ]
    return [item for file in files for item in yaml.safe_load_all(file.read_text(encoding="utf-8"))]


def compose_service(path: Path) -> dict[str, Any]:
    """Return the keylike service of a compose file, merged with common.yaml as compose does."""
    common, own = (
        read(DEPLOY / "compose" / "common.yaml")["services"]["keylike"],
        read(path)["services"]["keylike"],
    )
    merged = {
        name: {**common[name], **own[name]}
        for name in ("environment", "healthcheck")
        if name in own
    }
    return {**common, **own, **merged}


def deployments() -> Iterator[Deployment]:
    """Yield every deployment in deploy/."""
    for path in COMPOSE:
        service = compose_service(path)
        (probe,) = [word for word in service["healthcheck"]["test"] if "/health" in word]
        ports = {int(port.split(":")[-1]) for port in service.get("ports", ["5000:5000"])}
        grace_s = float(service["stop_grace_period"].removesuffix("s"))
        environment = {
            name: value for name, value in service["environment"].items() if "$" not in value
        }
        yield Deployment(
            f"compose/{path.name}",
            environment | SECRETS,
            (probe.split("'GET', '")[1].split("'")[0],),
            frozenset(ports),
            grace_s,
        )
    base = documents(KUBERNETES / "base")
    settings = next(item["data"] for item in base if item["kind"] == "ConfigMap")
    for overlay in ("cpu", "gpu"):
        patches = [
            item
            for item in documents(KUBERNETES / "overlays" / overlay)
            if item["kind"] == "Deployment"
        ]
        pod = next(item for item in base if item["kind"] == "Deployment")["spec"]["template"][
            "spec"
        ]
        (container,) = pod["containers"]
        patch_environments = [
            item["spec"]["template"]["spec"]["containers"][0]["env"] for item in patches
        ]
        environment = settings | _environment(
            [*container["env"], *(entry for env in patch_environments for entry in env)]
        )
        grace_s, pre_stop_s = (
            pod["terminationGracePeriodSeconds"],
            container["lifecycle"]["preStop"]["sleep"]["seconds"],
        )
        yield Deployment(
            f"kubernetes/{overlay}",
            environment,
            _probes(container),
            _ports(container),
            grace_s,
            pre_stop_s,
        )
    (container,) = json.loads((DEPLOY / "aws" / "task-definition.json").read_text())[
        "containerDefinitions"
    ]
    probe = container["healthCheck"]["command"][-1].split("'GET', '")[1].split("'")[0]
    environment = _environment([*container["environment"], *container["secrets"]])
    yield Deployment(
        "aws", environment, (probe,), _ports(container, "portMappings"), container["stopTimeout"]
    )
    (container,) = read(DEPLOY / "google" / "service.yaml")["spec"]["template"]["spec"][
        "containers"
    ]
    yield Deployment(
        "google", _environment(container["env"]), _probes(container), _ports(container), 10.0
    )
    properties = read(DEPLOY / "azure" / "containerapp.yaml")["properties"]
    template = properties["template"]
    (container,) = template["containers"]
    probes = tuple(item["httpGet"]["path"] for item in container["probes"])
    azure_ports = frozenset(
        {
            properties["configuration"]["ingress"]["targetPort"],
            *(item["httpGet"]["port"] for item in container["probes"]),
        }
    )
    yield Deployment(
        "azure",
        _environment(container["env"]),
        probes,
        azure_ports,
        template["terminationGracePeriodSeconds"],
    )


def _environment(entries: list[dict[str, Any]]) -> dict[str, str]:
    return {
        item["name"]: item["value"] if "value" in item else SECRETS[item["name"]]
        for item in entries
    }


def _probes(container: dict[str, Any]) -> tuple[str, ...]:
    return tuple(container[name]["httpGet"]["path"] for name in container if name.endswith("Probe"))


def _ports(container: dict[str, Any], name: str = "ports") -> frozenset[int]:
    return frozenset(port["containerPort"] for port in container[name])
