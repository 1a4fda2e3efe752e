"""How much memory can be had on this machine, or in this container."""

from __future__ import annotations

from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def free_memory(cgroup: Path = _CGROUP) -> int | None:
    """Bytes that can be had now, within a container's own limit (`cgroup`, Linux); None without psutil."""
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
    # No limit is written as "max".
    except (OSError, ValueError):
        return free
