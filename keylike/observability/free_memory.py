"""Determine the memory that is available on this machine or in this container."""

from __future__ import annotations

from pathlib import Path

from keylike.observability.cgroups import MOUNT, cgroup_values


def free_memory(mount: Path = MOUNT) -> int | None:
    """Return the number of available bytes, or None if psutil is not installed.

    On Linux, the memory limits of the control groups apply too. `mount` is their folder.
    """
    try:
        import psutil
    except ImportError:
        return None
    free = int(psutil.virtual_memory().available)
    limits = [
        *cgroup_values("memory", ("memory.max", "memory.current"), mount),
        *cgroup_values("memory", ("memory.limit_in_bytes", "memory.usage_in_bytes"), mount),
    ]
    # The text "max" means that there is no limit.
    rests = [max(int(limit) - int(used), 0) for limit, used in limits if limit.isdigit()]
    return min([free, *rests])
