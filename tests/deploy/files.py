"""Reads the files of deploy/: what each way to run Keylike sets, asks and listens on, in one shape for all of them."""

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
# In place of what the files only refer to.
SECRETS = {
    "KEYLIKE_API_KEY": "a-token-of-some-length",
    "KEYLIKE_REDIS_URL": "redis://:password@redis:6379/0",
}


@dataclass(frozen=True)
class Way:
    """One way to run Keylike: environment (secrets filled in), paths asked by probes, ports, and seconds between SIGTERM and the end, of
    which `quiet_s` pass before the SIGTERM."""

    name: str
    environment: dict[str, str]
    probes: tuple[str, ...]
    ports: frozenset[int]
    grace_s: float
    quiet_s: float = 0.0


def read(path: Path) -> Any:
    """A YAML file with one document."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def documents(*folders: Path) -> list[dict[str, Any]]:
    """All of Kubernetes's objects in these folders, without what is kustomize's own."""
    files = [
        file
        for folder in folders
        for file in sorted(folder.glob("*.yaml"))
        if file.name != "kustomization.yaml"
    ]
    return [one for file in files for one in yaml.safe_load_all(file.read_text(encoding="utf-8"))]


def compose_service(path: Path) -> dict[str, Any]:
    """Keylike in a compose file, laid over what all have in common as compose does it."""
    common, own = (
        read(DEPLOY / "compose" / "common.yaml")["services"]["keylike"],
        read(path)["services"]["keylike"],
    )
    both = {
        name: {**common[name], **own[name]}
        for name in ("environment", "healthcheck")
        if name in own
    }
    return {**common, **own, **both}


def ways() -> Iterator[Way]:
    """Every way."""
    for path in COMPOSE:
        service = compose_service(path)
        (asked,) = [word for word in service["healthcheck"]["test"] if "/health" in word]
        ports = {int(port.split(":")[-1]) for port in service.get("ports", ["5000:5000"])}
        grace_s = float(service["stop_grace_period"].removesuffix("s"))
        environment = {
            name: value for name, value in service["environment"].items() if "$" not in value
        }
        yield Way(
            f"compose/{path.name}",
            environment | SECRETS,
            (asked.split("'GET', '")[1].split("'")[0],),
            frozenset(ports),
            grace_s,
        )
    base = documents(KUBERNETES / "base")
    settings = next(one["data"] for one in base if one["kind"] == "ConfigMap")
    for overlay in ("cpu", "gpu"):
        patches = [
            one
            for one in documents(KUBERNETES / "overlays" / overlay)
            if one["kind"] == "Deployment"
        ]
        pod = next(one for one in base if one["kind"] == "Deployment")["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        more = [one["spec"]["template"]["spec"]["containers"][0]["env"] for one in patches]
        environment = settings | _environment(
            [*container["env"], *(entry for env in more for entry in env)]
        )
        grace_s, quiet_s = (
            pod["terminationGracePeriodSeconds"],
            container["lifecycle"]["preStop"]["sleep"]["seconds"],
        )
        yield Way(
            f"kubernetes/{overlay}",
            environment,
            _probes(container),
            _ports(container),
            grace_s,
            quiet_s,
        )
    (container,) = json.loads((DEPLOY / "aws" / "task-definition.json").read_text())[
        "containerDefinitions"
    ]
    asked = container["healthCheck"]["command"][-1].split("'GET', '")[1].split("'")[0]
    environment = _environment([*container["environment"], *container["secrets"]])
    yield Way(
        "aws", environment, (asked,), _ports(container, "portMappings"), container["stopTimeout"]
    )
    (container,) = read(DEPLOY / "google" / "service.yaml")["spec"]["template"]["spec"][
        "containers"
    ]
    yield Way("google", _environment(container["env"]), _probes(container), _ports(container), 10.0)
    properties = read(DEPLOY / "azure" / "containerapp.yaml")["properties"]
    template = properties["template"]
    (container,) = template["containers"]
    probes = tuple(one["httpGet"]["path"] for one in container["probes"])
    azure_ports = frozenset(
        {
            properties["configuration"]["ingress"]["targetPort"],
            *(one["httpGet"]["port"] for one in container["probes"]),
        }
    )
    yield Way(
        "azure",
        _environment(container["env"]),
        probes,
        azure_ports,
        template["terminationGracePeriodSeconds"],
    )


def _environment(entries: list[dict[str, Any]]) -> dict[str, str]:
    return {
        one["name"]: one["value"] if "value" in one else SECRETS[one["name"]] for one in entries
    }


def _probes(container: dict[str, Any]) -> tuple[str, ...]:
    return tuple(container[name]["httpGet"]["path"] for name in container if name.endswith("Probe"))


def _ports(container: dict[str, Any], name: str = "ports") -> frozenset[int]:
    return frozenset(port["containerPort"] for port in container[name])
