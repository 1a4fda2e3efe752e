"""Tests of the number of usable processor cores, with the quota of a container (cgroup 1 and 2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from keylike.observability.cgroups import cgroup_values
from keylike.observability.processors import Processors, find_processors


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "50000 100000"}, 0.5),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "100000"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu.max": "garbage"}, None),
        ({"cpu.max": "1000 0"}, None),
        ({}, None),
    ],
)
def test_find_processors_reads_the_quota_of_the_container(
    tmp_path: Path, files: dict[str, str], quota: float | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    membership = tmp_path / "membership"
    membership.write_text("4:cpu,cpuacct:/docker/abc\n0::/\n")
    assert find_processors(tmp_path, membership).quota == quota


@pytest.mark.parametrize(
    ("cores", "quota", "usable"),
    [(8, None, 8), (8, 0.5, 1), (8, 1.5, 2), (2, 4.0, 2)],
)
def test_usable_processors_exceed_neither_cores_nor_quota(
    cores: int, quota: float | None, usable: int
) -> None:
    assert Processors(cores, quota).usable == usable


def test_cgroup_values_include_those_of_parent_groups(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "cpu.max").write_text("max 100000\n")
    (tmp_path / "a" / "cpu.max").write_text("50000 100000\n")
    membership = tmp_path / "membership"
    membership.write_text("0::/a/b\n")
    found = cgroup_values("cpu", ("cpu.max",), tmp_path, membership)
    assert [*found] == [("max 100000",), ("50000 100000",)]
