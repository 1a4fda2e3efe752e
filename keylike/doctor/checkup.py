"""Run all checks, in the order in which `doctor` prints them."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from keylike.doctor import compute, machine, models, network, packages
from keylike.doctor.finding import Finding, State
from keylike.observability.free_memory import free_memory
from keylike.observability.gpu import find_gpu
from keylike.observability.processors import find_processors
from keylike.tunnel.ngrok_binary import find_ngrok

# Free bytes that the disks of the log and of the models should have. The log with its older files
# takes up to 60 MB (observability/log_file.py).
_LOGS_BYTES = 100_000_000
_MODELS_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class DoctorInput:
    """The configuration to check.

    Attributes:
        settings_fault: error in the settings, in which case the other values are the defaults.
        home: folder of the project.
        model: folder of the model to serve.
        embedded: folder of the embedded reader.
        base_model: folder of the base model of a LoRA adapter, or None.
        models: folder of all models.
        logs: folder of the log.
        strict: True if the embedded reader may not replace a model that cannot be loaded.
        backend: value of KEYLIKE_BACKEND.
        at_once: number of photos that are decoded at the same time.
        photo_bytes: largest number of bytes of memory for decoding one photo.
        host: address to listen on.
        port: port to listen on.
        needs_token: True if predictions need a token.
        tokens: True if a valid token exists, None if the token file is unreadable.
        tunnel: True if a tunnel is configured.
        no_tunnel: why other settings forbid a tunnel, or None.
        ngrok_token: authtoken of the ngrok account, or None.
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
    at_once: int
    photo_bytes: int
    host: str
    port: int
    needs_token: bool
    tokens: bool | None
    tunnel: bool
    no_tunnel: str | None
    ngrok_token: str | None = field(repr=False)


def run_checks(inputs: DoctorInput, inspect: models.Inspect) -> list[Finding]:
    """Run every check.

    `inspect` verifies the files of a model folder and their hashes. It returns a description of the
    model, or raises ModelError.
    """
    torch, broken = _torch()
    return [
        settings(inputs.settings_fault),
        *_software(inputs, torch, broken),
        *_models(inputs, inspect),
        machine.processors(find_processors(), inputs.at_once),
        *_memory(inputs, torch),
        machine.writable(inputs.logs),
        machine.space("disk of logs", inputs.logs, _LOGS_BYTES),
        machine.space("disk of models", inputs.models, _MODELS_BYTES),
        network.port(inputs.host, inputs.port),
        network.access(
            inputs.host, needs_token=inputs.needs_token, tokens=inputs.tokens, tunnel=inputs.tunnel
        ),
        network.tunnel(
            inputs.ngrok_token, find_ngrok(), wanted=inputs.tunnel, forbidden=inputs.no_tunnel
        ),
    ]


def settings(fault: str | None) -> Finding:
    """Check that the settings are valid."""
    if fault is None:
        return Finding("settings", State.OK, "all names and values are valid")
    return Finding(
        "settings",
        State.FAULT,
        fault,
        "correct it in the environment or in .env; the checks below use the defaults",
    )


def _software(inputs: DoctorInput, torch: compute.Torch | None, broken: bool) -> list[Finding]:
    wanted, device = models.is_gemma(inputs.model), torch is not None and torch.device is not None
    present = [name for name in compute.GPU_LIBRARIES if compute.installed(name)]
    return [
        packages.python(sys.version_info[:2]),
        packages.required(inputs.home / "requirements.txt"),
        packages.for_gemma(inputs.home / "locks", wanted=wanted, torch=compute.installed("torch")),
        compute.pytorch(torch, broken=broken, wanted=wanted),
        compute.graphics(torch, find_gpu()),
        compute.gpu_libraries(present, device=device, backend=inputs.backend, wanted=wanted),
    ]


def _models(inputs: DoctorInput, inspect: models.Inspect) -> list[Finding]:
    shipped = models.embedded(inputs.embedded, inspect)
    if inputs.model.resolve() == inputs.embedded.resolve():
        return [shipped]
    no_fallback = inputs.strict or shipped.state is State.FAULT
    return [models.model(inputs.model, inspect, no_fallback=no_fallback), shipped]


def _memory(inputs: DoctorInput, torch: compute.Torch | None) -> list[Finding]:
    """Check the memory.

    Gemma's weights are loaded into GPU memory if there is a GPU; pictures are decoded in main
    memory.
    """
    free, folders = (
        free_memory(),
        models.loaded_folders(inputs.model, base_model=inputs.base_model, models=inputs.models),
    )
    size = machine.weight_bytes(folders)
    photos = inputs.at_once * inputs.photo_bytes
    if torch is None or torch.device is None or not models.is_gemma(inputs.model):
        return [machine.memory("memory", free, size, photos)]
    return [
        machine.memory("memory of the GPU", torch.device.free, size, 0),
        machine.memory("memory", free, 0, photos),
    ]


def _torch() -> tuple[compute.Torch | None, bool]:
    """Return PyTorch or None, and True if PyTorch is installed but cannot be imported."""
    try:
        return compute.find_torch(), False
    except ImportError:
        return None, True
