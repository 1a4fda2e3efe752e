"""`keylike serve` as a process of its own, with the colour reader in place of the model; at the end it prints its peak memory in MB."""

from __future__ import annotations

from pathlib import Path

import model_loader
from cli import main
from tests.fakes import colour_reader


def peak_mb() -> int:
    """Most memory held at once; the kernel's own mark, since getrusage also counts the process that started this one."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024


if __name__ == "__main__":
    model_loader.load_reader = lambda folder: colour_reader()
    try:
        main()
    finally:
        print(peak_mb(), flush=True)
