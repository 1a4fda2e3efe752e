"""The memory that is available on this machine or in this container."""

from __future__ import annotations

from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def free_memory(cgroup: Path = _CGROUP) -> int | None:
    """Return the available bytes, or None without psutil.

    On Linux the container's memory limit, read from `cgroup`, counts as well.
    """
    try:
        import psutil
    except ImportError:
        return None
    free = int(psutil.virtual_memory().available)
    try:
        limit, used = (
            (cgroup / name).read_text().strip() for name in ("memory.max", "memory.current")
        )
        return min(free, max(int(limit) - int(used), 0))
    # "max" stands for no limit.
    except (OSError, ValueError):
        return free
