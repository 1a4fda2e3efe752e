"""All checks in the order that they are told."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from keylike.doctor import compute, machine, models, network, packages
from keylike.doctor.finding import Finding, State
from keylike.observability.free_memory import free_memory
from keylike.observability.gpu import find_gpu
from keylike.tunnel.ngrok_binary import find_ngrok

# The log and its older files (utils/logs.py), with room to spare.
_LOGS_BYTES = 100_000_000
_MODELS_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class Subject:
    """What is examined. `settings_fault`: the line of a bad setting, where the values here are the defaults.

    `home`: the project's folder; `model`, `embedded`, `base_model`: model folders; `photos`: the most memory that decoding takes, in
    bytes; `guarded`: readings ask for a token; `tokens`: there is any that passes, None where that cannot be told; `tunnel`: one is
    wanted, `no_tunnel`: why other settings forbid one.
    """

    settings_fault: str | None
    home: Path
    model: Path
    embedded: Path
    base_model: Path | None
    models: Path
    logs: Path
    strict: bool
    backend: str
    photos: int
    host: str
    port: int
    guarded: bool
    tokens: bool | None
    tunnel: bool
    no_tunnel: str | None
    ngrok_token: str | None = field(repr=False)


def examine(subject: Subject, inspect: models.Inspect) -> list[Finding]:
    """Runs every check; `inspect` looks into a model folder, hashes it, and says what it is or raises ModelError."""
    torch, broken = _torch()
    return [
        settings(subject.settings_fault),
        *_software(subject, torch, broken),
        *_models(subject, inspect),
        *_memory(subject, torch),
        machine.writable(subject.logs),
        machine.space("disk of logs", subject.logs, _LOGS_BYTES),
        machine.space("disk of models", subject.models, _MODELS_BYTES),
        network.port(subject.host, subject.port),
        network.access(
            subject.host, guarded=subject.guarded, tokens=subject.tokens, tunnel=subject.tunnel
        ),
        network.tunnel(
            subject.ngrok_token, find_ngrok(), wanted=subject.tunnel, forbidden=subject.no_tunnel
        ),
    ]


def settings(fault: str | None) -> Finding:
    """Whether the settings could be read."""
    if fault is None:
        return Finding("settings", State.OK, "every name known, every value good")
    return Finding(
        "settings",
        State.FAULT,
        fault,
        "correct it in the environment or in .env; what follows goes by the defaults",
    )


def _software(subject: Subject, torch: compute.Torch | None, broken: bool) -> list[Finding]:
    wanted, card = models.is_gemma(subject.model), torch is not None and torch.card is not None
    present = [name for name in compute.HELPERS if compute.installed(name)]
    return [
        packages.python(sys.version_info[:2]),
        packages.required(subject.home / "requirements.txt"),
        packages.for_gemma(subject.home / "locks", wanted=wanted, torch=compute.installed("torch")),
        compute.pytorch(torch, broken=broken, wanted=wanted),
        compute.graphics(torch, find_gpu()),
        compute.helpers(present, card=card, backend=subject.backend, wanted=wanted),
    ]


def _models(subject: Subject, inspect: models.Inspect) -> list[Finding]:
    shipped = models.embedded(subject.embedded, inspect)
    if subject.model.resolve() == subject.embedded.resolve():
        return [shipped]
    alone = subject.strict or shipped.state is State.FAULT
    return [models.model(subject.model, inspect, alone=alone), shipped]


def _memory(subject: Subject, torch: compute.Torch | None) -> list[Finding]:
    """The weights of Gemma lie in the GPU's memory where there is one; pictures are decoded in the machine's own."""
    free, folders = (
        free_memory(),
        models.opened(subject.model, base_model=subject.base_model, models=subject.models),
    )
    weigh = machine.weights(folders)
    if torch is None or torch.card is None or not models.is_gemma(subject.model):
        return [machine.memory("memory", free, weigh, subject.photos)]
    return [
        machine.memory("memory of the GPU", torch.card.free, weigh, 0),
        machine.memory("memory", free, 0, subject.photos),
    ]


def _torch() -> tuple[compute.Torch | None, bool]:
    """PyTorch, and whether it is installed and cannot be imported."""
    try:
        return compute.find_torch(), False
    except ImportError:
        return None, True
