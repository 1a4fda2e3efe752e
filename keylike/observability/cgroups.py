"""Read the limits of the Linux control groups of this process (cgroups version 1 and 2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def cgroup_values(
    controller: str, names: tuple[str, ...], mount: Path = MOUNT, membership: Path = MEMBERSHIP
) -> Iterator[tuple[str, ...]]:
    """Yield the contents of the files `names` for the group of this process and its parent groups.

    The limits of all these groups apply to the process. Groups without one of the files are
    skipped.

    Args:
        controller: controller of version 1, such as "cpu". Version 2 has one hierarchy for all.
        names: names of the files to read.
        mount: folder in which the hierarchies are mounted.
        membership: file with the groups of the process.
    """
    for root, group in _groups(controller, mount, membership):
        folder = root / group.lstrip("/")
        for each in (folder, *folder.parents):
            # A folder may be missing: in a container, often only the container's group is mounted.
            with suppress(OSError):
                yield tuple((each / name).read_text(encoding="utf-8").strip() for name in names)
            if each == root:
                break


def _groups(controller: str, mount: Path, membership: Path) -> Iterator[tuple[Path, str]]:
    """Yield the mounted hierarchies of a controller, and the group of this process in each."""
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines or ["0::/"]:
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if not controllers:
            yield mount, group
            yield mount / "unified", group
        elif controller in controllers.split(","):
            yield mount / controllers, group
            yield mount / controller, group
