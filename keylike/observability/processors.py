"""Determine the processor cores that this process may use."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from keylike.observability.cgroups import MEMBERSHIP, MOUNT, cgroup_values


@dataclass(frozen=True, slots=True)
class Processors:
    """The processor cores of this process, and the quota of its container.

    Attributes:
        cores: number of cores on which the process may run.
        quota: processor seconds per second that the container may use, as set by `docker run
            --cpus`; None if there is no limit.
    """

    cores: int
    quota: float | None

    @property
    def usable(self) -> int:
        """Number of threads that the cores and the quota can keep busy, at least 1."""
        return min(self.cores, math.ceil(self.quota)) if self.quota else self.cores


def find_processors(mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> Processors:
    """Return the cores and the smallest quota of all control groups of this process.

    Args:
        mount: folder of the control groups.
        membership: file with the groups of this process.
    """
    affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if affinity else os.cpu_count() or 1
    periods = [
        *cgroup_values("cpu", ("cpu.cfs_quota_us", "cpu.cfs_period_us"), mount, membership),
        *(tuple(text.split()) for (text,) in cgroup_values("cpu", ("cpu.max",), mount, membership)),
    ]
    # The texts "max" and "-1" mean that there is no limit.
    quotas = [
        int(period[0]) / int(period[1])
        for period in periods
        if len(period) == 2 and all(text.isdigit() and int(text) for text in period)
    ]
    return Processors(cores, min(quotas, default=None))
