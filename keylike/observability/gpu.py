"""Whether this process could compute on a GPU, found out without importing anything heavy."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gpu:
    """`available` if a reader could use one; `memory_mb` of the first, 0 without one."""

    available: bool
    memory_mb: int


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """Memory of the first GPU in bytes: all of it, and what is in use by whomever."""

    total: int
    used: int


def gpu_memory() -> GpuMemory | None:
    """As PyTorch sees it; None where this process computes on no GPU. Neither imports PyTorch nor wakes a GPU."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    free, total = torch.cuda.mem_get_info(0)
    return GpuMemory(total, total - free)


def find_gpu() -> Gpu:
    """Asks NVIDIA's own tool; without it, or without PyTorch to use the card, there is no GPU for Keylike."""
    tool = shutil.which("nvidia-smi")
    if tool is None or importlib.util.find_spec("torch") is None:
        return Gpu(False, 0)
    command = [tool, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        found = subprocess.run(
            command, capture_output=True, text=True, timeout=10, check=True
        ).stdout.split()
        return Gpu(True, int(found[0]))
    except (OSError, subprocess.SubprocessError, IndexError, ValueError):
        return Gpu(False, 0)
