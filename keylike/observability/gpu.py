"""Find a usable GPU without importing a large library."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gpu:
    """The first GPU of this machine.

    Attributes:
        available: True if there is a GPU and PyTorch is installed.
        memory_mb: Memory of the GPU in MB, or 0 without one.
    """

    available: bool
    memory_mb: int


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """Memory of the first GPU in bytes: in total, and in use by any process."""

    total: int
    used: int


def gpu_memory() -> GpuMemory | None:
    """Return the GPU memory that PyTorch reports, or None if this process does not use a GPU.

    This neither imports PyTorch nor initializes a GPU.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    free, total = torch.cuda.mem_get_info(0)
    return GpuMemory(total, total - free)


def find_gpu() -> Gpu:
    """Ask nvidia-smi for a GPU. Without that tool or without PyTorch, no GPU is available."""
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
